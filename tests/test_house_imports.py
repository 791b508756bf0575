"""How modules reach each other: no circle when they are loaded, no string that names a room above, no long file."""

from __future__ import annotations

from pathlib import Path

import pytest
from imports_of import ROOT, circles, imported, module_name, named_late
from test_house import FLOORS, MODULES, imported_rooms

CIRCLE = {
    "agents/__init__.py": "",
    "agents/one.py": "from typing import TYPE_CHECKING\nfrom . import two\nif TYPE_CHECKING:\n    from . import four\n",
    "agents/two.py": "from .deep.three import x\n",
    "agents/deep/__init__.py": "",
    "agents/deep/three.py": "class A:\n    from agents.one import y\nx = 1\n",
    "agents/four.py": "import agents.one\ndef late():\n    from . import five\n",
    "agents/five.py": "from agents import four\n",
}


def test_no_circle_of_imports() -> None:
    """Function-level imports are late and make none."""
    names = {module_name(path): path for path in MODULES}
    assert circles({name: imported(path, names) for name, path in names.items()}) == []


def test_a_circle_is_seen(tmp_path: Path) -> None:
    for name, text in CIRCLE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    names = {module_name(path, tmp_path): path for path in sorted(tmp_path.rglob("*.py"))}
    graph = {name: imported(path, names, tmp_path) for name, path in names.items()}
    assert circles(graph) == [["agents.deep.three", "agents.one", "agents.two"]]
    assert graph["agents.four"] == {"agents.one"} and graph["agents.five"] == {"agents.four"}


@pytest.mark.parametrize(
    "text",
    [
        'import importlib.util\nimportlib.util.find_spec("finetune.tiny")\n',
        'from importlib import import_module\nimport_module("finetune" + ".tiny")\n',
        'bases: Registry[int] = Registry("base", {"tiny": "finetune.tiny:folder"})\n',
        'BUILTIN = {"tiny": "finetune.tiny"}\nbases = registry.Registry[int]("base", builtin=BUILTIN)\n',
    ],
)
def test_a_room_in_a_string_is_seen(text: str, tmp_path: Path) -> None:
    path = tmp_path / "seen.py"
    path.write_text(text, encoding="utf-8")
    assert imported_rooms(path) == {"finetune"}
    path.write_text('print("finetune.tiny", {"a": "finetune"})\n', encoding="utf-8")
    assert list(named_late(path)) == [] and imported_rooms(path) == set()


@pytest.mark.parametrize("folder", ["benchmarks", "examples", "recipes", "tests", *FLOORS])
def test_no_file_has_more_than_400_lines(folder: str) -> None:
    """Tests included."""
    long = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert {path: lines for path, lines in long.items() if lines > 400} == {}
