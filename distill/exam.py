"""Builds the exam: facts and a library in, tasks of three levels with their evidence, splits and baselines out.

Deterministic under its seed. Every gold is either a line of the manual or the result of executing a scenario; a fact
that the manual does not bear out asks nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agents.answers import fold, normalise
from agents.errors import ExamError
from agents.library.facts import Fact
from agents.library.index import Library
from agents.task import LEVELS, Level, Split, Task

from .baselines import baselines
from .distractors import Draft, balanced, buckets, deal
from .evidence import Known, find_evidence
from .levels import ModuleOf, bridges, lookups, pairs
from .live import calls, examples
from .scenarios import effective, releases
from .split import Division, HeldOut, Names, divide, module_of, pages_hold_several

SCARCE = {"example": 0.1}
"""Kind -> share of its level at the most, so that splits are alike: of 41 examples training can hold 25, a tenth of its
scenarios; taken as they came they were 40 % of the held-out ones."""


class ExamConfig(BaseModel):
    """How an exam is built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    """Same seed, facts and library: same exam."""
    train: int = Field(1200, ge=0)
    """Training questions at the most."""
    dev: int = Field(50, ge=0)
    """Questions of the small split that nothing is trained or reported on."""
    test: int = Field(240, ge=1)
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
    barred: float = Field(0.35, gt=0, le=1)
    """Share of the library that may be barred from training for speaking of held-out names."""
    least_test: int = Field(1, ge=1)
    """Fewer test questions than this are an error."""


class Exam(BaseModel):
    """Tasks, what training must not see, and what guessing gets."""

    model_config = ConfigDict(frozen=True)

    tasks: tuple[Task, ...]
    held_out: HeldOut
    counts: dict[str, Any]
    """Tasks by split, level and kind; facts used and dropped by reason; groups, modules and chunks held out."""
    baselines: dict[str, dict[str, float]]
    """Level (and `overall`) -> random, majority, longest -> expected accuracy on the test split."""

    def summary(self) -> str:
        """Counts and baselines as lines for a terminal."""
        lines = []
        for split, levels in self.counts["tasks"].items():
            said = ", ".join(f"{level} {sum(kinds.values())} {kinds}" for level, kinds in levels.items())
            lines.append(f"{split:5} {sum(sum(k.values()) for k in levels.values()):5}  {said}".replace("'", ""))
        lines.append(f"facts {self.counts['facts']}".replace("'", ""))
        lines.append(f"held out {self.counts['held_out']}".replace("'", ""))
        for level, row in self.baselines.items():
            lines.append(f"{level:13}" + "  ".join(f"{name} {value:.1%}" for name, value in row.items()))
        return "\n".join(lines)


def build_exam(facts: Sequence[Fact], library: Library, config: ExamConfig | None = None) -> Exam:
    """Build the exam of `facts` over `library`.

    Raises:
        ExamError: no facts; most of their entities stand in no document; too few questions for a test.
    """
    config = config or ExamConfig()
    if not facts:
        raise ExamError("there are no facts: an exam needs a facts.jsonl, or the live library as its source")
    known, dropped, lost = find_evidence(facts, library)
    rng = random.Random(config.seed)
    division = divide(
        known, library, rng, config.held_out, config.held_out_modules, config.dev / max(1, config.train + config.dev),
        config.barred,
    )  # fmt: skip
    by_page = pages_hold_several(known)
    tasks: list[Task] = []
    asked: set[str] = set()
    sizes: tuple[tuple[Split, int], ...] = (("test", config.test), ("train", config.train), ("dev", config.dev))
    for split, size in sizes:
        side = [item for item in known if division.side[item.group] == split]
        if split != "test":
            barred = set(division.held_out.chunks)
            side = [item for item in side if item.hop.chunk not in barred]
        maker = _Side(side, config, rng, lambda item: module_of(item, by_page), division)
        tasks.extend(maker.tasks(split, size, asked))
    tasks = [task for split in ("train", "dev", "test") for task in tasks if task.split == split]
    count = sum(task.split == "test" for task in tasks)
    if count < config.least_test:
        raise ExamError(f"only {count} test questions of {len(known)} usable facts: give more facts, or hold out more")
    counts = {
        "tasks": _counted(tasks),
        "facts": {"given": len(facts), "usable": len(known), **dict(dropped), **({"first lost": lost} if lost else {})},
        "held_out": {
            "groups": f"{len(division.held_out.groups)} of {len(division.side)}",
            "modules": len(division.held_out.modules),
            "chunks": f"{len(division.held_out.chunks)} of {len(library.chunks)}",
            "chunk share": round(len(division.held_out.chunks) / len(library.chunks), 4),
            "mention cap": division.mention_cap,
        },
    }
    return Exam(tasks=tuple(tasks), held_out=division.held_out, counts=counts, baselines=baselines(tasks))


def _counted(tasks: Sequence[Task]) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = {}
    for task in tasks:
        kinds = found.setdefault(task.split, {}).setdefault(task.level, {})
        kinds[task.kind] = kinds.get(task.kind, 0) + 1
    return {
        split: {level: dict(sorted(levels[level].items())) for level in LEVELS if level in levels}
        for split, levels in found.items()
    }


class _Side:
    """Makes the tasks of one side of the split."""

    def __init__(
        self, known: Sequence[Known], config: ExamConfig, rng: random.Random, module: ModuleOf, division: Division
    ) -> None:
        self.known = list(known)
        self.config = config
        self.rng = rng
        self.module = module
        self.division = division
        self.barred = Names(division.held_out.names)

    def tasks(self, split: Split, size: int, asked: set[str]) -> list[Task]:
        """At most `size` tasks; a level that cannot fill its share leaves the rest to the one below it."""
        made: dict[Level, list[tuple[Draft, tuple[str, ...]]]] = {}
        missing = 0
        for level in ("consultant", "professional", "engineer"):
            share = getattr(self.config, level)
            wanted = round(size * share) + missing
            made[level] = self._level(level, wanted, split, asked)
            missing = wanted - len(made[level])
        return [task for level in LEVELS for task in self._finish(made[level], split)]

    def _level(self, level: Level, wanted: int, split: str, asked: set[str]) -> list[tuple[Draft, tuple[str, ...]]]:
        kinds = self._drafts(level, wanted)
        chosen: list[tuple[Draft, tuple[str, ...]]] = []
        for number, (name, drafts) in enumerate(kinds):
            left = wanted - len(chosen)
            count = left if number == len(kinds) - 1 else min(left, -(-left // (len(kinds) - number)))
            count = min(count, round(SCARCE.get(name, 1.0) * wanted))
            chosen.extend(self._kind(self._allowed(drafts, split, asked), count))
        return chosen

    def _drafts(self, level: Level, wanted: int) -> list[tuple[str, list[Draft]]]:
        """The kinds of a level with their drafts, the scarcest first."""
        plain = [item for item in self.known if item.fact.kin != "example"]
        python = any(item.fact.source.startswith("python:") for item in self.known)
        if level == "engineer":
            kinds = [("lookup", lookups(plain, self.rng, self.module))]
        elif level == "professional":
            kinds = [
                ("bridge", bridges(plain, self.rng, self.module)),
                ("pair", pairs(plain, self.rng, self.module, 2 * wanted + 20)),
            ]
        elif python:
            kinds = [
                ("example", examples(self.known, self.rng, self.module)),
                ("call", calls(plain, self.rng, self.module)),
            ]
        else:
            kinds = [
                ("effective", effective(plain, self.rng, self.module)),
                ("release", releases(plain, self.rng, self.module, 2 * wanted + 20)),
            ]
        return sorted(((name, drafts) for name, drafts in kinds if drafts), key=lambda kind: len(kind[1]))

    def _allowed(self, drafts: Sequence[Draft], split: str, asked: set[str]) -> list[Draft]:
        """Drafts that were not asked before, whose groups are all on this side, and that name nothing held out."""
        allowed = []
        for draft in drafts:
            question = fold(draft.question)
            if question in asked or any(self.division.side[group] != split for group in draft.groups):
                continue
            text = "\n".join((draft.question, draft.gold, *draft.options, *draft.must))
            if split != "test" and self.barred.within(text):
                continue
            asked.add(question)
            allowed.append(draft)
        return allowed

    def _kind(self, drafts: Sequence[Draft], count: int) -> list[tuple[Draft, tuple[str, ...]]]:
        """`count` of the drafts of one kind, families by the root of their size, golds capped, wrong options dealt."""
        cap = max(1, int(self.config.gold_cap * count))
        ready = [draft for draft in drafts if draft.options]
        if ready:
            spread: Counter[str] = Counter()
            kept = []
            for draft in ready:
                spread[normalise(draft.gold)] += 1
                if spread[normalise(draft.gold)] <= cap:
                    kept.append(draft)
            return [(d, tuple(o for o in d.options if o != d.gold)) for d in kept[:count]]
        pools = buckets(drafts)
        most = {key: balanced(members, len(members), cap) for key, members in pools.items()}
        room = shares({key: len(members) for key, members in most.items()}, count)
        dealt: list[tuple[Draft, tuple[str, ...]]] = []
        for key in sorted(pools):
            chosen = balanced(pools[key], room[key], cap)
            dealt.extend(deal(chosen, self.rng, [draft.gold for draft in pools[key]]))
        return dealt

    def _finish(self, dealt: Sequence[tuple[Draft, tuple[str, ...]]], split: Split) -> list[Task]:
        """Tasks in a mixed order, the gold in every position equally often."""
        order = list(dealt)
        self.rng.shuffle(order)
        held = set(self.division.held_out.modules)
        tasks = []
        for number, (draft, wrong) in enumerate(order):
            options = list(wrong)
            self.rng.shuffle(options)
            options.insert(number % (len(options) + 1), draft.gold)
            name = hashlib.sha256(fold(draft.question).encode()).hexdigest()[:10]
            tasks.append(
                Task(
                    id=f"{draft.kind}-{name}",
                    question=draft.question,
                    options=tuple(options),
                    gold=draft.gold,
                    level=draft.level,
                    kind=draft.kind,
                    entities=draft.entities,
                    group=draft.group,
                    groups=draft.groups,
                    unseen_module=all(module in held for module in draft.modules),
                    evidence=tuple(dict.fromkeys(hop.chunk for hop in draft.hops)),
                    hops=draft.hops,
                    split=split,
                    provenance=dict(draft.provenance),
                )
            )
        self.rng.shuffle(tasks)
        return tasks


def shares(sizes: dict[tuple[str, str], int], count: int) -> dict[tuple[str, str], int]:
    """How many questions each pool gives: by the square root of its size, none more than it has."""
    room = dict.fromkeys(sizes, 0)
    left = min(count, sum(sizes.values()))
    while left > 0:
        free = {key: sizes[key] ** 0.5 for key in sorted(sizes) if room[key] < sizes[key]}
        total = sum(free.values())
        step = defaultdict(int, {key: min(sizes[key] - room[key], int(left * free[key] / total)) for key in free})
        if not any(step.values()):
            step = defaultdict(int, {max(free, key=lambda key: free[key]): 1})
        for key in free:
            taken = min(step[key], left)
            room[key] += taken
            left -= taken
    return room
