"""Divides an exam by groups (a class with its methods, a name over all modules), and bars what would tell of the test.

A held-out name is looked for in every other chunk, too: a page that mentions it is barred from training. Names that the
whole manual mentions would bar most of it, so they are not held out.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from agents.corpus.chunks import Chunk
from agents.corpus.library import Library
from agents.errors import ExamError

from .evidence import Known, module_label
from .names import Names, distinctive

FEW = 3
"""Foreign chunks in which a name's lower-case form may stand without the name being a plain word."""
CASED = 4
"""So many times more chunks with the name as written allow for one more with its lower-case form."""
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
    cased: tuple[str, ...] = ()
    """Entities whose names have the form of a plain word, but are none in this manual (`told_apart`)."""
    longer: tuple[str, ...] = ()
    """Other entities whose names hold a held-out name: `North Isle of Fog` is no mention of `North Isle`."""

    @property
    def names(self) -> frozenset[str]:
        """The entities whose names can be told from plain words."""
        return frozenset(name for name in self.entities if distinctive(name)) | frozenset(self.cased)

    def matcher(self) -> Names:
        """What finds these names in a text, none of them within a longer one."""
        return Names(self.names, beside=(*self.entities, *self.longer))


@dataclass(frozen=True)
class Division:
    """Group -> side, and what follows from it."""

    side: Mapping[str, str]
    """Group -> train, dev or test."""
    held_out: HeldOut
    mention_cap: int
    """Foreign chunks that may mention a held-out group."""
    wanted: int
    """Groups that were to be held out; fewer are where they would bar too many chunks."""

    def fewer(self) -> dict[str, str]:
        """What is said where fewer groups are held out than were to be; nothing otherwise."""
        held = len(self.held_out.groups)
        return {"fewer groups": f"{held} of {self.wanted}, so as not to bar more chunks"} if held < self.wanted else {}


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


def told_apart(names: Collection[str], own: Mapping[str, Collection[str]], library: Library) -> frozenset[str]:
    """Which of the names that begin with a capital or end in a sign are no plain words in this manual.

    A name is a plain word (`Group`) where its lower-case form (`group`) stands in many chunks that are not its own: in
    more than three, and in more than a quarter of the number that hold the name as written. A name that ends in a sign
    (`where=`) is none whatever its case. Names in lower case stay plain words: a manual about `rest` and `quotes` does
    not say how often a teacher uses these words.

    Args:
        own: name -> ids of the chunks that are about it.
    """
    signed = {name for name in names if name and not (name[-1].isalnum() or name[-1] == "_")}
    lower = {name: name.lower() for name in names if name != name.lower() and name not in signed}
    written, small = Names(names), Names(lower.values())
    cased: Counter[str] = Counter()
    plain: dict[str, list[str]] = defaultdict(list)
    for chunk in library.chunks:
        text = chunk_text(chunk)
        cased.update(written.within(text))
        for name in small.within(text):
            plain[name].append(chunk.id)
    found = set(signed)
    for name, low in lower.items():
        mine = own.get(name, ())
        if sum(chunk not in mine for chunk in plain[low]) <= max(FEW, cased[name] / CASED):
            found.add(name)
    return frozenset(found)


def divide(
    known: Sequence[Known], library: Library, rng: random.Random, share: float, module_share: float, dev_share: float,
    most_barred: float,
) -> Division:  # fmt: skip
    """Hold out `module_share` of the modules, then `share` of the groups; bar at most `most_barred` of the chunks.

    Groups that many foreign chunks mention are not held out, so that few enough chunks are barred. Where that is not
    enough, since many groups share a chunk (the rows of a table), fewer are held out.

    Raises:
        ExamError: no group can be held out without barring more chunks.
    """
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
    every = {name: group for group, names in entities.items() for name in names}
    wordlike = {name for name in every if not distinctive(name)}
    cased = told_apart(wordlike, {name: own[every[name]] for name in wordlike}, library)
    matcher = Names(every)
    values_of_name: dict[str, set[str]] = defaultdict(set)
    for chunk in library.chunks:
        for name in matcher.within(chunk_text(chunk)):
            values_of_name[name].add(chunk.id)
    for name in wordlike - cased:
        if len(values_of_name[name] - own[every[name]]) > FEW:  # a plain word; a rare one is most likely the name
            del values_of_name[name]
    cost = {
        group: own[group].union(*(values_of_name[name] for name in sorted(names)))
        for group, names in entities.items()
    }  # fmt: skip
    order = sorted(entities)
    rng.shuffle(order)
    module_order = sorted(modules)
    rng.shuffle(module_order)
    state = rng.getstate()
    most = int(most_barred * len(library.chunks))
    for cap in MENTION_CAPS:
        rng.setstate(state)
        fits = {group for group in order if len(cost[group] - own[group]) <= cap}
        held_modules = choose_modules(module_order, modules, fits, module_share, share)
        held = {group for module in held_modules for group in modules[module]}
        held |= choose_groups(order, kinds, fits, held, share)
        barred = {chunk for group in held for chunk in cost[group]}
        barred |= {chunk for module in held_modules for chunk in pages[module]}
        if len(barred) <= most:
            break
    wanted = len(held)
    if len(barred) > most:
        whole = {module: pages[module].union(*(cost[group] for group in modules[module])) for module in modules}
        room = Room(most)
        held_modules = [module for module in held_modules if room.take(whole[module])]
        held = {group for module in held_modules for group in modules[module]}
        held |= choose_groups(order, kinds, fits, held, share, lambda group: room.take(cost[group]))
        barred = room.taken
        if not held:
            least = min(len(cost[group]) for group in fits)
            raise ExamError(
                f"nothing can be held out: training may lose {most} of {len(library.chunks)} passages ([exam] barred = "
                f"{most_barred:g}), and any group held out bars {least} or more; raise barred to "
                f"{least / len(library.chunks) + 0.005:.2f} or more, or give each entity a heading of its own"
            )
    rest = [group for group in order if group not in held]
    dev = set(rest[: round(dev_share * len(rest))])
    side = {group: "test" if group in held else "dev" if group in dev else "train" for group in order}
    out = {name for group in held for name in entities[group]}
    inside = Names(out)
    held_out = HeldOut(
        entities=tuple(sorted(out)),
        groups=tuple(sorted(held)),
        modules=tuple(sorted(held_modules)),
        chunks=tuple(chunk.id for chunk in library.chunks if chunk.id in barred),
        cased=tuple(sorted(out & cased)),
        longer=tuple(sorted(name for name in every if name not in out and inside.within(name))),
    )
    return Division(side=side, held_out=held_out, mention_cap=cap, wanted=wanted)


class Room:
    """Chunks that may be barred, up to a number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken: set[str] = set()

    def take(self, chunks: Collection[str]) -> bool:
        """Bar these, too, where there is room for all of them; returns whether there was."""
        together = self.taken.union(chunks)
        if len(together) > self._most:
            return False
        self.taken = together
        return True


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
    order: Iterable[str], kinds: Mapping[str, set[str]], fits: Collection[str], held: Collection[str], share: float,
    room: Callable[[str], bool] = lambda _: True,
) -> set[str]:  # fmt: skip
    """Groups to hold out beside `held`, so that of every kind of group the share is out, as far as there is `room`."""
    order = list(order)
    strata = {group: "|".join(sorted(kinds[group])) for group in order}
    total = Counter(strata.values())
    out = Counter(strata[group] for group in held)
    chosen: set[str] = set()
    for group in order:
        stratum = strata[group]
        if group in fits and group not in held and out[stratum] < share * total[stratum] and room(group):
            chosen.add(group)
            out[stratum] += 1
    return chosen
