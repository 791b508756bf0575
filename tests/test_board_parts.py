"""What a board is: a change of code, prompts, tools, rules or library is another board, and nothing else is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import little
import pytest
import silence

from agents.context import Board, Context, Limits, McpServer, ToolFaults
from graphs import board
from graphs.board import board_hash, board_parts, module_file, own_tools, tool_files

ROOT = Path(str(board.__file__)).parents[1]
PROGRAM = """
import importlib, json, sys
from pathlib import Path
import agents.prompts, graphs.board
from agents.context import Context

context, folder = Context.model_validate_json(sys.argv[1]), Path(sys.argv[2])
found = {"": graphs.board.board_parts(context)}
for name in sys.argv[3:]:
    path = folder / name
    before = path.read_bytes()
    path.write_bytes(before + b"\\n# other\\n")
    importlib.reload(agents.prompts)  # as a new process would read it
    importlib.reload(graphs.board)
    found[name] = graphs.board.board_parts(context)
    path.write_bytes(before)
print(json.dumps(found))
"""
PLAYING = (
    "agents/search.py",
    "agents/corpus/library.py",
    "agents/tools/kit.py",
    "agents/toolcalls/hermes.py",
    "graphs/react.py",
    "graphs/act.py",
)
PROMPTS = ("agents/prompts/react.txt", "agents/prompts/answer_choice.txt", "agents/prompts/critique.txt")
TELLING = ("graphs/labels.py", "graphs/checkpoints.py")


def parts_with_other_code(kettle: Path, copy: Path) -> dict[str, dict[str, str]]:
    """File -> parts of the board with a comment added to that file; '' -> with none. In a copy of the code."""
    for room in ("agents", "graphs"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    files = [str(copy), *PLAYING, *PROMPTS, *TELLING]
    command = [sys.executable, "-P", "-c", PROGRAM, little.context(kettle).model_dump_json(), *files]
    environment = {**os.environ, "PYTHONPATH": silence.path(copy)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


def differing(one: dict[str, str], two: dict[str, str]) -> set[str]:
    """Names of the parts that differ."""
    return {name for name in one | two if one.get(name) != two.get(name)}


@pytest.fixture(scope="module")
def plain(kettle: Path) -> dict[str, str]:
    """The parts of the kettle's board."""
    return board_parts(little.context(kettle))


def test_other_code_and_other_prompts_are_another_board(kettle: Path, tmp_path: Path, plain: dict[str, str]) -> None:
    found = parts_with_other_code(kettle, tmp_path / "copy")
    assert found[""] == plain == board_parts(little.context(kettle)), "wherever the code lies"
    for names, parts in ((PLAYING, {"graph"}), (PROMPTS, {"prompts"}), (TELLING, set())):
        for name in names:
            assert differing(plain, found[name]) == parts, name


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"board": Board(top_k=2)}, {"rules"}),
        ({"board": Board(extract="off")}, {"rules"}),
        ({"board": Board(limits=Limits(steps=5))}, {"rules"}),
        ({"verify": "revise"}, {"rules"}),
        ({"faults": ToolFaults(rate=0.5)}, {"rules"}),
        ({"board": Board(tools=("search", "open"))}, {"tools"}),
        ({"mode": "cot"}, set()),
    ],
)
def test_each_part_of_a_board_is_seen_under_its_name(
    kettle: Path, plain: dict[str, str], changes: dict[str, object], parts: set[str]
) -> None:
    assert differing(plain, board_parts(little.context(kettle, **changes))) == parts


def test_the_library_is_a_part_without_its_barred_pages(kettle: Path, plain: dict[str, str]) -> None:
    barred = board_parts(little.context(kettle, without=str(kettle / "held_out.json")))
    assert differing(plain, barred) == {"library"}


def test_a_users_own_tool_is_a_part_with_its_file(kettle: Path, tmp_path: Path, plain: dict[str, str]) -> None:
    path = tmp_path / "own.py"
    body = 'def double(number: int) -> str:\n    """Twice the number."""\n    return str({} * number)\n'

    def parts(factor: int) -> dict[str, str]:
        path.write_text(body.format(factor))
        return board_parts(little.context(kettle, board=Board(tools=("search", f"{path}:double"))))

    one = parts(2)
    assert differing(plain, one) == {"tools"}
    assert differing(one, parts(3)) == {"tools"}
    assert parts(2) == one


def test_the_boards_hash_is_another_where_any_part_is(kettle: Path, plain: dict[str, str]) -> None:
    contexts: list[Context] = [
        little.context(kettle),
        little.context(kettle, board=Board(top_k=2)),
        little.context(kettle, board=Board(tools=("open",))),
        little.context(kettle, without=str(kettle / "held_out.json")),
    ]
    hashes = [board_hash(context) for context in contexts]
    assert len(set(hashes)) == 4
    assert hashes[0] == board_hash(little.context(kettle)) == board_hash(little.context(kettle, mode="cot"))
    assert set(plain) == {"graph", "prompts", "tools", "rules", "library", "index"}


def test_the_file_of_a_module_is_found_by_path_and_by_name(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    assert module_file(str(path)) is None
    path.write_text("")
    assert module_file(str(path)) == path
    assert module_file(str(tmp_path)) is None and module_file(f"{tmp_path}.py") is None
    assert module_file("json.decoder") == Path(json.decoder.__file__)
    for absent in ("no_such_module", "json.no_such", "no_such.deep", "sys", ".relative"):
        assert module_file(absent) is None, absent


def test_tools_of_ones_own_and_scripts_of_servers_count_by_their_files(tmp_path: Path) -> None:
    own, script, data = tmp_path / "own.py", tmp_path / "serve.mjs", tmp_path / "data.json"
    for path in (own, script, data):
        path.write_text("one")
    servers = {
        "probe": McpServer(command="node", args=("--quiet", str(script), str(data), str(tmp_path / "gone.py"))),
        "direct": McpServer(command=str(own)),
        "remote": McpServer(url="http://127.0.0.1:9/x.py"),
    }
    tools = ("search", f"{own}:double", "json.decoder:JSONDecoder", "no_such_module:f")
    rules = Board(tools=tools, mcp=servers)
    assert tool_files(rules) == {
        "own.py": own,
        "json.decoder": Path(json.decoder.__file__),
        "probe/serve.mjs": script,
        "direct/own.py": own,
    }
    before = own_tools(rules)
    assert before == own_tools(rules) and len(before) == 4
    script.write_text("two")
    assert sum(one != two for one, two in zip(before, own_tools(rules), strict=True)) == 1
    assert own_tools(Board()) == []
