"""The seam of providers: nobody names one outside its own files, and another package's or the user's own one plays."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import little
import pytest
import silence
from langchain_core.messages import HumanMessage

from agents.context import Seat
from agents.errors import ConfigError, SeatError
from agents.models.desk import call
from agents.providers import Spec, known_of, names_where, provider_of, providers, split_spec
from agents.tools import SEARCH
from graphs.board import seat_identity, seat_parts
from graphs.runner.ledger import Ledger
from retort.config import load_config
from retort.trust import named

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("agents", "graphs", "distill", "finetune", "evals", "retort")
NAMES = ("openai", "vllm", "hf", "langchain", "scripted")
OWN = ("agents/providers/", *(f"agents/models/{name}.py" for name in ("openai", "vllm", "hf", "langchain_class")))
OWN += ("agents/models/scripted.py",)
"""Files of the providers: their registration, and what they open."""
OTHER_KINDS = re.compile(r"export|grammar\.py")
"""Files in which `hf` and `openai` name formats of exported data."""
PROVIDER = '''
"""A provider of another package: its only model repeats one answer."""

from langchain_core.language_models.fake_chat_models import FakeListChatModel

from agents.providers import Provider


class Echo(Provider):
    """Seats `echo:WORDS`."""

    def open(self, spec, seat):
        """A model that says its own name."""
        return FakeListChatModel(responses=[f"Answer: {spec.model}"])


echo = Echo()
'''


def docstrings(tree: ast.Module) -> set[int]:
    """Ids of the constants that are docstrings, of attributes too."""
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for each in body if isinstance(body, list) else ():
            if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
                found.add(id(each.value))
    return found


def named_in(path: Path) -> Iterator[str]:
    """Places of a file where a string is a provider's name, or begins a seat's line; `openai:MODEL` is an example."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    place = path.relative_to(ROOT).as_posix()
    told = docstrings(tree)
    line = re.compile(rf"(?<![\w./-])(?:{'|'.join(NAMES)}):(?!MODEL)")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in told:
            continue
        is_name = node.value in NAMES and not OTHER_KINDS.search(place)
        if is_name or line.search(node.value):
            yield f"{place}:{node.lineno} {node.value[:60]!r}"


def test_providers_are_named_in_their_own_files_alone() -> None:
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    others = [path for path in files if not path.relative_to(ROOT).as_posix().startswith(OWN)]
    assert [place for path in others for place in named_in(path)] == []
    assert {name for name in providers.names() if ":" not in name} == set(NAMES)
    assert [name for name in NAMES if not any(named_in(ROOT / f"agents/providers/{name}.py"))] == []


def test_what_a_provider_says_of_its_seats() -> None:
    assert names_where("json_schema") == ["openai", "vllm"]
    assert names_where("weighable") == names_where("chat_template") == ["hf"]
    lines = ("openai:m", "vllm:m@http://127.0.0.1:1/v1", "vllm:folder", "hf:tiny-base", "scripted:lines@x")
    specs = [split_spec(line) for line in lines]
    kinds = [provider_of(spec) for spec in specs]
    assert [kind.remote for kind in kinds] == [True, True, True, False, False]
    assert [kind.paid(spec) for kind, spec in zip(kinds, specs, strict=True)] == [True, True, False, False, False]
    assert [kind.shareable(spec) for kind, spec in zip(kinds, specs, strict=True)] == [True, True, False, False, True]
    assert [spec.line for spec in specs] == list(lines)
    assert known_of("nothing:at all") is None


def installed(folder: Path) -> Path:
    """A package in a folder that offers the provider `echo`, and one that cannot be loaded."""
    about = folder / "elsewhere-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[retort.providers]\necho = elsewhere:echo\nbroken = elsewhere:absent\n")
    (folder / "elsewhere.py").write_text(PROVIDER)
    return folder


CONFIG = """
name = "kettle"
[corpus]
manuals = "manual"
facts = "facts.jsonl"
[exam]
train = 20
test = 20
[collect]
tasks = 2
[student]
stages = []
[teams.teacher]
reason = { model = "TEACHER", transport = "text" }
[teams.student]
reason = { model = "TEACHER", transport = "text" }
"""


def started(folder: Path, teacher: str, *commands: str, more: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The last of some commands over a run, with `more` on the path of imports."""
    if not (folder / "run.toml").exists():
        little.write_microdomain(folder)
    (folder / "run.toml").write_text(CONFIG.replace("TEACHER", teacher), encoding="utf-8")
    paths = [str(more)] if more is not None else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, silence.path(ROOT)])}
    environment["XDG_STATE_HOME"] = str(folder / "state")
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "retort", *command.split()[:1], str(folder / "run.toml"), *command.split()[1:]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
    return done


def answers(folder: Path) -> list[str | None]:
    """What the episodes of the run in a folder ended with."""
    with Ledger(folder / "runs" / "kettle" / "ledger.sqlite") as ledger:
        return [each.answer for each in ledger.trajectories()]


def test_a_provider_of_another_package_plays_in_the_graph(tmp_path: Path) -> None:
    done = started(tmp_path, "echo:451 degrees", "index", "exam", "collect", more=installed(tmp_path / "site"))
    assert done.returncode == 0, done.stderr
    assert answers(tmp_path) == ["451 degrees"] * 2
    done = started(tmp_path, "echo:451 degrees", "doctor", more=tmp_path / "site")
    assert "opened: FakeListChatModel" in done.stdout
    done = started(tmp_path, "broken:x", "plan", more=tmp_path / "site")
    assert done.returncode == 2
    assert "the provider 'broken' of the package elsewhere cannot be loaded" in done.stderr


def test_a_provider_of_the_users_own_is_run_only_when_it_was_agreed_to(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    own = f"from pathlib import Path\nPath({str(mark)!r}).touch()\n{PROVIDER}"
    (tmp_path / "mine.py").write_text(own, encoding="utf-8")
    done = started(tmp_path, "mine.py:echo:451 degrees", "index")
    assert done.returncode == 2 and not mark.exists()
    assert f"the seat teams.teacher.reason imports {tmp_path / 'mine.py'}: its code runs here" in done.stderr
    done = started(tmp_path, "mine.py:echo:451 degrees", "index --trust", "exam", "collect")
    assert done.returncode == 0, done.stderr
    assert mark.exists()
    assert answers(tmp_path) == ["451 degrees"] * 2


async def test_a_model_that_takes_no_tools_is_told_another_transport(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PROVIDER, encoding="utf-8")
    with pytest.raises(SeatError, match=r"FakeListChatModel takes no tools; set its transport = 'text'"):
        await call(Seat(model=f"{tmp_path / 'mine.py'}:echo:x"), "reason", [HumanMessage("q")], tools=[SEARCH])


def test_a_players_code_is_a_part_of_it_wherever_its_file_lies(tmp_path: Path) -> None:
    hashes = []
    for name, text in (("a", PROVIDER), ("b", PROVIDER), ("c", PROVIDER + "# other\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(text, encoding="utf-8")
        seat = Seat(model=f"{tmp_path / name / 'mine.py'}:echo:x")
        assert set(seat_parts(seat)) >= {"code", "model"}
        hashes.append(seat_identity(seat))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_line_of_the_users_own_provider_is_read_whole(tmp_path: Path) -> None:
    assert split_spec("/home/me/mine.py:Mine:big%40x@http://h:1/v1") == Spec(
        "/home/me/mine.py:Mine", "big@x", "http://h:1/v1"
    )
    assert split_spec("my.module:Mine:a:b").model == "a:b"
    (tmp_path / "mine.py").write_text("mine = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="is a int: make it a Provider"):
        provider_of(split_spec(f"{tmp_path / 'mine.py'}:mine:x"))
    with pytest.raises(SeatError, match="expected provider:model"):
        split_spec("opnai:gpt:latest")
    with pytest.raises(ValueError, match="holds a secret"):
        Seat(model="my.module:Mine:m@http://h/v1?key=abcdefgh1234")


def test_a_path_of_the_users_own_provider_is_the_configs(tmp_path: Path) -> None:
    little.write_microdomain(tmp_path)
    (tmp_path / "mine.py").write_text(PROVIDER, encoding="utf-8")
    (tmp_path / "run.toml").write_text(CONFIG.replace("TEACHER", "mine.py:echo:x"), encoding="utf-8")
    config = load_config(tmp_path / "run.toml")
    assert config.teams["teacher"].reason.model == f"{tmp_path / 'mine.py'}:echo:x"
    assert any(f"imports {tmp_path / 'mine.py'}" in item.description for item in named(config))
