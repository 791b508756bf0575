"""Registries: built-in parts load late, other packages and the user's own files offer more, wrong names are told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.errors import ConfigError
from agents.registry import Registry, file_of

ROOT = Path(__file__).resolve().parents[1]
PART = '''
from test_registry import greetings

@greetings.register("polite")
def polite(name: str) -> str:
    """Greets."""
    return f"Good day, {name}"
'''
greetings: Registry[Callable[[str], str]] = Registry("greeting", {"polite": "registry_example"})


@pytest.fixture(autouse=True)
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "registry_example.py").write_text(PART)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_built_in_part_is_imported_when_it_is_asked_for(example: Path) -> None:
    assert "polite" in greetings and greetings.names()[0] == "polite"
    assert greetings.get("polite")("Ada") == "Good day, Ada"
    assert greetings.file("polite") == example / "registry_example.py"


def test_the_users_own_part_is_named_by_its_file(example: Path) -> None:
    file = example / "mine.py"
    file.write_text("def rude(name):\n    return f'Oi, {name}'\n")
    part = greetings.get(f"{file}:rude")
    assert part("Ada") == "Oi, Ada" and file_of(part) == file
    assert greetings.names() == ["polite"], "what one config names is no part for all"
    assert greetings.get(f"{file}:rude") is part and not greetings.builtin(f"{file}:rude")
    with pytest.raises(ConfigError, match=r"greeting '.*mine.py:kind': '.*mine.py' has no 'kind'; it has rude"):
        greetings.get(f"{file}:kind")
    with pytest.raises(ConfigError, match="there is no file"):
        greetings.get(f"{file}.py:rude")


def test_a_wrong_name_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no greeting is named 'polit'; there are polite.*; did you mean 'polite'\?"):
        greetings.get("polit")


def test_two_parts_of_one_name_are_a_mistake() -> None:
    one: Registry[Callable[[str], str]] = Registry("greeting", {})
    one.register("short")(str.upper)
    one.register("same")(file_of)
    one.register("same")(file_of)  # a module that is imported again
    with pytest.raises(ValueError, match="two parts of the kind greeting are named 'same'"):
        one.register("same")(example)


def test_another_package_offers_parts_by_entry_points(tmp_path: Path) -> None:
    about = tmp_path / "elsewhere-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[retort.greetings]\nbrief = elsewhere:brief\nbroken = elsewhere:absent\n")
    (tmp_path / "elsewhere.py").write_text("def brief(name):\n    return name\n")
    program = (
        "from agents.registry import Registry\nfrom agents.errors import ConfigError\n"
        "found = Registry('greeting', {})\nprint(found.names(), found.get('brief')('Ada'))\n"
        "try: found.get('broken')\nexcept ConfigError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[0] == "['brief', 'broken'] Ada"
    assert "the greeting 'broken' of the package elsewhere cannot be loaded (AttributeError" in done.stdout
