"""Weighs the options of a task by their likelihood: what a model knows that cannot keep to the graph's formats.

The untrained base and the base that has read the manual know neither the tools nor the answer line; played in the graph
they get 0 %, which says nothing of what they know. Here nothing is generated: an option's weight is the log-probability
of its tokens after `Answer: `. The prompt is a closed book's (prompts/cot.txt and the question); with passages, those
that a search with the question itself brings on this board stand before it, as an observation shows them.

The rule was chosen on `dev`, before `test` was looked at, among eight: the sum or the mean over the tokens, as it is or
less what the same tokens get where `?` stands for the question (the domain-conditional PMI of A. Holtzman et al. 2021,
EMNLP, 7038-7051), with the options in the prompt or without. Per token, less the prior, without the options it is:
of the dev tasks of three manuals the tiny base with passages gets 64, 62 and 56 % so, where the plain mean gets 56, 57
and 42, and with the options in the prompt 34, 36 and 31 (a small model copies from the list).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from tqdm import tqdm

from agents.bars import bars_off
from agents.errors import SeatError
from agents.files import read_models, write_jsonl
from agents.models import close_seats, open_seat
from agents.models.rendering import render
from agents.prompts import prompt
from agents.providers import names_where, provider_of, split_spec
from agents.task import Task
from agents.tools import close_kits
from graphs.episode import Table
from graphs.runner.loop import run_loop
from graphs.search import find
from graphs.trajectory import digest

from .weighed import Option, Weighed

RULE = "mean log-probability of an option's tokens after `Answer: `, less the same without the question"
OPENING = "Answer: "
NO_QUESTION = "?"
TOGETHER = 16
"""Tasks between two writes of the file."""


def weighed_key(task: Task, table: Table) -> str:
    """The key under which a task is weighed."""
    return digest(RULE, table.key(task))


def can_weigh(model: str) -> bool:
    """Whether a seat's model lies in this process: endpoints do not tell the log-probabilities of a prompt."""
    return provider_of(split_spec(model)).weighable


def weigh(path: Path, tasks: Sequence[Task], table: Table, *, title: str = "weigh") -> list[Weighed]:
    """Weigh the options of every task for the reason seat of `table` into `path`; continues when repeated.

    Args:
        table: its mode says whether passages are searched: `react` does, closed books do not.

    Raises:
        SeatError: the seat is no model of this process.
    """
    seat = table.context.team.reason
    if not can_weigh(seat.model):
        able = ", ".join(names_where("weighable"))
        raise SeatError(f"seat {seat.model!r} cannot be asked for likelihoods: only seats of {able} can")
    wanted = {weighed_key(task, table): task for task in tasks}
    rows = read_models(path, Weighed, "evaluate") if path.exists() else []
    known = {row.key: row for row in rows if row.key in wanted}
    left = [task for key, task in wanted.items() if key not in known]

    async def whole() -> None:
        try:
            with tqdm(total=len(wanted), initial=len(known), desc=title, unit="task", disable=bars_off()) as bar:
                for at in range(0, len(left), TOGETHER):
                    part = await weigh_some(left[at : at + TOGETHER], table)
                    known.update((row.key, row) for row in part)
                    write_jsonl(path, known.values())
                    bar.update(len(part))
        finally:
            await close_kits()
            await close_seats()

    if left:
        run_loop(whole())
    found = [known[key] for key in wanted]
    write_jsonl(path, found)
    return found


async def weigh_some(tasks: Sequence[Task], table: Table) -> list[Weighed]:
    """Some tasks in the same batches."""
    from agents.models.likelihood import continued, logprobs

    chat: Any = open_seat(table.context.team.reason)
    tok = chat.tokenizer
    passages = table.context.mode == "react"
    apart = prompt_ids(tok, NO_QUESTION)
    asked, rows = [], []
    for task in tasks:
        found: dict[str, Any] = await find(table.context, task.question) if passages else {"hits": [], "extract": ""}
        ids = prompt_ids(tok, "\n\n".join(part for part in (found["extract"], task.question) if part))
        asked.append((ids, tuple(chunk for chunk, _ in found["hits"])))
        for option in task.options:
            rows += [continued(tok, ids, OPENING, option), continued(tok, apart, OPENING, option)]
    values = iter(zip(rows, await asyncio.to_thread(logprobs, chat, rows), strict=True))
    made = []
    for task, (ids, hits) in zip(tasks, asked, strict=True):
        options = []
        for text in task.options:
            (row, after), (_, alone) = next(values), next(values)
            if after is not None and alone is not None:
                options.append(Option(text=text, tokens=len(row.ids), total=sum(after), prior=sum(alone)))
        whole = tuple(options) if len(options) == len(task.options) else ()
        made.append(
            Weighed(
                key=weighed_key(task, table),
                task_id=task.id,
                board=table.board,
                passages=passages,
                hits=hits,
                prompt_tokens=len(ids),
                options=whole,
                choice=max(whole, key=lambda option: option.weight).text if whole else None,
            )
        )
    return made


def prompt_ids(tok: Any, text: str) -> list[int]:
    """A closed book's prompt with `text` from the user, up to the opening of the assistant's turn."""
    from agents.models.hf import to_chat

    messages: list[AnyMessage] = [SystemMessage(prompt("cot")), HumanMessage(text)]
    return render(tok, to_chat(messages), None, add_generation_prompt=True)
