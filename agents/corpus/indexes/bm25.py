"""BM25 that takes identifiers seriously.

A manual is asked about names, so every name is indexed whole and in parts (`str.rsplit`, `str`, `rsplit`), once more
with a mark as the exact token it was (`=gzip` is not a part of `gzip_types`), and once more with another mark where it
opens a section under that title (`^gzip`). A query carries all three forms of its names. On the look-ups of three exams
the right chunk came first in 99.5, 96.8 and 94.6 % without the marks, in 99.9, 100 and 99.3 % with them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from pydantic import Field

from ...errors import StageError
from ...files import made_anew
from ...text import first_line
from ..tokens import names, words
from .base import Hits, Index, IndexSettings, indexes
from .ranking import best

if TYPE_CHECKING:
    from ..chunks import Chunk

TITLE_WEIGHT = 3
"""Times that a title's tokens count beside the text's."""
NAMED_WEIGHT = 2
"""Times that a query's names count where they stand in a title (names: tokens with . _ - or a digit inside)."""
LATER_WEIGHT = 0.8
"""What the score of a section's second and later chunks is multiplied by: what a section is about opens it."""


def document_tokens(chunk: Chunk) -> list[str]:
    """What a chunk is indexed under."""
    title = words(chunk.title)
    tokens = words(chunk.text) + [f"={name.lower()}" for name in names(chunk.text)]
    tokens += TITLE_WEIGHT * (title + [f"={name.lower()}" for name in names(chunk.title)])
    if chunk.part == 0:
        # As written and in lower case: `ast.Expr` and `ast.expr` are two pages.
        own = chunk.title.rpartition(" > ")[2]
        tokens += [f"^{form}" for name in names(own) for form in (name, name.lower())]
    return tokens


def query_tokens(query: str) -> list[str]:
    """What a query looks for."""
    tokens = words(query)
    for name in names(query):
        weight = NAMED_WEIGHT if re.search(r"[._\-/\d]", name) else 1
        tokens += [f"={name.lower()}", *weight * [f"^{name.lower()}", f"^{name}"]]
    return tokens


@indexes.register("bm25")
class Bm25(Index):
    """Chunks by the words and names that they share with the query."""

    class Settings(IndexSettings):
        """[index] with kind = "bm25"."""

        k1: float = Field(1.2, ge=0)
        """How much a word's further occurrences in a chunk count."""
        b: float = Field(0.4, ge=0, le=1)
        """How much longer chunks are discounted."""

    def __init__(self, chunks: Sequence[Chunk], settings: IndexSettings, model: Any) -> None:
        super().__init__(chunks, settings)
        self._model = model
        self._weights = np.array([LATER_WEIGHT if chunk.part else 1.0 for chunk in self.chunks], dtype=np.float32)

    @classmethod
    def build(cls, chunks: Sequence[Chunk], settings: IndexSettings) -> Self:
        """Index all words of the chunks."""
        import bm25s

        own = cast(Bm25.Settings, settings)
        model = bm25s.BM25(k1=own.k1, b=own.b)
        model.index([document_tokens(chunk) for chunk in chunks], show_progress=False)
        return cls(chunks, own, model)

    def save(self, folder: Path) -> None:
        """The files of bm25s."""
        self._model.save(str(folder), show_progress=False)

    @classmethod
    def open(cls, folder: Path, chunks: Sequence[Chunk], settings: IndexSettings, without: Collection[str]) -> Self:
        """What was saved, or an index of the others alone: a word's weight counts the chunks that hold it."""
        import bm25s

        if without:
            return super().open(folder, chunks, settings, without)
        again = made_anew(folder, "index")
        try:
            model = bm25s.BM25.load(str(folder), show_progress=False)
        except Exception as error:  # bm25s and NumPy raise what their parsers happen to
            raise StageError(f"the index in {str(folder)!r} cannot be read ({first_line(error)}): {again}") from None
        if len(model.vocab_dict) == 0 or model.scores["num_docs"] != len(chunks):
            raise StageError(f"the index in {str(folder)!r} is of other chunks: {again}")
        return cls(chunks, settings, model)

    def search(self, query: str, k: int) -> Hits:
        """The best `k` chunks; those that share no token with the query are never returned."""
        tokens = [token for token in query_tokens(query) if token in self._model.vocab_dict]
        if not tokens or k < 1:
            return []
        scores = self._model.get_scores(tokens) * self._weights
        return [(self.chunks[i], float(scores[i])) for i in best(scores, k, least=1e-9)]

    @classmethod
    def packages(cls, settings: IndexSettings) -> Sequence[str]:
        """bm25s computes the scores."""
        return ("bm25s",)
