"""The task: one exam question with its gold, and the hops by which an honest reader finds it.

`gold` and `hops` never enter a prompt. They are read by the verifier's last check, by the scorers and by the scripted
demonstrator, which is called what it is.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .answers import same_answer

Level = Literal["engineer", "professional", "consultant"]
Form = Literal["free", "choice"]
"""free: the question alone, answered in one's own words. choice: with lettered options (the certification form)."""
Split = Literal["train", "dev", "test"]
LEVELS: tuple[Level, ...] = ("engineer", "professional", "consultant")


class Hop(BaseModel):
    """One look-up on the way to the gold."""

    model_config = ConfigDict(frozen=True)

    entity: str
    """What is looked up: an option, a directive, a function."""
    attribute: str
    """What is asked of it, in the words of the facts file."""
    value: str
    """What the manual says."""
    quote: str
    """The words of the manual that say so, verbatim, on one line."""
    chunk: str
    """Id of the chunk in which `quote` stands."""
    title: str
    """That chunk's title, by which an observation names it."""


class Task(BaseModel):
    """One exam question."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    id: str
    question: str
    """The question alone, without the options."""
    options: tuple[str, ...] = ()
    """The choices of the choice form, in the order shown; empty where the exam has none for it. Not shown otherwise."""
    gold: str
    """The right answer's text; one of `options` where there are any."""
    aliases: tuple[str, ...] = ()
    """Other spellings that are as right as `gold`."""
    parts: tuple[str, ...] = ()
    """The gold's parts where it answers two questions at once, in order; `gold` joins them with ` and `."""
    level: Level
    kind: str
    """How the question was made: lookup, bridge, pair, call, example, effective, release ..."""
    entities: tuple[str, ...]
    """Every entity that the question is about, the first one first."""
    group: str
    """What is never divided between splits: a class with its methods, a directive name over all modules."""
    groups: tuple[str, ...] = ()
    """The groups of all entities, `group` first; empty in exams that were built before they were recorded."""
    unseen_module: bool = False
    """Whether the whole module of this task was held out of training."""
    evidence: tuple[str, ...] = ()
    """Chunk ids that a searcher ought to find."""
    hops: tuple[Hop, ...] = ()
    split: Split = "train"
    provenance: dict[str, str] = Field(default_factory=dict)

    def shown(self, form: Form) -> tuple[str, ...]:
        """The options that a player sees in `form`."""
        return self.options if form == "choice" else ()


def is_right(task: Task, answer: str | None, form: Form) -> bool:
    """Whether `answer` is right of `task`: its option in the choice form, its value in the free one."""
    return same_answer(answer, task.gold, task.shown(form), aliases=task.aliases, parts=task.parts)
