"""The search agent: which lines of a passage are left, how long ones are cut, and what seats of its own may do."""

from __future__ import annotations

import json
from pathlib import Path

import little
import pytest
from openai_server import serving

from agents.context import Board, Seat, Team
from agents.corpus.chunks import Chunk
from agents.models.scripted import LineScript
from agents.search import LINE_CHARS, NOTHING, extract, nearest_lines, read, rewrite, window
from graphs.episode import Table, play

PAGE = Chunk(
    id="p#0",
    document="p",
    title="--ca-native",
    text="Load CA certificates of the system.\n\nThe native store is used.\n\nAdded in: 8.2.0\n\nProtocols: TLS",
)


def test_the_lines_nearest_to_the_query_in_their_order() -> None:
    assert (
        nearest_lines("--ca-native added in version", PAGE, 2) == "Load CA certificates of the system.\nAdded in: 8.2.0"
    )
    assert nearest_lines("--ca-native protocols", PAGE, 3) == "Load CA certificates of the system.\nProtocols: TLS"


def test_a_query_that_only_names_the_page_leaves_its_first_lines() -> None:
    assert nearest_lines("--ca-native", PAGE, 2).startswith("Load CA certificates of the system.\n")
    assert nearest_lines("anything", PAGE.model_copy(update={"text": "\n# \n"}), 2) == ""


def test_a_long_line_is_cut_round_its_match_and_stays_verbatim() -> None:
    line = "f(" + ", ".join(f"argument_{n}={n}" for n in range(60)) + ")"
    cut = window(line, {"argument_40"})
    assert "argument_40=40" in cut
    assert len(cut) <= LINE_CHARS + 4
    assert cut.removeprefix("… ").removesuffix(" …") in line
    assert window("short", {"x"}) == "short"
    assert window(line, {"absent"}) == line[:LINE_CHARS] + " …"


@pytest.mark.parametrize(("reply", "used"), [("heater_limit default\nSure!", "heater_limit default"), ("  ", "raw")])
async def test_a_search_seat_rewrites_and_an_empty_rewrite_is_ignored(kettle: Path, reply: str, used: str) -> None:
    with serving(LineScript(rows=[{"reply": reply}])) as server:
        seat = Seat(model=f"openai:m@{server.url}")
        context = little.context(kettle, team=Team(name="t", reason=seat, search=seat))
        text, (row,) = await rewrite(context, "raw")
    assert (text, row["role"], row["prompt"], row["completion"]) == (used, "search", 50, 10)


async def test_without_a_search_seat_the_query_goes_in_as_written(kettle: Path) -> None:
    assert await rewrite(little.context(kettle), "raw") == ("raw", [])


async def test_an_extract_seat_may_only_copy(kettle: Path) -> None:
    lines = ["Added in:   8.2.0", "Added in: 9.9.9", "The native store is used."]
    said = json.dumps({"lines": lines})
    with serving(LineScript(rows=[{"reply": said}])) as server:
        seat = Seat(model=f"openai:m@{server.url}")
        team = Team(name="t", reason=seat, extract=seat)
        context = little.context(kettle, team=team, board=Board(extract="seat"))
        text, spent = await read(context, "q", [PAGE, PAGE])
    kept = "Added in: 8.2.0\nThe native store is used."
    assert text == f"[1] --ca-native\n{kept}\n\n[2] --ca-native\n{kept}"
    assert [(row["role"], row["prompt"]) for row in spent] == [("extract", 50), ("extract", 50)]


async def test_an_extract_seat_that_finds_nothing(kettle: Path) -> None:
    with serving(LineScript(rows=[{"reply": '{"lines": []}'}])) as server:
        seat = Seat(model=f"openai:m@{server.url}")
        context = little.context(kettle, team=Team(name="t", reason=seat), board=Board(extract="seat"))
        assert (await read(context, "q", [PAGE]))[0] == NOTHING
        assert await read(context, "q", []) == (NOTHING, [])


async def test_a_seat_in_process_copies_plain_lines(kettle: Path, tmp_path: Path) -> None:
    """A small student writes no JSON: it is asked for lines, and what is not in the passage is thrown away."""
    seat = little.seat(tmp_path, [{"reply": "Added in:   8.2.0\nAdded in: 9.9.9"}])
    context = little.context(kettle, team=Team(name="t", reason=seat), board=Board(extract="seat"))
    assert (await read(context, "q", [PAGE]))[0] == "[1] --ca-native\nAdded in:   8.2.0"
    assert extract(little.context(kettle), "q", []) == NOTHING


async def test_an_episode_with_whole_passages(kettle: Path) -> None:
    task = little.tasks(little.library())[0]
    trajectory = await play(task, Table.from_context(little.context(kettle, board=Board(extract="off"))))
    assert trajectory.verdict.accepted
    assert "Kind: number" in trajectory.searches[0].extract
