"""Jobs that may ask a seat: so many at once, done again where an endpoint fails, kept as they come."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agents.errors import ProviderError
from agents.files import read_jsonl
from evals.jobs import Job, work_through
from evals.journal import Journal, finished


class Work:
    """Counts what is done, and how much of it at once."""

    def __init__(self, *failures: str) -> None:
        self.failures = list(failures)
        self.done = self.at_once = self.most = 0

    def job(self, value: Any) -> Job:
        async def one() -> Any:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            try:
                await asyncio.sleep(0.01)
                if self.failures:
                    kind = self.failures.pop(0)
                    raise ProviderError(kind, f"the endpoint failed: {kind}")
                self.done += 1
                return value
            finally:
                self.at_once -= 1

        return one


async def through(folder: Path, work: Work, count: int, concurrency: int = 4) -> dict[str, Any]:
    jobs = {f"k{n}": work.job({"n": n}) for n in range(count)}
    journal = Journal(folder / "kept.jsonl")
    return await work_through(jobs, journal, folder / "ledger.sqlite", concurrency=concurrency, title="count")


async def test_so_many_jobs_are_done_at_once_and_each_once(tmp_path: Path) -> None:
    work = Work()
    assert await through(tmp_path, work, 20) == {f"k{n}": {"n": n} for n in range(20)}
    assert (work.done, work.most) == (20, 4)
    await through(tmp_path, work, 22)
    assert work.done == 22


async def test_a_failure_that_may_pass_is_outlived(tmp_path: Path) -> None:
    work = Work("server", "cut", "timeout")
    assert len(await through(tmp_path, work, 3)) == 3


async def test_a_failure_that_lasts_ends_the_work_and_what_was_done_is_kept(tmp_path: Path) -> None:
    work = Work()
    await through(tmp_path, work, 3)
    work.failures = ["auth"]
    with pytest.raises(
        ProviderError, match=r"count stopped: the endpoint failed: auth\. What was answered is kept"
    ) as at:
        await through(tmp_path, work, 6, concurrency=1)
    assert at.value.kind == "auth" and work.done == 3
    await through(tmp_path, work, 6)
    assert work.done == 6


async def test_the_same_results_make_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    for name, order in (("a", "xyz"), ("b", "zxy")):
        journal = Journal(tmp_path / name)
        for key in order:
            journal.put(key, {"of": key})
        assert [row["key"] for row in read_jsonl(tmp_path / name)] == list(order), "appended as they come"
        journal.settle()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


async def test_plain_code_waits_for_a_coroutine_also_in_a_running_loop() -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    assert finished(answer()) == 42
    assert await asyncio.to_thread(lambda: finished(answer())) == 42
