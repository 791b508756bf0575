"""The house itself: imports run down, heavy packages load late, files stay small, names stay ours."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from imports_of import named_late

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {"agents": 1, "graphs": 2, "distill": 3, "finetune": 4, "evals": 4, "retort": 5}
MODULES = sorted(path for room in FLOORS for path in (ROOT / room).rglob("*.py"))
HEAVY = {"torch", "transformers", "trl", "peft", "datasets", "langgraph", "openai", "langchain_core", "pydantic"}
BANNED = {"utils", "util", "manager", "handler", "helper", "helpers", "processor", "misc", "common"}


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file imports, wherever in the file, or names in a string that it imports by."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        found |= {name.partition(".")[0] for name in names}
    found |= {name.partition(".")[0] for name in named_late(path)}
    return found & set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    text = path.read_text(encoding="utf-8")
    for other in imported_rooms(path) - {room}:
        assert FLOORS[other] < FLOORS[room], f"{room} may not import {other}"
    assert len(text.splitlines()) <= 400
    assert path.stem not in BANNED
    tree = ast.parse(text)
    docstring = ast.get_docstring(tree)
    assert docstring, "no first sentence"
    assert "placeholder" not in docstring
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec"}
        if isinstance(node, ast.Import):
            assert "pickle" not in {alias.name for alias in node.names}


@pytest.mark.parametrize("room", FLOORS)
def test_rooms_are_ours(room: str) -> None:
    """`agents` and `evals` are also names of other distributions: this checkout's must be the ones imported."""
    module = importlib.import_module(room)
    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(ROOT)


def test_help_is_quick_and_light() -> None:
    """Must show 7: under 0.3 s (the best of three: other tests share the machine), nothing heavy imported."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "retort", "--help"], cwd=ROOT, capture_output=True, text=True)
        times.append(time.perf_counter() - begun)
        assert done.returncode == 0
        assert "leaderboard" in done.stdout
    assert min(times) < 0.3
    program = (
        "import sys; from retort.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(out.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "retort.config",
        "retort.pipeline",
        "retort.stages",
        "finetune.sft",
        "finetune.pretrain",
        "finetune.dpo",
        "finetune.methods",
        "distill.exam.build",
        "evals.leaderboard",
    ],
)
def test_configs_load_without_torch(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    late = {"torch", "transformers", "trl", "datasets", "peft", "matplotlib"}
    # A second of CPU of every command.
    late |= {"langgraph", "langchain_core", "sklearn"} if module == "retort.config" else set()
    assert not late & set(out.stdout.split())


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/*.toml")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_example_parses(path: Path) -> None:
    from retort.config import load_config

    assert load_config(path).name


def test_no_code_names_a_microdomain() -> None:
    """Must show 3: nginx and curl run by the same code as anything else."""
    for path in MODULES:
        text = path.read_text(encoding="utf-8").lower()
        assert "nginx" not in text.replace("the nginx exam", ""), path
        assert "curl" not in text, path


def test_langgraph_json_names_what_is_there() -> None:
    graphs = json.loads((ROOT / "langgraph.json").read_text())["graphs"]
    assert set(graphs) == {"teacher", "student", "search"}
    for target in graphs.values():
        module, _, name = target.partition(":")
        assert hasattr(importlib.import_module(module), name)


def test_the_project_file_and_the_constraints_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert {"torch", "transformers", "trl", "peft", "langgraph", "langchain-core"} <= pinned
    assert project["scripts"]["retort"] == "retort.cli:main"
