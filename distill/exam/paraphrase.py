"""Puts some training questions into a person's words, so that a student is not bound to the exam's turns of phrase.

Only training questions are reworded: dev and test are asked in the exam's own wordings, by which exams are compared.
The words are frames round what is asked for (`Tell me ...`, `NAME: default?`), without backticks, capitals or a
question mark as often as people leave them out. They are no synonyms: who writes `parent` for `base class` is not
helped by them, and `[exam.wordings]` is the place for a manual's own synonyms.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping, Sequence

from agents.task import Task

from .kinds import question_kinds
from .wording import ENTITY, parameter_of, wording

CLAUSES = (
    "Tell me {}.",
    "Can you tell me {}?",
    "Do you know {}?",
    "I need {}.",
    "I need to know {}.",
    "I am looking for {}.",
    "I would like to know {}.",
    "Give me {}.",
    "Find {} for me.",
    "Please look up {}.",
    "{}?",
    "{} please",
)
"""Frames round what is asked for as a noun phrase."""
NAMES = (
    "{entity}: {asked}?",
    "{entity}, {asked}?",
    "{entity} {asked}",
    "{entity} has which {asked}?",
    "For {entity}, what is the {asked}?",
    "I work with {entity}. What is the {asked}?",
    "About {entity}: I need the {asked}.",
    "What does {entity} have as its {asked}?",
    "What's the {asked} of {entity}?",
    "Which {asked} has {entity}?",
)
"""Frames of one look-up that name the entity and what is asked of it."""
WHOLE = ("{}", "{} Thanks.", "Hello! {}", "A question: {}", "Please help me: {}", "I wonder: {}")
"""Frames round any question."""
PLAIN, LOWER, OPEN = 0.6, 0.4, 0.3
"""Share of reworded questions without backticks, with a small first letter, without the sign at their end."""

_TICKED = re.compile(r"`([^`]+)`")
_NOUN = re.compile(r"^(?:the )(?P<noun>.+) of \{entity\}$")


def paraphrased(
    tasks: Sequence[Task],
    share: float,
    seed: int,
    own: Mapping[str, Sequence[str]] | None = None,
    framed: Collection[str] | None = None,
) -> list[Task]:
    """`tasks` with this share of the training questions reworded; `provenance` keeps the exam's wording as `asked`.

    Args:
        share: 0 to 1; each training question is reworded with this chance.
        own: attribute -> questions of the user's, as in `wording`.
        framed: kinds whose questions are plain wordings of an attribute, which frames can replace; None = those that
            say so of themselves.

    >>> from agents.task import Task
    >>> task = Task(id="a", question="What is the default of `--foo`?", gold="7", level="engineer", kind="lookup",
    ...             entities=("--foo",), group="--foo", split="train", provenance={"attribute": "default"})
    >>> paraphrased([task], 1.0, seed=3)[0].provenance["asked"]
    'What is the default of `--foo`?'
    """
    found = []
    framed = attribute_kinds() if framed is None else framed
    for task in tasks:
        rng = random.Random(f"{seed} {task.id}")
        if task.split == "train" and rng.random() < share:
            question = reworded(task, rng, own, framed)
            kept = {**task.provenance, "asked": task.question}
            found.append(task.model_copy(update={"question": question, "provenance": kept}))
        else:
            found.append(task)
    return found


def as_asked(task: Task) -> Task:
    """The task in the exam's own wording."""
    asked = task.provenance.get("asked")
    return task if asked is None else task.model_copy(update={"question": asked})


def attribute_kinds() -> list[str]:
    """The kinds whose questions are the plain wording of one attribute of one entity."""
    return [part.name for _, part in question_kinds.items() if part.asks_attribute]


def reworded(
    task: Task,
    rng: random.Random,
    own: Mapping[str, Sequence[str]] | None = None,
    framed: Collection[str] | None = None,
) -> str:
    """A question in other words; the names in it are the same."""
    framed = attribute_kinds() if framed is None else framed
    attribute = task.provenance.get("attribute", "")
    label = _label(task, attribute) if task.kind in framed and attribute else None
    if label is None:
        text = rng.choice(WHOLE).format(task.question)
    else:
        clause = wording(attribute, own).clause
        noun = _NOUN.match(clause)
        frames = (*CLAUSES, *NAMES) if noun else CLAUSES
        frame = rng.choice(frames)
        text = (
            frame.format(entity=f"`{label}`", asked=noun["noun"])
            if noun and frame in NAMES
            else frame.format(clause.replace(ENTITY, f"`{label}`"))
        )
    if rng.random() < PLAIN:
        text = _TICKED.sub(r"\1", text)
    first = text.partition(" ")[0]
    if rng.random() < LOWER and first.isalpha() and not (label or "").startswith(first.rstrip(":,")):
        text = text[:1].lower() + text[1:]
    if rng.random() < OPEN and text.endswith(("?", ".")) and not text.endswith(".."):
        text = text[:-1]
    return text


def _label(task: Task, attribute: str) -> str | None:
    """How the question calls its entity: its one name in backticks that is no parameter, or None."""
    parameter = parameter_of(attribute)
    names = [name for name in dict.fromkeys(_TICKED.findall(task.question)) if name != parameter]
    return names[0] if len(names) == 1 else None
