"""The library: the chunks of the manuals, and the index that is asked for them."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CorpusError, StageError
from ..files import made_anew, read_json, read_model, read_models, write_json, write_jsonl
from .chunks import Chunk, split
from .documents import Document
from .indexes.base import Index, IndexConfig, code_of, fingerprint, kind_of, settings_of

if TYPE_CHECKING:
    from ..spent import Spent

VERSION = 2


class Library:
    """Chunks and their index; made by `build` or `open`, read by any number of threads at once."""

    def __init__(self, chunks: Sequence[Chunk], index: Index, config: IndexConfig, about: dict[str, Any]) -> None:
        self.chunks = tuple(chunks)
        self.index = index
        self.config = config
        """What [index] of run.toml says of the index."""
        self.fingerprint = about
        """What the index is: another fingerprint is another board."""
        self._by_id = {chunk.id: chunk for chunk in self.chunks}
        self.hash = content_hash(self.chunks)
        """First 16 hex digits of the SHA-256 over all chunks."""

    @classmethod
    def build(cls, documents: Iterable[Document], max_chars: int = 1200, index: IndexConfig | None = None) -> Library:
        """Cut documents and index them.

        Args:
            max_chars: characters of a chunk at the most.
            index: kind and settings of the index; None = BM25.

        Raises:
            CorpusError: no document holds any text.
            ConfigError, MissingExtra, ProviderError: the index cannot be made.
        """
        return cls.of([chunk for document in documents for chunk in split(document, max_chars)], index)

    @classmethod
    def of(cls, chunks: Sequence[Chunk], index: IndexConfig | None = None) -> Library:
        """Index ready-made chunks; raises CorpusError where there are none."""
        if not chunks:
            raise CorpusError("the library would be empty: no document holds any text; check the corpus folder")
        config = index or IndexConfig()
        about = fingerprint(config)  # before it is built: a model that changes meanwhile makes the stage stale
        return cls(chunks, kind_of(config).build(chunks, settings_of(config)), config, about)

    def save(self, folder: Path) -> None:
        """Write chunks and index to `folder`, replacing what is there, whole or not at all."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            write_jsonl(fresh / "chunks.jsonl", self.chunks)
            (fresh / "index").mkdir()
            self.index.save(fresh / "index")
            write_json(fresh / "index.json", self.config.model_dump(mode="json"))
            about = {"version": VERSION, "hash": self.hash, "chunks": len(self.chunks), "index": self.fingerprint}
            write_json(fresh / "library.json", about)
            fresh.chmod(0o755)
            old = fresh.with_name(fresh.name + ".old")
            if folder.exists():
                folder.replace(old)
            fresh.replace(folder)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    @classmethod
    def open(cls, folder: Path, without: Collection[str] = ()) -> Library:
        """Open a saved library; with `without` those chunk ids are left out, and no search can bring them.

        Raises:
            StageError: the folder holds no library, or a broken one.
            ConfigError: the index is of a kind that is not there any more.
        """
        about = read_json(folder / "library.json", "index")
        chunks = read_models(folder / "chunks.jsonl", Chunk, "index")
        if (
            not isinstance(about, dict)
            or about.get("version") != VERSION
            or about.get("chunks") != len(chunks)
            or not isinstance(about.get("index"), dict)
        ):
            raise StageError(
                f"the library in {str(folder)!r} is broken or of another version: "
                f"{made_anew(folder / 'library.json', 'index')}"
            )
        config = read_model(folder / "index.json", IndexConfig, "index")
        barred = frozenset(without)
        kept = [chunk for chunk in chunks if chunk.id not in barred]
        if not kept:
            raise CorpusError(f"the library in {str(folder)!r} would be empty: all of its chunks are held out")
        kind = kind_of(config)
        index = kind.open(folder / "index", chunks, settings_of(config), barred)
        # The code that searches is the present one, whatever code built what is searched.
        return cls(kept, index, config, {**about["index"], "code": code_of(kind)})

    @property
    def summary(self) -> str:
        """How many chunks there are, and what building the index took where that is worth a word."""
        return ", ".join(filter(None, (f"{len(self.chunks)} chunks", self.index.note)))

    def chunk(self, name: str) -> Chunk:
        """The chunk of that id; raises StageError where there is none."""
        try:
            return self._by_id[name]
        except KeyError:
            raise StageError(f"the library holds no chunk {name!r}: exam and library are of different runs") from None

    def __contains__(self, name: object) -> bool:
        return name in self._by_id

    def search(self, query: str, k: int) -> list[tuple[Chunk, float]]:
        """The best `k` chunks with their scores (higher is nearer), best first; ties in the order of the corpus.

        Blocks while a model embeds the query or an endpoint is asked; `asearch` is for event loops.
        """
        return self.index.search(query, k)

    async def asearch(self, query: str, k: int) -> tuple[list[tuple[Chunk, float]], list[Spent]]:
        """`search` within an event loop, and the calls that it took.

        Raises:
            ProviderError: the endpoint of the index failed.
        """
        return await self.index.asearch(query, k)


def content_hash(chunks: Iterable[Chunk]) -> str:
    """First 16 hex digits of the SHA-256 over ids, titles and texts."""
    total = hashlib.sha256()
    for chunk in chunks:
        total.update(json.dumps([chunk.id, chunk.title, chunk.text]).encode())
    return total.hexdigest()[:16]
