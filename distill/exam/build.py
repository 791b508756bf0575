"""Builds the exam: facts and a library in, tasks of three levels with their evidence, splits and baselines out.

Deterministic under its seed. Every gold is either a line of the manual or the result of executing a scenario; a fact
that the manual does not bear out asks nothing. What can be answered without the manual is left out (guessable.py),
wrong options are dealt so that they tell nothing (choices.py), and what is left of guessing is measured (audit.py).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agents.answers import fold
from agents.corpus.facts import Fact
from agents.corpus.library import Library
from agents.errors import ExamError
from agents.task import LEVELS, Form, Task

from .association import Association
from .audit import audit, passes, refuse, renew
from .baselines import baselines
from .drafts import Draft
from .evidence import Known, find_evidence
from .fill import Filled, fill, mixture, size_of, unseen_first
from .guessable import hard
from .kinds import Material, QuestionKind, kinds_of, question_kinds
from .needs import by_kind, needed, shares_of, too_few
from .paraphrase import paraphrased
from .split import Division, HeldOut, divide, module_of, pages_hold_several
from .tasks import TaskMaker

MIN_UNSEEN, MAX_UNSEEN = 0.1, 0.25
"""Share of every kind's test questions that are about unseen modules, as far as there are such."""
ATTEMPTS = 4
"""Times that options are dealt anew after an audit that was not passed; each audit has guessers of its own."""
DEV_SHARE = 0.1
"""Share of the groups beside the test that are the dev split's."""
MOST = 1_000_000
"""Questions of a split that may be asked for."""
CELLS = 4
"""Parts of the training split; what is guessed of one is guessed from the others and the held-out ones."""
ENOUGH = 700
SURPLUS = 2
"""Drafts of a kind and split that are looked at: so many, or so many for each question wanted, whichever is more."""


class ExamConfig(BaseModel):
    """How an exam is built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    """Same seed, facts and library: same exam."""
    train: int = Field(1200, ge=0, le=MOST)
    """Training questions at the most."""
    dev: int = Field(100, ge=0, le=MOST)
    """Questions of the split on which choices are made: nothing is trained on it, and no result is reported of it."""
    test: int = Field(240, ge=1, le=MOST)
    """Held-out questions at the most."""
    engineer: float = Field(0.5, ge=0, le=1)
    """Share of one look-up questions."""
    professional: float = Field(0.3, ge=0, le=1)
    """Share of questions with two look-ups."""
    consultant: float = Field(0.2, ge=0, le=1)
    """Share of executed scenarios."""
    held_out: float = Field(0.25, gt=0, lt=1)
    """Share of the groups (a class with its methods, a name over all modules) kept for the test."""
    held_out_modules: float = Field(0.08, ge=0, lt=1)
    """Share of the modules kept out whole; they count towards `held_out`."""
    gold_cap: float = Field(0.12, gt=0, le=1)
    """Share of the questions of one kind that may have the same answer."""
    guessable: float = Field(0.08, ge=0, le=1)
    """Share of the questions of one kind that a rule which has not read the manual may answer."""
    choice: bool = True
    """Whether options are dealt for the choice form; without them every question is asked freely."""
    wordings: dict[str, tuple[str, ...]] = {}
    """Attribute -> questions of your own for it, `{entity}` in each; others are worded by the attribute's grammar."""
    paraphrased: float = Field(0.3, ge=0, le=1)
    """Share of the training questions that are put into a person's words; dev and test are not."""
    barred: float = Field(0.35, gt=0, le=1)
    """Share of the library that may be barred from training for speaking of held-out names."""
    least_test: int = Field(1, ge=1)
    """Fewer test questions than this are an error."""
    kinds: tuple[str, ...] = ()
    """Kinds of question that are asked, your own as `/path/file.py:CLASS`; empty = all that the source can be asked."""

    @field_validator("kinds")
    @classmethod
    def _kinds_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if ":" not in name and name not in question_kinds:  # the user's own is imported when the exam is built
                raise ValueError(
                    f"no question kind is named {name[:80]!r}; there are {', '.join(question_kinds.names())}"
                )
        return value

    @field_validator("wordings")
    @classmethod
    def _names_the_entity(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for asks in value.values():
            if not asks or any("{entity}" not in ask for ask in asks):
                raise ValueError("each wording needs {entity} where the name is to stand")
        return value

    @model_validator(mode="after")
    def _shares_of_one(self) -> ExamConfig:
        shares = {level: getattr(self, level) for level in LEVELS}
        if sum(shares.values()) > 1 + 1e-9:
            text = ", ".join(f"{level} {share:g}" for level, share in shares.items())
            raise ValueError(f"{text} are shares of one exam: make them sum to 1 (now {sum(shares.values()):g})")
        return self


class Exam(BaseModel):
    """Tasks, what training must not see, and what guessing gets."""

    model_config = ConfigDict(frozen=True)

    tasks: tuple[Task, ...]
    held_out: HeldOut
    counts: dict[str, Any]
    """Tasks by split, level and kind; facts used and dropped by reason; groups, modules and chunks held out."""
    baselines: dict[str, dict[str, dict[str, float]]]
    """Form -> level (and `overall`) -> baseline -> expected accuracy on the test split."""
    rejected: tuple[tuple[Fact, str], ...] = ()
    """Facts that ask nothing, with the reason."""
    audit: dict[str, float] = {}
    """Baseline -> share of all questions with options that it gets right, cross-fitted; the best one first."""

    def summary(self) -> str:
        """Counts and baselines as lines for a terminal."""
        lines = []
        for split, levels in self.counts["tasks"].items():
            text = ", ".join(f"{level} {sum(kinds.values())} {kinds}" for level, kinds in levels.items())
            lines.append(f"{split:5} {sum(sum(k.values()) for k in levels.values()):5}  {text}".replace("'", ""))
        lines.append(f"facts {self.counts['facts']}".replace("'", ""))
        lines.append(f"held out {self.counts['held_out']}".replace("'", ""))
        for form, levels in self.baselines.items():
            for level, row in levels.items():
                best = max(row, key=lambda name: row[name], default="none")
                lines.append(f"{form:6} {level:13} best baseline: {best} {row.get(best, 0.0):.1%}")
        if self.audit:
            best = next(iter(self.audit))
            lines.append(
                f"options alone: {best} {self.audit[best]:.1%} of {self.counts['options']['with']} (chance 25%)"
            )
        return "\n".join(lines)


def build_exam(
    facts: Sequence[Fact],
    library: Library,
    config: ExamConfig | None = None,
    kinds: Sequence[QuestionKind] | None = None,
) -> Exam:
    """Build the exam of `facts` over `library`.

    Args:
        kinds: the kinds of question, in the order in which their drafts are made; None = those of `config.kinds`, or
            all that execute nothing.

    Raises:
        ExamError: no facts; most of their entities stand in no document; too few questions for a test; options that can
            be told without the manual.
    """
    config = config or ExamConfig()
    kinds = kinds_of(config.kinds) if kinds is None else kinds
    if not facts:
        raise ExamError("there are no facts: an exam needs a facts.jsonl, or a source that has its own")
    known, dropped, nowhere, rejected = find_evidence(facts, library)
    rng = random.Random(config.seed)
    division = divide(
        known, library, rng, config.held_out, config.held_out_modules, DEV_SHARE if config.dev else 0.0,
        config.barred,
    )  # fmt: skip
    drafts = _Drafts(known, division, config, rng, kinds).by_split()
    counted = {split: {kind: len(found) for kind, found in kinds.items()} for split, kinds in drafts.items()}
    drafts = _hard(drafts, kinds, config, rng)
    sizes: dict[str, int] = {"train": config.train, "dev": config.dev, "test": config.test}
    shares = shares_of({level: getattr(config, level) for level in LEVELS})
    there = {split: {kind: len(found) for kind, found in kinds.items()} for split, kinds in drafts.items()}
    levels = {kind.name: kind.level for kind in kinds}
    most = {kind.name: kind.share for kind in kinds}
    mix = mixture(there, {"train": config.train, "test": config.test}, levels, shares, most)
    filled = _filled(drafts, sizes, mix, division, config, rng)
    tasks_of = TaskMaker(division, rng)
    parts = [part for parts in filled.values() for part in parts]
    renewed = withdrawn = 0
    for attempt in range(ATTEMPTS):
        more, lost = renew(parts, tasks_of.of_draft, config.seed + 100 * attempt)
        renewed, withdrawn = renewed + more, withdrawn + lost
        tasks, cells = tasks_of.of(filled)
        found = audit(tasks, cells, config.seed + 100 * attempt)
        if passes(found, len(cells)):
            break
    count = sum(task.split == "test" for task in tasks)
    if count < config.least_test:
        raise ExamError(too_few(count, config.least_test, len(known), rejected))
    refuse(found, len(cells))
    counts = {
        "tasks": by_kind(tasks),
        "wanted": sizes,
        "facts needed": needed(len(known), tasks, sizes),
        "facts": {
            "given": len(facts),
            "usable": len(known),
            **dict(dropped),
            **({"first lost": nowhere} if nowhere else {}),
        },
        "drafts": counted,
        "not guessable": there,
        "mix": {kind: round(share, 4) for kind, share in mix.items()},
        "options": {"with": len(cells), "lists dealt anew": renewed, "withdrawn": withdrawn},
        "held_out": {
            "groups": f"{len(division.held_out.groups)} of {len(division.side)}",
            "modules": len(division.held_out.modules),
            "chunks": f"{len(division.held_out.chunks)} of {len(library.chunks)}",
            "chunk share": round(len(division.held_out.chunks) / len(library.chunks), 4),
            "mention cap": division.mention_cap,
            **division.fewer(),
        },
    }
    forms: tuple[Form, ...] = ("free", "choice") if cells else ("free",)
    floor = {form: baselines(tasks, form=form) for form in forms}
    framed = [kind.name for kind in kinds if kind.asks_attribute]
    return Exam(
        tasks=tuple(paraphrased(tasks, config.paraphrased, config.seed, config.wordings, framed)),
        held_out=division.held_out,
        counts=counts,
        baselines=floor,
        audit=found,
        rejected=tuple(rejected),
    )


def cell_of(group: str, split: str) -> str:
    """The cell of a group: its split, of which the training split has several."""
    if split != "train":
        return split
    return f"train{int(hashlib.sha256(group.encode()).hexdigest(), 16) % CELLS}"


@dataclass
class _Drafts:
    """Every question that may be asked, by split and kind."""

    known: Sequence[Known]
    division: Division
    config: ExamConfig
    rng: random.Random
    kinds: Sequence[QuestionKind]

    def by_split(self) -> dict[str, dict[str, list[Draft]]]:
        """Split -> kind -> drafts; no question twice, and none in training that names what is held out."""
        barred = set(self.division.held_out.chunks)
        names = self.division.held_out.matcher()
        asked: set[str] = set()
        found: dict[str, dict[str, list[Draft]]] = {}
        for split, size in (("test", self.config.test), ("dev", self.config.dev), ("train", self.config.train)):
            found[split] = {}
            cells: dict[str, list[Known]] = {}
            for item in self.known:
                if self.division.side[item.group] == split and (split == "test" or item.hop.chunk not in barred):
                    cells.setdefault(cell_of(item.group, split), []).append(item)
            for cell, side in sorted(cells.items()):
                for kind, drafts in self._kinds(
                    side, [i for s in cells.values() for i in s], size // len(cells)
                ).items():
                    for draft in drafts:
                        if draft.kind != kind:
                            raise ExamError(f"the question kind {kind!r} makes drafts of the kind {draft.kind!r}")
                        question = fold(draft.question)
                        text = "\n".join((draft.question, draft.gold, *draft.square))
                        apart = any(self.division.side[group] != split for group in draft.groups)
                        if question in asked or apart or (split != "test" and names.within(text)):
                            continue
                        asked.add(question)
                        found[split].setdefault(kind, []).append(replace(draft, cell=cell))
            for kind, drafts in found[split].items():
                self.rng.shuffle(drafts)
                found[split][kind] = drafts[: max(ENOUGH, SURPLUS * size)]
        return found

    def _kinds(self, side: Sequence[Known], split: Sequence[Known], size: int) -> dict[str, list[Draft]]:
        by_page = pages_hold_several(self.known)

        def module(item: Known) -> str | None:
            return module_of(item, by_page)

        taken = {family: kind.name for kind in self.kinds for family in kind.families}
        return {
            kind.name: kind.drafts(
                Material(
                    facts=[item for item in side if taken.get(item.fact.kin, kind.name) == kind.name],
                    split=split,
                    rng=self.rng,
                    module_of=module,
                    size=size,
                    wordings=self.config.wordings,
                )
            )
            for kind in self.kinds
        }


def _hard(
    drafts: Mapping[str, Mapping[str, Sequence[Draft]]],
    kinds: Sequence[QuestionKind],
    config: ExamConfig,
    rng: random.Random,
) -> dict[str, dict[str, list[Draft]]]:
    """The drafts of each kind that no rule answers too often, looked at over all splits together."""
    found: dict[str, dict[str, list[Draft]]] = {split: {} for split in drafts}
    for kind in [each.name for each in kinds]:
        every = [(split, draft) for split, found_of in drafts.items() for draft in found_of.get(kind, ())]
        kept = {id(draft) for draft in hard([draft for _, draft in every], config.guessable, rng)}
        for split, draft in every:
            if id(draft) in kept:
                found[split].setdefault(kind, []).append(draft)
    return found


def _filled(
    drafts: Mapping[str, Mapping[str, list[Draft]]],
    sizes: Mapping[str, int],
    mix: Mapping[str, float],
    division: Division,
    config: ExamConfig,
    rng: random.Random,
) -> dict[str, list[Filled]]:
    """Split -> its questions by kind; in the test every kind has the same share of unseen modules where it can."""
    held = set(division.held_out.modules)
    known = Association(draft for kinds in drafts.values() for of in kinds.values() for draft in of)
    found: dict[str, list[Filled]] = {}
    for split, size in sizes.items():
        there = drafts[split]
        if split == "dev":  # too small to have everything: it has what it can, in the same proportions
            wanted = {kind: min(len(there.get(kind, ())), round(share * size)) for kind, share in mix.items()}
        else:
            whole = size_of({kind: len(of) for kind, of in there.items()}, mix, size)
            wanted = {kind: round(share * whole) for kind, share in mix.items()}
        apart = {kind: unseen_first(there.get(kind, []), held) for kind in wanted}
        share = min(
            (len(new) / count for kind, count in wanted.items() if count and (new := apart[kind][0])), default=0.0
        )
        share = min(MAX_UNSEEN, max(share, MIN_UNSEEN)) if split == "test" else 0.0
        found[split] = []
        for kind, count in wanted.items():
            new, old = apart[kind]
            first = fill(kind, new, min(len(new), round(share * count)), config.gold_cap, known, rng)
            rest = fill(kind, old, count - first.count(), config.gold_cap, known, rng)
            for part in (first, rest):
                if not config.choice:
                    part.single += [draft for one in part.dealt for draft in one.drafts]
                    part.dealt, part.spare = [], []
                found[split].append(part)
    return found
