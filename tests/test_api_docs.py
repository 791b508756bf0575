"""docs/api.md is what docs/make_api.py makes of the docstrings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_is_current_and_names_everything_public() -> None:
    done = subprocess.run([sys.executable, "docs/make_api.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    import retort

    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for name in set(retort.__all__) - {"__version__"}:
        assert f"`retort.{name}" in page, name
