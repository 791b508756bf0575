"""The clients that are measured, each in a process of its own.

::

    python benchmarks/arms.py ARM URL IN_FLIGHT EPISODES MATERIAL [--profile FILE]

It loads and warms up, prints `ready`, waits for a line on its input, plays, and prints what it used as JSON. All arms
hold the same conversations: an episode is two calls, and the second one carries what a search has brought.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import resource
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from material import FOUND, SEARCH, SYSTEM, asked, questions

ARMS = {
    "aiohttp": "bare aiohttp loop",
    "openai": "AsyncOpenAI, its default transport",
    "openai-aiohttp": "AsyncOpenAI, DefaultAioHttpClient",
    "retort": "Retort",
    "retort-2": "Retort, workers = 2",
}
"""Arm -> its title."""
CALLS = 2
"""Calls of an episode."""
SAMPLING = {"model": "latency", "temperature": 0.0, "max_tokens": 256}

Send = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Request body -> the assistant message of the answer."""


async def episode(row: dict[str, Any], send: Send) -> None:
    """One episode as a loop without any framework plays it."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked(row)}]
    first = await send({**SAMPLING, "messages": messages, "tools": [SEARCH]})
    found = {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": FOUND}
    last = await send({**SAMPLING, "messages": [*messages, first, found], "tools": [SEARCH]})
    assert last["content"].endswith(f"Answer: {row['gold']}"), last


async def episodes(rows: Iterator[dict[str, Any]], in_flight: int, send: Send) -> None:
    """All episodes, so many at a time."""

    async def work() -> None:
        for row in rows:
            await episode(row, send)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(work())


async def play_aiohttp(url: str, in_flight: int, count: int) -> None:
    """A bare aiohttp session."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

        async def send(body: dict[str, Any]) -> dict[str, Any]:
            async with session.post(f"{url}/v1/chat/completions", json=body) as response:
                message: dict[str, Any] = (await response.json())["choices"][0]["message"]
                return message

        await measured(episodes(questions(1), 1, send), lambda: episodes(questions(count), in_flight, send))


async def play_openai(url: str, in_flight: int, count: int, *, aiohttp: bool) -> None:
    """The openai client as it comes, or over aiohttp with room for every call, as Retort has it."""
    import openai

    client = None
    if aiohttp:
        limits = type(openai.DEFAULT_CONNECTION_LIMITS)(max_connections=in_flight, max_keepalive_connections=in_flight)
        client = openai.DefaultAioHttpClient(limits=limits)
    async with openai.AsyncOpenAI(
        api_key="none", base_url=f"{url}/v1", timeout=120.0, max_retries=0, http_client=client
    ) as player:

        async def send(body: dict[str, Any]) -> dict[str, Any]:
            answer = await player.chat.completions.create(**body)
            message: dict[str, Any] = answer.choices[0].message.model_dump(exclude_none=True)
            return message

        await measured(episodes(questions(1), 1, send), lambda: episodes(questions(count), in_flight, send))


async def play_retort(url: str, in_flight: int, count: int, material: Path, *, workers: int) -> None:
    """Retort by its public path: the runner over the real graph, library and ledger."""
    from agents.context import Context, Seat, Team
    from agents.models import close_seats
    from agents.task import Task
    from graphs.episode import Table
    from graphs.runner.ledger import Ledger

    seat = Seat(model=f"openai:latency@{url}/v1", concurrency=in_flight)
    context = Context(team=Team(name="teacher", reason=seat), library=str(material / "library"))
    tasks = [
        Task(
            id=f"b{n:05}",
            question=row["question"],
            options=row["options"],
            gold=row["gold"],
            level="engineer",
            kind="lookup",
            entities=(row["entity"],),
            group=row["entity"],
        )
        for n, row in enumerate(questions(count + 1))
    ]
    table = Table.from_context(context)
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:

        async def play(chosen: list[Task], workers: int) -> None:
            done = await collected(chosen, table, ledger, in_flight, workers)
            assert (done.played, done.accepted) == (len(chosen), len(chosen)), done

        await measured(play(tasks[count:], 1), lambda: play(tasks[:count], workers))
        await close_seats()


async def collected(tasks: list[Any], table: Any, ledger: Any, in_flight: int, workers: int) -> Any:
    """The one place that knows the runner's signature."""
    from graphs.runner.collect import collect

    options: dict[str, Any] = {"workers": workers} if workers > 1 else {}
    return await collect(tasks, table, ledger, concurrency=in_flight, **options)


def cpu(who: int) -> float:
    """CPU seconds, user and system."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


PROFILE: list[cProfile.Profile] = []
"""The profile to be made, if any."""


async def measured(warm: Awaitable[None], play: Callable[[], Awaitable[None]]) -> None:
    """Warm up, wait for the word, play, and say what it cost."""
    await warm
    print("ready", flush=True)
    sys.stdin.readline()
    own, children = cpu(resource.RUSAGE_SELF), cpu(resource.RUSAGE_CHILDREN)
    with PROFILE[0] if PROFILE else nullcontext():
        await play()
    used = {"own": cpu(resource.RUSAGE_SELF) - own, "children": cpu(resource.RUSAGE_CHILDREN) - children}
    print(json.dumps(used), flush=True)


def main() -> None:
    """Play one arm."""
    parser = argparse.ArgumentParser(description="One arm of the benchmark; collect.py starts it.")
    parser.add_argument("arm", choices=ARMS)
    parser.add_argument("url")
    parser.add_argument("in_flight", type=int)
    parser.add_argument("episodes", type=int)
    parser.add_argument("material", type=Path, help="folder with library/")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write a cProfile of the arm; read it with pstats")
    chosen = parser.parse_args()
    if chosen.profile:
        PROFILE.append(cProfile.Profile())
    url, in_flight, count = chosen.url, chosen.in_flight, chosen.episodes
    if chosen.arm == "aiohttp":
        asyncio.run(play_aiohttp(url, in_flight, count))
    elif chosen.arm.startswith("openai"):
        asyncio.run(play_openai(url, in_flight, count, aiohttp=chosen.arm == "openai-aiohttp"))
    else:
        from graphs.runner.loop import run_loop

        workers = 2 if chosen.arm == "retort-2" else 1
        run_loop(play_retort(url, in_flight, count, chosen.material, workers=workers))
    if PROFILE:
        PROFILE[0].dump_stats(chosen.profile)


if __name__ == "__main__":
    main()
