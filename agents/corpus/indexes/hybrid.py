"""Hybrid index: the orders of two or more indexes, fused by reciprocal rank."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import Field

from .base import Hits, Index, IndexConfig, IndexSettings, Missing, indexes, kind_of, settings_of
from .ranking import fused

if TYPE_CHECKING:
    from ...spent import Spent
    from ..chunks import Chunk


@indexes.register("hybrid")
class Hybrid(Index):
    """Each part is asked, and the sum of 1 / (k + rank) over the parts is a chunk's score."""

    class Settings(IndexSettings):
        """[index] with kind = "hybrid"."""

        parts: dict[str, IndexConfig] = Field(min_length=2)
        """Name -> index, as tables `[index.parts.NAME]`."""
        k: float = Field(60.0, gt=0)
        """What is added to each rank: the larger, the less a first place counts beside a second (60: Cormack 2009)."""
        depth: int = Field(100, ge=1)
        """Chunks of each part's order that are fused."""

    def __init__(self, chunks: Sequence[Chunk], settings: IndexSettings, parts: Mapping[str, Index] | None = None):
        super().__init__(chunks, settings)
        self.parts = dict(parts or {})
        self.note = "; ".join(f"{name}: {part.note}" for name, part in self.parts.items() if part.note)
        self._order = {chunk.id: position for position, chunk in enumerate(self.chunks)}

    @classmethod
    def build(cls, chunks: Sequence[Chunk], settings: IndexSettings) -> Self:
        """Build every part."""
        own = cast(Hybrid.Settings, settings)
        return cls(
            chunks, own, {name: kind_of(part).build(chunks, settings_of(part)) for name, part in own.parts.items()}
        )

    def save(self, folder: Path) -> None:
        """One folder a part, by number: its name may be none that a file can have."""
        for number, part in enumerate(self.parts.values()):
            (folder / str(number)).mkdir()
            part.save(folder / str(number))

    @classmethod
    def open(cls, folder: Path, chunks: Sequence[Chunk], settings: IndexSettings, without: Collection[str]) -> Self:
        """Open every part."""
        own = cast(Hybrid.Settings, settings)
        parts = {
            name: kind_of(part).open(folder / str(number), chunks, settings_of(part), without)
            for number, (name, part) in enumerate(own.parts.items())
        }
        return cls([chunk for chunk in chunks if chunk.id not in without], own, parts)

    def search(self, query: str, k: int) -> Hits:
        """The best `k` chunks of the fused order; scores are sums of reciprocal ranks."""
        return self._fused([part.search(query, self._depth(k)) for part in self.parts.values()], k)

    async def asearch(self, query: str, k: int) -> tuple[Hits, list[Spent]]:
        """`search`, with the parts asked side by side."""
        found = await asyncio.gather(*(part.asearch(query, self._depth(k)) for part in self.parts.values()))
        return self._fused([hits for hits, _ in found], k), [row for _, rows in found for row in rows]

    @property
    def remote(self) -> bool:
        """Whether a part calls an endpoint."""
        return any(part.remote for part in self.parts.values())

    def _depth(self, k: int) -> int:
        return max(k, cast(Hybrid.Settings, self.settings).depth)

    def _fused(self, found: Sequence[Hits], k: int) -> Hits:
        orders = [[self._order[chunk.id] for chunk, _ in hits] for hits in found]
        every = fused(orders, cast(Hybrid.Settings, self.settings).k)
        return [(self.chunks[position], score) for position, score in every[: max(0, k)]]

    @classmethod
    def fingerprint(cls, settings: IndexSettings) -> Mapping[str, Any]:
        """The parts' fingerprints and how they are fused."""
        own = cast(Hybrid.Settings, settings)
        return {"parts": own.parts, "k": own.k, "depth": own.depth}

    @classmethod
    def missing(cls, settings: IndexSettings) -> list[Missing]:
        """What any part misses."""
        parts = cast(Hybrid.Settings, settings).parts.values()
        return list(dict.fromkeys(each for part in parts for each in kind_of(part).missing(settings_of(part))))

    @classmethod
    def trial(cls, settings: IndexSettings) -> str:
        """Every part's."""
        parts = cast(Hybrid.Settings, settings).parts.items()
        notes = {name: kind_of(part).trial(settings_of(part)) for name, part in parts}
        return "; ".join(f"{name}: {each}" for name, each in notes.items() if each)
