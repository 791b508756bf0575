"""The demonstrator that errs on purpose: how often, and from what its errors follow; the plain one is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import little
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from agents.context import Seat, Team
from agents.errors import SeatError
from agents.files import write_jsonl
from agents.models.samples import current_sample, sampling
from agents.models.scripted import AnswerKey, open_scripted
from agents.providers.scripted import script_of
from agents.task import Task
from graphs.episode import Table, play


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    return little.tasks(little.library())


@pytest.fixture(scope="module")
def exam(tasks: list[Task], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exam") / "exam.jsonl"
    write_jsonl(path, tasks)
    return path


def seat(exam: Path, name: str) -> AnswerKey:
    found: Any = open_scripted(name, str(exam))
    return found.bind_tools([{"name": "search"}])


def opening(task: Task) -> list[BaseMessage]:
    return [SystemMessage("Look things up."), HumanMessage(task.question)]


def read(task: Task, hops: int) -> list[BaseMessage]:
    """A conversation in which the first hops of a task are looked up."""
    found = opening(task)
    for at, hop in enumerate(task.hops[:hops]):
        call = {"name": "search", "args": {"query": f"{hop.entity} default"}, "id": f"c{at}"}
        found += [AIMessage("", tool_calls=[call]), ToolMessage(f"[1] {hop.title}\n{hop.quote}", tool_call_id=f"c{at}")]
    return found


def test_no_errors_are_the_plain_demonstrator(exam: Path, tasks: list[Task]) -> None:
    plain, none = seat(exam, "answer-key"), seat(exam, "answer-key?errors=0")
    for task in tasks:
        for hops in range(len(task.hops) + 1):
            with sampling(3):
                assert none.reply(read(task, hops)) == plain.reply(read(task, hops))


def test_always_wrong_answers_early_and_never_with_the_gold(exam: Path, tasks: list[Task]) -> None:
    wrong = seat(exam, "answer-key?errors=1")
    lookup, pair = tasks[0], tasks[-1]
    early = wrong.reply(opening(lookup))
    assert not early.tool_calls and str(early.content).startswith("I know this one.\nAnswer: ")
    half = wrong.reply(read(pair, 1))
    assert str(half.content).endswith(f"The manual says so.\nAnswer: {pair.hops[0].value}")
    last = wrong.reply(read(lookup, 1))
    assert f"Quote: {lookup.hops[0].quote}" in str(last.content)
    for task in tasks[:-1]:
        said = [str(wrong.reply(read(task, n)).content).rpartition("Answer: ")[2] for n in (0, 1)]
        assert task.gold not in said


def test_errors_follow_from_question_sample_and_turn(exam: Path, tasks: list[Task]) -> None:
    one, two = seat(exam, "answer-key?errors=0.3"), seat(exam, "answer-key?errors=0.3")
    found = []
    for sample in range(20):
        with sampling(sample):
            assert current_sample() == sample
            replies = [one.reply(opening(task)) for task in tasks]
            assert replies == [two.reply(opening(task)) for task in reversed(tasks)][::-1]
        found += [not reply.tool_calls for reply in replies]
    assert current_sample() == 0
    assert 0.26 < sum(found) / len(found) < 0.34
    assert len(found) == 20 * len(tasks)


async def test_samples_of_a_task_part_in_play(kettle: Path, tasks: list[Task]) -> None:
    path = kettle / "exam.jsonl"
    player = Team(name="teacher", reason=Seat(model=f"scripted:answer-key?errors=0.5@{path}"))
    table = Table.from_context(little.context(kettle, team=player, verify="score"))
    task = next(each for each in tasks if each.split == "train")
    episodes = [await play(task, table, sample=sample) for sample in range(8)]
    assert {t.verdict.accepted for t in episodes} == {True, False}
    again = await play(task, table, sample=5)
    assert again.messages == episodes[5].messages


@pytest.mark.parametrize("name", ["answer-key?errors=2", "answer-key?errors=x", "answer-key?x=1", "lines?errors=0.1"])
def test_an_option_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SeatError, match="errors=SHARE, a number from 0 to 1"):
        script_of(name)
