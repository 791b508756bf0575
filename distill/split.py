"""Divides an exam by groups (a class with its methods, a name over all modules), and bars what would tell of the test.

A held-out name is looked for in every other chunk, too: a page that mentions it is barred from training. Names that the
whole manual mentions would bar most of it, so they are not held out.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from agents.library.chunks import Chunk
from agents.library.index import Library

from .evidence import Known, module_label
from .names import Names, distinctive

MENTION_CAPS = (40, 20, 10, 6, 4, 3, 2, 1, 0)
"""Foreign chunks that may mention a held-out group; lowered until few enough chunks are barred."""


class HeldOut(BaseModel):
    """What training must not see."""

    model_config = ConfigDict(frozen=True)

    entities: tuple[str, ...]
    groups: tuple[str, ...]
    modules: tuple[str, ...]
    """Modules of which nothing is in training."""
    chunks: tuple[str, ...]
    """Ids of chunks barred from training."""

    @property
    def names(self) -> frozenset[str]:
        """The entities whose names can be told from plain words."""
        return frozenset(name for name in self.entities if distinctive(name))


@dataclass(frozen=True)
class Division:
    """Group -> side, and what follows from it."""

    side: Mapping[str, str]
    """Group -> train, dev or test."""
    held_out: HeldOut
    mention_cap: int


def module_of(known: Known, by_page: bool) -> str | None:
    """The module that a fact belongs to; its page where facts name none and pages hold several entities."""
    if known.fact.module:
        return module_label(known.fact.module)
    return known.fact.source if by_page else None


def pages_hold_several(known: Sequence[Known]) -> bool:
    """Whether pages are more than one entity each, so that holding out a page means something."""
    entities = {(k.fact.source, k.group) for k in known}
    return len(entities) > 1.5 * len({source for source, _ in entities})


def owned(known: Sequence[Known], library: Library) -> dict[str, set[str]]:
    """Group -> ids of the chunks that are about it: its sections, and the pages named after it."""
    places: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item in known:
        chunk = library.chunk(item.hop.chunk)
        places[chunk.document, chunk.title].add(item.group)
    groups = {item.group for item in known}
    result: dict[str, set[str]] = defaultdict(set)
    for chunk in library.chunks:
        for group in places.get((chunk.document, chunk.title), ()):
            result[group].add(chunk.id)
        parts = chunk.document.split(".")
        for stop in range(1, len(parts) + 1):
            name = ".".join(parts[:stop])
            if name in groups:
                result[name].add(chunk.id)
    return result


def of_modules(known: Sequence[Known], library: Library, by_page: bool) -> dict[str, set[str]]:
    """Module -> ids of all its chunks, those of entities without facts among them.

    A page belongs to a module where all its facts do, or where its dotted name lies below the module's.
    """
    homes: dict[str, set[str | None]] = defaultdict(set)
    for item in known:
        homes[library.chunk(item.hop.chunk).document].add(module_of(item, by_page))
    modules = {module for found in homes.values() for module in found if module is not None}
    result: dict[str, set[str]] = defaultdict(set)
    for chunk in library.chunks:
        found = homes.get(chunk.document)
        if found is None:
            parts = chunk.document.split(".")
            above = [".".join(parts[:stop]) for stop in range(len(parts), 0, -1)]
            found = {next((name for name in above if name in modules), None)}
        if len(found) == 1 and (module := next(iter(found))) is not None:
            result[module].add(chunk.id)
    return result


def chunk_text(chunk: Chunk) -> str:
    """Title and text: what a reader of the chunk sees."""
    return f"{chunk.title}\n{chunk.text}"


def divide(
    known: Sequence[Known], library: Library, rng: random.Random, share: float, module_share: float, dev_share: float,
    most_barred: float,
) -> Division:  # fmt: skip
    """Hold out `module_share` of the modules, then `share` of the groups; bar at most `most_barred` of the chunks."""
    by_page = pages_hold_several(known)
    entities: dict[str, set[str]] = defaultdict(set)
    modules: dict[str, set[str]] = defaultdict(set)
    kinds: dict[str, set[str]] = defaultdict(set)
    for item in known:
        entities[item.group].add(item.fact.entity)
        kinds[item.group].add(item.fact.kin)
        module = module_of(item, by_page)
        if module is not None:
            modules[module].add(item.group)
    own = owned(known, library)
    pages = of_modules(known, library, by_page)
    every = Names(name for names in entities.values() for name in names if distinctive(name))
    said: dict[str, set[str]] = defaultdict(set)
    for chunk in library.chunks:
        for name in every.within(chunk_text(chunk)):
            said[name].add(chunk.id)
    cost = {
        group: own[group].union(*(said[name] for name in sorted(names)))
        for group, names in entities.items()
    }  # fmt: skip
    order = sorted(entities)
    rng.shuffle(order)
    module_order = sorted(modules)
    rng.shuffle(module_order)
    state = rng.getstate()
    for cap in MENTION_CAPS:
        rng.setstate(state)
        fits = {group for group in order if len(cost[group] - own[group]) <= cap}
        held_modules = choose_modules(module_order, modules, fits, module_share, share)
        held = {group for module in held_modules for group in modules[module]}
        held |= choose_groups(order, kinds, fits, held, share)
        barred = {chunk for group in held for chunk in cost[group]}
        barred |= {chunk for module in held_modules for chunk in pages[module]}
        if len(barred) <= most_barred * len(library.chunks) or cap == 0:
            break
    rest = [group for group in order if group not in held]
    dev = set(rest[: round(dev_share * len(rest))])
    side = {group: "test" if group in held else "dev" if group in dev else "train" for group in order}
    held_out = HeldOut(
        entities=tuple(sorted({name for group in held for name in entities[group]})),
        groups=tuple(sorted(held)),
        modules=tuple(sorted(held_modules)),
        chunks=tuple(chunk.id for chunk in library.chunks if chunk.id in barred),
    )
    return Division(side=side, held_out=held_out, mention_cap=cap)


def choose_modules(
    order: Sequence[str], modules: Mapping[str, set[str]], fits: Collection[str], module_share: float, share: float
) -> list[str]:
    """Whole modules to hold out: no more than half of the held-out groups come with them, big ones are passed over."""
    groups = len({group for found in modules.values() for group in found})
    taken: set[str] = set()
    chosen: list[str] = []
    for module in order:
        members = modules[module]
        if len(chosen) >= module_share * len(modules):
            break
        if all(group in fits for group in members) and len(taken | members) <= share * groups / 2:
            chosen.append(module)
            taken |= members
    return chosen


def choose_groups(
    order: Iterable[str], kinds: Mapping[str, set[str]], fits: Collection[str], held: Collection[str], share: float
) -> set[str]:
    """Groups to hold out beside `held`, so that of every kind of group the share is out."""
    order = list(order)
    strata = {group: "|".join(sorted(kinds[group])) for group in order}
    total = Counter(strata.values())
    out = Counter(strata[group] for group in held)
    chosen: set[str] = set()
    for group in order:
        stratum = strata[group]
        if group in fits and group not in held and out[stratum] < share * total[stratum]:
            chosen.add(group)
            out[stratum] += 1
    return chosen
