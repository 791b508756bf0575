"""`retort ask`: questions of your own, played live in THE graph; every turn is printed as it comes."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from agents.context import Context, Mode
from agents.errors import ProviderError, StageError

from .folders import check_run
from .overrides import Override
from .show import WIDTH, printable, turn_lines

PROMPT = "question> "
ENDS = "one question a line; Control-D ends"


def ask(
    run_folder: Path,
    question: str | None,
    team: str,
    options: Sequence[str],
    mode: Mode,
    write: Callable[[str], None],
    read: Callable[[], str | None] | None = None,
    *,
    overrides: Sequence[Override] = (),
) -> int:
    """Let a team of a run answer `question`, or every question that `read` brings; nothing is recorded.

    Args:
        question: None = a session: `read` is asked for one after the other, and models stay open in between.
        team: student, base, a name of [student] stages, or one of the run's [teams].
        options: the answers to choose from; empty = a free answer.
        write: takes each piece of text as it comes, printable.
        read: the next question of a session, None at its end; without it questions come from standard input.
        overrides: values that replace those of the run's config (`--set`).

    Returns:
        0 where the team answered, 1 where it gave up, reached a limit or could not be read, 130 after Control-C. Of a
        session 0 where every question was answered, 2 where one failed at an endpoint, else 1.

    Raises:
        StageError: no such run or team, or what the team needs is still to be made.
        ProviderError: an endpoint failed for good.
    """
    from graphs.library import open_library

    from .config import load_config
    from .outward import settle
    from .pipeline import Run

    check_run(run_folder)
    config = load_config(run_folder, overrides)
    if traced := settle(config):
        write(traced)
    run = Run(config, run_folder)
    known = run.config.team_names()
    if team not in known:
        raise StageError(f"no team of {run.folder} is named {team!r}; there are {', '.join(known)}")
    if not (run.folder / "library").exists():
        raise StageError(f"{run.folder / 'library'} is not there: run the stage 'index' first")
    form = "choice" if options else "free"
    context = run.context(team, mode, "score", held_out=False).model_copy(update={"form": form})
    open_library(context)  # a broken one is said here, and not by a tool
    write(f"{team} ({context.team.reason.model}), {mode}\n{'-' * WIDTH}")
    with asyncio.Runner() as runner:  # one event loop for all: the connections of a seat stay open
        try:
            if question is not None:
                return answered(runner, context, question, options, write)
            return session(runner, context, options, write, read or from_terminal(write))
        finally:
            runner.run(closed())


def session(
    runner: asyncio.Runner,
    context: Context,
    options: Sequence[str],
    write: Callable[[str], None],
    read: Callable[[], str | None],
) -> int:
    """Answer one question after the other until there are no more; returns the worst status of them."""
    worst = 0
    while (question := read()) is not None:
        if not question.strip():
            continue
        try:
            status = answered(runner, context, question.strip(), options, write)
        except ProviderError as error:
            write(f"failed  {printable(str(error))}")
            status = 2
        write("")
        worst = max(worst, 1 if status == 130 else status)
    return worst


def from_terminal(write: Callable[[str], None]) -> Callable[[], str | None]:
    """Reads questions: with a prompt and line editing at a terminal, else one a line."""
    if not sys.stdin.isatty():
        return lambda: sys.stdin.readline() or None
    with suppress(ImportError):  # not on every system
        import readline  # noqa: F401  (`input` edits lines and remembers them once it is loaded)
    write(ENDS)

    def read() -> str | None:
        while True:
            try:
                return input(PROMPT)
            except EOFError:
                write("")
                return None
            except KeyboardInterrupt:
                write(f"\n{ENDS}")

    return read


def answered(
    runner: asyncio.Runner, context: Context, question: str, options: Sequence[str], write: Callable[[str], None]
) -> int:
    """Play one question and print it; returns 0, 1, or 130 after Control-C."""
    begun = time.monotonic()
    try:
        state = runner.run(played(context, question, options, write))
    except KeyboardInterrupt:
        write("stopped")
        return 130
    write(f"{'-' * WIDTH}\n{ending(state, context, time.monotonic() - begun)}")
    return 0 if state.get("stop") == "answered" else 1


async def closed() -> None:
    """Close seats and tools."""
    from agents.models import close_seats
    from agents.tools import close_kits

    await close_kits()
    await close_seats()


async def played(
    context: Context, question: str, options: Sequence[str], write: Callable[[str], None]
) -> dict[str, Any]:
    """The state in which the episode ends."""
    from graphs.episode import recursion_limit
    from graphs.react import graph

    start = {"question": question, "options": list(options)}
    state: dict[str, Any] = {}
    modes: Any = ["updates", "values"]
    stream = graph.astream(start, {"recursion_limit": recursion_limit(context)}, context=context, stream_mode=modes)  # type: ignore[call-overload]
    async for kind, part in stream:
        if kind == "values":
            state = part
            continue
        for node, update in part.items():
            for row in new_messages(node, update or {}):
                write("\n".join(turn_lines(row)))
    return state


def new_messages(node: str, update: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The messages that a node added, in the form of the record, without the instructions."""
    from graphs.episode import plain_messages

    for row in plain_messages(update.get("messages") or []):
        # A malformed turn that `repair` rewrites has been shown when it came.
        if row["role"] != "system" and not (node == "repair" and row["role"] == "assistant"):
            yield row


def ending(state: Mapping[str, Any], context: Context, seconds: float) -> str:
    """The answer, its quotes with the pages that they stand in, what the checks found, and what it cost."""
    from agents.verify import PROBLEMS

    stop = str(state.get("stop"))
    answer = state.get("answer")
    lines = [f"answer  {printable(str(answer))}" if answer is not None else f"no answer: {stop}"]
    if answer is not None and stop != "answered":
        lines.append(f"stop    {stop}")
    if state.get("options") and answer is not None:
        choice = state.get("choice")
        lines.append(f"option  {printable(str(choice))}" if choice is not None else "option  none, or more than one")
    for quote in state.get("quotes") or ():
        lines.append(f"quote   {printable(str(quote))}")
        lines.append(f"        {printable(place_of(str(quote), state, context))}")
    reasons = (state.get("verdict") or {}).get("reasons") or ()
    lines += [f"check   {PROBLEMS.get(name, name)}" for name in reasons]
    spent = state.get("spent") or []
    asked, stated = sum(row["prompt"] for row in spent), sum(row["completion"] for row in spent)
    usd = sum(row["usd"] for row in spent)
    cost = f", {usd:.4f} USD" if usd else ""
    tools = len(state.get("tool_uses") or ())
    lines.append(f"{state.get('steps', 0)} turns, {tools} tool calls, {asked} + {stated} tokens{cost}, {seconds:.2f} s")
    return "\n".join(lines)


def place_of(quote: str, state: Mapping[str, Any], context: Context) -> str:
    """Where a quote stands: the title of a page that this episode retrieved, or the tool that said it."""
    from agents.verify import grounded
    from graphs.library import open_library

    rows = state.get("tool_uses") or []
    library = open_library(context)
    for name in dict.fromkeys(hit["chunk"] for row in rows for hit in row["hits"]):
        chunk = library.chunk(name)
        if grounded([quote], [f"{chunk.title}\n{chunk.text}"]):
            return f"in {chunk.title}"
    for row in rows:
        if not row["hits"] and not row["error"] and grounded([quote], [row["extract"]]):
            return f"in what {row['tool']} said"
    return "in nothing that was retrieved"
