"""Tools: what is offered, what a call may look like, what the manual's and the user's own bring, and planned faults."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import little
import pytest

from agents.context import Board, FaultKind, Limits, ToolFaults
from agents.corpus.chunks import Chunk
from agents.corpus.library import Library
from agents.errors import ConfigError
from agents.search import NOTHING
from agents.tools import SEARCH, Observation, call_problem, close_kits, offered, use
from agents.tools.faults import planned, spoiled
from agents.tools.results import RESULT_CHARS

OWN = '''
from __future__ import annotations
import asyncio, sys, threading, time
from langchain_core.tools import ToolException, tool

def boiling(altitude: int, unit: str = "C") -> str:
    """The boiling point of water.

    Args:
        altitude: Metres above the sea.
        unit: C or F.
    """
    if altitude < 0:
        raise ValueError("no water\\nbelow the sea: read /srv/secret/tables/water.csv")
    return f"{100 - altitude / 300:.1f} {unit} in {threading.current_thread().name}"

async def slowly(seconds: float) -> str:
    """Wait."""
    await asyncio.sleep(seconds)
    return "waited"

def hanging() -> str:
    """Hang."""
    time.sleep(1.5)
    return "late"

def leaving() -> str:
    """Leave."""
    sys.exit(1)

def whole_book() -> dict:
    """A long text."""
    return {"text": "tea " * 3000}

def nothing() -> str:
    """Say nothing."""
    return ""

@tool
def refusing(room: str) -> str:
    """Refuse."""
    raise ToolException(f"{room} is locked")

refusing.handle_tool_error = True
UNMADE = 3
def undescribed(x):
    return x
'''


@pytest.fixture(autouse=True)
async def kits_closed() -> AsyncIterator[None]:
    """Sessions of a test end in its own loop."""
    yield
    await close_kits()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a user's own tools."""
    path = tmp_path_factory.mktemp("own") / "kettle_tools.py"
    path.write_text(OWN)
    return path


@pytest.fixture(scope="module")
def made() -> Library:
    """The kettle's library."""
    return little.library()


async def used(kettle: Path, board: Board, name: str, **arguments: Any) -> Observation:
    """Call a tool of a board; the call passes the check first, and the observation is as it must be."""
    assert call_problem(name, arguments, offered(board)) is None
    seen = await use(little.context(kettle, board=board), Library.open(kettle / "library"), name, arguments)
    if seen.error is not None:
        assert seen.text == f"Error: {seen.error}"
        assert "\n" not in seen.text
        assert len(seen.text) <= 300
        assert not any(word in seen.text for word in ("/srv", "/work", "/home", "Traceback"))
    return seen


def test_search_is_the_tool_that_students_were_trained_on() -> None:
    today = (
        '{"type": "function", "function": {"name": "search", "description": "Search the manual.", "parameters": '
        '{"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}}}'
    )
    assert json.dumps(SEARCH) == today
    assert offered(Board()) == (SEARCH,)


BOARD = Board(tools=("search", "open", "find"))


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("search", {"query": "x"}, None),
        ("rm", {}, "there is no tool named 'rm'"),
        (None, {}, "there is no tool named None"),
        ("search", "x", 'the argument "query" must be a string'),
        ("search", {"q": "x"}, 'the argument "query" must be a string'),
        ("search", {"query": " "}, 'the argument "query" is empty'),
        ("search", {"query": "x", "k": 3}, "unknown argument 'k'"),
        ("open", {"page": 3}, 'the argument "page" must be a string'),
        ("find", {"text": "x", "page": "y"}, "unknown argument 'page'"),
    ],
)
def test_calls_of_the_manuals_tools(name: str | None, arguments: Any, problem: str | None) -> None:
    assert call_problem(name, arguments, offered(BOARD)) == problem


def test_a_tool_that_is_not_offered_is_no_tool() -> None:
    assert call_problem("open", {"page": "x"}, offered(Board())) == "there is no tool named 'open'"
    assert call_problem("search", {"query": "x"}, ()) == "there is no tool named 'search'"


WIDE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "unit": {"enum": ["C", "F"]},
        "at": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": ["number", "null"]}}}},
        "name": {"type": "string", "pattern": r"^\p{L}+$"},
    },
    "required": ["n"],
}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"n": 1, "unit": "C", "at": [{"x": None}]}, None),
        ([], "the arguments must be an object"),
        ({}, 'the argument "n" is missing'),
        ({"n": "1"}, 'the argument "n" must be a whole number'),
        ({"n": True}, 'the argument "n" must be a whole number'),
        ({"n": 1, "unit": "K"}, 'the argument "unit" must be one of "C", "F"'),
        ({"n": 1, "at": [{"x": "here"}]}, 'the argument "at[0].x" must be a number or null'),
        ({"n": 1, "m": 1}, "unknown argument 'm'"),
        ({"n": 1, "name": "a"}, None),  # a pattern that Python cannot read is left to the tool
    ],
)
def test_calls_of_other_tools(arguments: Any, problem: str | None) -> None:
    tools = ({"type": "function", "function": {"name": "t", "parameters": WIDE}},)
    assert call_problem("t", arguments, tools) == problem
    closed = {**WIDE, "additionalProperties": False}
    assert (
        call_problem("t", arguments, ({"type": "function", "function": {"name": "t", "parameters": closed}},))
        == problem
    )


@pytest.mark.parametrize(
    "page", ["The heater > heater_limit", "the HEATER > heater_limit", "heater_limit", "`Heater_Limit`"]
)
async def test_open_finds_a_section_by_its_title_or_the_end_of_it(kettle: Path, page: str) -> None:
    seen = await used(kettle, BOARD, "open", page=page)
    assert seen.text.startswith("[1] The heater > heater_limit\nDefault: 3\n\nAdded in: 1.0.0")
    assert [chunk for chunk, _ in seen.hits] == [little.chunk_of("heater_limit", little.library())]


async def test_open_shows_a_page_piece_by_piece(kettle: Path, made: Library) -> None:
    whole: list[str] = []
    page, pieces = "The pump", 0
    while page:
        seen = await used(kettle, BOARD, "open", page=page)
        assert len(seen.text) < 4500
        whole += [chunk for chunk, _ in seen.hits]
        pieces += 1
        note = seen.text.rpartition("\n")[2]
        page = note.split('"')[1] if note.startswith("(") else ""
    assert whole == [chunk.id for chunk in made.chunks if chunk.document == "pump"]


async def test_the_pieces_of_a_section_are_joined(kettle: Path) -> None:
    parts = [Chunk(id=f"a#{n}", document="a", title="A", text=f"{n} " * 900, part=n) for n in range(4)]
    seen = await use(little.context(kettle), Library.of(parts), "open", {"page": "a"})
    assert seen.text.startswith("[1] A\n0 0 0")
    assert seen.text.endswith('1 1\n\n(3,600 more characters: open "a#2")')
    assert seen.hits == (("a#0", 1.0), ("a#1", 1.0))


async def test_a_page_that_is_not_there(kettle: Path) -> None:
    seen = await used(kettle, BOARD, "open", page="heater_limits")
    assert seen.error is not None
    assert seen.error.startswith('there is no page "heater_limits"; the nearest: "The heater > heater_limit", "')
    assert seen.error.count(" > ") == 3
    assert seen.hits == ()
    twice = Library.of([Chunk(id=f"{n}#0", document=str(n), title=f"{n} > Usage", text="tea") for n in range(2)])
    seen = await use(little.context(kettle), twice, "open", {"page": "usage"})
    assert seen.error == '2 pages are called "usage": "0 > Usage", "1 > Usage"'


async def test_find_brings_lines_with_their_sections(kettle: Path) -> None:
    seen = await used(kettle, BOARD, "find", text="Default:  3")
    blocks = seen.text.split("\n\n")
    assert blocks[0] == "[1] The heater > heater_limit\nDefault: 3"  # whole words before `Default: 31`
    assert len(blocks) == 9
    assert blocks[8].endswith("more passages hold it)")
    assert len(seen.hits) == 8
    across = await used(kettle, BOARD, "find", text="Default: 17 Added in: 3.2.2")
    assert across.text == "[1] The heater > heater_margin\nDefault: 17 Added in: 3.2.2"
    assert (await used(kettle, BOARD, "find", text="default: 3")) == Observation(NOTHING)


async def test_held_out_chunks_are_neither_opened_nor_found(kettle: Path, made: Library) -> None:
    barred = little.chunk_of("heater_delay", made)
    without, context = Library.open(kettle / "library", without={barred}), little.context(kettle, board=BOARD)
    page = await use(context, without, "open", {"page": "The heater"})
    assert page.error is None
    assert "heater_delay" not in page.text
    assert (await use(context, without, "open", {"page": "heater_delay"})).error is not None
    assert (await use(context, without, "open", {"page": barred})).error is not None
    assert (await use(context, without, "find", {"text": "Default: 5ms"})).text == NOTHING
    assert (await use(context, made, "find", {"text": "Default: 5ms"})).hits[0][0] == barred


def mine(own: Path, *names: str, seconds: float = 30.0) -> Board:
    """A board with the user's own tools."""
    return Board(tools=("search", *(f"{own}:{name}" for name in names)), limits=Limits(tool_seconds=seconds))


async def test_a_users_function_is_offered_with_its_schema_and_runs_in_a_thread(kettle: Path, own: Path) -> None:
    board = mine(own, "boiling")
    search, boiling = offered(board)
    assert search == SEARCH
    assert boiling["function"]["description"] == "The boiling point of water."
    assert boiling["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "altitude": {"description": "Metres above the sea.", "type": "integer"},
            "unit": {"description": "C or F.", "type": "string", "default": "C"},
        },
        "required": ["altitude"],
    }
    assert (
        call_problem("boiling", {"altitude": "high"}, offered(board))
        == 'the argument "altitude" must be a whole number'
    )
    assert await used(kettle, board, "boiling", altitude=300) == Observation("99.0 C in retort-tool")


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("boiling", {"altitude": -1}, "boiling failed: ValueError: no water below the sea: read water.csv"),
        ("refusing", {"room": "the cellar"}, "refusing failed: the cellar is locked"),
        ("leaving", {}, "leaving failed: SystemExit: 1"),
        ("hanging", {}, "hanging timed out after 0.2 s"),
        ("slowly", {"seconds": 5.0}, "slowly timed out after 0.2 s"),
    ],
)
async def test_what_goes_wrong_in_a_tool_is_an_observation(
    kettle: Path, own: Path, name: str, arguments: dict[str, Any], error: str
) -> None:
    begun = time.monotonic()
    seen = await used(
        kettle, mine(own, "boiling", "refusing", "leaving", "hanging", "slowly", seconds=0.2), name, **arguments
    )
    assert seen.error == error
    assert time.monotonic() - begun < 1.4


async def test_long_and_empty_results(kettle: Path, own: Path) -> None:
    board = mine(own, "whole_book", "nothing", "slowly")
    text = (await used(kettle, board, "whole_book")).text
    assert text.startswith('{"text": "tea ')
    assert text.endswith("…\n(8,012 more characters were cut)")
    assert len(text) < RESULT_CHARS + 50
    assert (await used(kettle, board, "nothing")).text == "(no output)"
    assert (await used(kettle, board, "slowly", seconds=0.0)).text == "waited"


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        (("serach",), "there is no tool 'serach'; there are search, open, find"),
        (("search", "search"), "another tool named 'search'"),
        (("no_such_module:f",), "'no_such_module' cannot be imported"),
        (("own.py:boiling",), "whole path"),
        (("/no/such/file.py:boiling",), "no file '/no/such/file.py'"),
        (("OWN:boilng",), "has no 'boilng'; it has boiling"),
        (("OWN:UNMADE",), "is of type int"),
        (("OWN:undescribed",), "give the function a docstring"),
        (("OWN:boiling", "OWN:boiling"), "another tool named 'boiling'"),
    ],
)
def test_a_wrong_spec_names_itself_and_the_next_step(own: Path, tools: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        offered(Board(tools=tuple(spec.replace("OWN", str(own)) for spec in tools)))
    assert said in str(caught.value)


def test_a_tool_may_not_take_the_name_of_the_manuals(tmp_path: Path) -> None:
    path = tmp_path / "taken.py"
    path.write_text('def find(text: str) -> str:\n    """Find."""\n    return text\n')
    with pytest.raises(ConfigError, match="another tool named 'find'"):
        offered(Board(tools=("search", f"{path}:find")))


def test_as_many_calls_go_wrong_as_are_to_and_each_kind_as_often() -> None:
    faults = ToolFaults(rate=0.1, seed=3)
    calls = [(f"question {n // 4}", n % 2, n // 2 % 2) for n in range(10_000)]
    drawn = {call: planned(faults, "search", *call) for call in calls}
    kinds = Counter(kind for kind in drawn.values() if kind)
    assert abs(kinds.total() / 10_000 - 0.1) < 0.01
    assert set(kinds) == set(faults.kinds)
    assert all(abs(count - kinds.total() / 5) < 60 for count in kinds.values())
    assert {call: planned(faults, "search", *call) for call in reversed(calls)} == drawn
    assert {call: planned(ToolFaults(rate=0.1, seed=4), "search", *call) for call in calls} != drawn
    always = ToolFaults(rate=1.0, tools=("open",), kinds=("stale",))
    assert planned(always, "open", "q", 0, 0) == "stale"
    assert planned(always, "search", "q", 0, 0) is None
    assert planned(ToolFaults(rate=0.0), "open", "q", 0, 0) is None
    assert planned(ToolFaults(rate=1.0, kinds=()), "open", "q", 0, 0) is None


@pytest.mark.parametrize(
    ("kind", "spoilt"),
    [
        ("timeout", ("Error: search timed out after 30 s", "search timed out after 30 s")),
        ("empty", (NOTHING, None)),
        ("error", ("Error: search failed: internal server error", "search failed: internal server error")),
        ("truncated", ("[1] The heater\nDefa…", None)),
        ("stale", ("earlier", None)),
    ],
)
def test_faults(kind: FaultKind, spoilt: tuple[str, str | None]) -> None:
    text = "[1] The heater\nDefault: 3\n\n[2] The pump\nRate: 17"
    assert spoiled(kind, "search", text, "earlier", 30.0) == spoilt
