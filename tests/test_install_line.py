"""The distribution's name, and the install line that errors print: one that works where Retort was installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agents.errors import MissingExtra
from agents.install import CHECKOUT, DISTRIBUTION, install_line, source_of
from retort.doctor.machine import OURS, namesake

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
ROOMS = ("agents", "graphs", "distill", "finetune", "evals", "retort")
CODE = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]


def test_the_distribution_has_one_name_and_not_that_of_another_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION != "retort"
    assert DISTRIBUTION in OURS
    assert project["scripts"] == {"retort": "retort.cli:main"}
    own = [each for extra in project["optional-dependencies"].values() for each in extra if each.startswith("retort")]
    assert own
    assert all(each.startswith(f"{DISTRIBUTION}[") for each in own)


def test_no_line_installs_the_other_retort() -> None:
    for path in [*TEXTS, *CODE]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"retort\[[a-z{]", text), path
        assert not re.search(r"pip install (-U |--upgrade )?'?retort(?!-)", text), path


def test_a_checkout_is_installed_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert install_line("train") == "pip install -e '.[train]'"
    monkeypatch.chdir(tmp_path)
    assert install_line("train") == f"pip install -e '{ROOT}[train]'"
    assert install_line("train") in str(MissingExtra("torch", "train"))
    assert CHECKOUT == ROOT


def test_pip_takes_the_line_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip reads the requirement and finds the project; nothing is downloaded or built beyond its metadata."""
    monkeypatch.chdir(tmp_path)
    place = install_line("report").removeprefix("pip install -e ").strip("'")
    program = (
        "import sys; from pip._internal.req.constructors import install_req_from_editable as read\n"
        "found = read(sys.argv[1]); print(found.local_file_path, *found.extras)"
    )
    done = subprocess.run([sys.executable, "-c", program, place], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(ROOT), "report"]


@pytest.mark.parametrize(
    ("direct", "line"),
    [
        (None, f"pip install '{DISTRIBUTION}[mcp]'"),
        (
            {"url": "https://files.invalid/a.whl", "archive_info": {}},
            f"pip install '{DISTRIBUTION}[mcp] @ https://files.invalid/a.whl'",
        ),
        (
            {"url": "https://r.invalid/r", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            f"pip install '{DISTRIBUTION}[mcp] @ git+https://r.invalid/r@abc'",
        ),
        ({"url": "file:///nowhere/at/all", "dir_info": {}}, f"pip install '{DISTRIBUTION}[mcp]'"),
    ],
)
def test_an_installed_retort_is_installed_from_where_it_came(direct: object, line: str, tmp_path: Path) -> None:
    about = tmp_path / f"{DISTRIBUTION.replace('-', '_')}-9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 9\n", encoding="utf-8")
    if direct is not None:
        (about / "direct_url.json").write_text(json.dumps(direct), encoding="utf-8")
    assert f"pip install '{source_of('mcp', [str(tmp_path)])}'" == line


def test_a_folder_from_which_retort_was_installed_is_named(tmp_path: Path) -> None:
    about = tmp_path / f"{DISTRIBUTION.replace('-', '_')}-9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 9\n", encoding="utf-8")
    (about / "direct_url.json").write_text(json.dumps({"url": ROOT.as_uri(), "dir_info": {}}), encoding="utf-8")
    assert source_of("mcp", [str(tmp_path)]) == f"{ROOT}[mcp]"


def test_the_other_distribution_of_this_name_is_told() -> None:
    """It installs a package `retort` over or beside this one."""
    ours = {"retort": [DISTRIBUTION], "agents": [DISTRIBUTION]}
    assert namesake(ours) == []
    assert namesake({"retort": ["retort"], "agents": ["retort"]}) == []  # a checkout, installed before it was renamed
    (found,) = namesake({**ours, "retort": [DISTRIBUTION, "retort"]})
    assert found.severity == "warning"
    assert "pip uninstall retort" in found.step
