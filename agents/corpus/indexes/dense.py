"""Dense index: passages nearest to the query by the vectors of an embedding model.

All vectors stand in one matrix of 16-bit floats on disk, mapped into memory, so that processes share it; a query is
compared with every one of them (exact dot products of normalised vectors).
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from tqdm import tqdm

from ...context import DEFAULT_KEY, KEY_GOES, MAX_NAME
from ...errors import ConfigError, StageError
from ...files import made_anew, write_json
from ...install import install_line
from ...redaction import authority, looks_like_key, parameters, secret_name
from ...text import first_line
from .base import ABSENT, Hits, Index, IndexSettings, Missing, content_hash, indexes, sha256_of
from .embedding import EXTRA, PACKAGES, Embedder, form_of, open_embedder, table_in
from .endpoint import EmbeddingEndpoint, embed_all, embed_batch, endpoint_problems, run_in_thread
from .ranking import best

if TYPE_CHECKING:
    from ...spent import Spent
    from ..chunks import Chunk

ROWS = 8192
"""Rows of the matrix that are widened to 32 bits at a time: 12 MiB at 384 numbers a row."""
DECIMALS = 6
"""Of a score: two equal rows may differ in the last bits by where they stand in a block, and would not be a tie."""
MAX_CACHED = 10_000
"""Vectors of queries that are kept in this process."""
VECTORS, MODEL = "vectors.npy", "model.json"


@indexes.register("dense")
class Dense(Index):
    """Chunks by the direction of their vectors."""

    class Settings(IndexSettings):
        """[index] with kind = "dense"."""

        model: str = Field(min_length=1)
        """Folder of a model of sentence-transformers or model2vec; with `url`, its name at the endpoint."""
        url: str | None = None
        """Of an endpoint that speaks the OpenAI protocol, without `/embeddings`: https://HOST/v1."""
        query_prefix: str = ""
        """Put before each query, where a model was trained so (E5: `query: `)."""
        passage_prefix: str = ""
        """Put before each passage."""
        batch: int = Field(64, ge=1, le=2048)
        """Passages that are embedded at a time."""
        key_env: str = DEFAULT_KEY
        """Name of the environment variable with the endpoint's key."""
        timeout: float = Field(120.0, gt=0)
        """Seconds for one request."""
        concurrency: int = Field(8, ge=1, le=1024)
        """Requests in flight at the endpoint."""
        price: float | None = Field(None, ge=0)
        """USD per million tokens; None = nothing is known, and 0 is counted."""
        dimensions: int | None = Field(None, ge=1)
        """Numbers of a vector, where the endpoint's model can make shorter ones; None = as many as it makes."""

        @field_validator("url")
        @classmethod
        def _plain_address(cls, url: str | None) -> str | None:
            if url is None:
                return None
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("url is no address: write http(s)://HOST[:PORT]/v1")
            if "@" in authority(url) or any(secret_name(n) or looks_like_key(v) for n, v in parameters(url)):
                raise ValueError(f"url holds a secret, which would stand in files; {KEY_GOES}")
            return url

        @field_validator("key_env")
        @classmethod
        def _no_key_for_a_name(cls, name: str) -> str:
            if looks_like_key(name) or len(name) > MAX_NAME or not name.isidentifier():
                raise ValueError(f"this is no name of an environment variable, and maybe a key; {KEY_GOES}")
            return name

        @model_validator(mode="after")
        def _keys_of_an_endpoint(self) -> Self:
            only = {"key_env", "timeout", "concurrency", "price", "dimensions"} & self.model_fields_set
            if self.url is None and only:
                raise ValueError(f"{sorted(only)[0]} is for a model behind an endpoint: add url = 'https://HOST/v1'")
            return self

        @property
        def server(self) -> EmbeddingEndpoint | None:
            """The endpoint; None where the model is a folder."""
            if self.url is None:
                return None
            rest = self.model_dump(include={"model", "key_env", "timeout", "concurrency", "price", "dimensions"})
            return EmbeddingEndpoint(url=self.url, **rest)

    def __init__(self, chunks: Sequence[Chunk], settings: IndexSettings, vectors: NDArray[np.float16], model_hash: str):
        """
        Args:
            model_hash: hash of the model folder that made the vectors; empty of an endpoint's.
        """
        super().__init__(chunks, settings)
        self._settings = cast(Dense.Settings, settings)
        self._vectors = vectors
        self._model_hash = model_hash
        self._embedder: Embedder | None = None
        self._queries: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def build(cls, chunks: Sequence[Chunk], settings: IndexSettings) -> Self:
        """Embed title and text of every chunk; a bar on standard error shows how far it is.

        Raises:
            ConfigError: there is no such model, or no key.
            MissingExtra: the package that opens it is not installed.
            ProviderError: the endpoint failed after its retries.
        """
        own = cast(Dense.Settings, settings)
        texts = [f"{own.passage_prefix}{chunk.title}\n{chunk.text}" for chunk in chunks]
        server = own.server
        with tqdm(total=len(texts), desc="embed", unit="chunk", disable=None) as bar:
            if server is not None:
                vectors, rows = run_in_thread(lambda: embed_all(server, texts, own.batch, bar.update))
                tokens, usd = sum(row["prompt"] for row in rows), sum(row["usd"] for row in rows)
                note = f"{tokens:,} tokens embedded" + (f" for {usd:.4f} USD" if own.price else "")
                found = cls(chunks, own, to_float16(vectors), "")
            else:
                folder = Path(own.model)
                embedder = open_embedder(folder)
                parts = []
                for at in range(0, len(texts), own.batch):
                    part = embedder.embed(texts[at : at + own.batch], query=False)
                    bar.update(len(part))
                    parts.append(to_float16(part))
                found = cls(chunks, own, np.concatenate(parts), content_hash(folder, sha256_of))
                found._embedder, note = embedder, ""
        found.note = f"vectors of {found._vectors.shape[1]} numbers" + (f", {note}" if note else "")
        return found

    def save(self, folder: Path) -> None:
        """The matrix, and which model made it."""
        np.save(folder / VECTORS, self._vectors)
        write_json(folder / MODEL, {"chunks": len(self.chunks), "model": self._model_hash})

    @classmethod
    def open(cls, folder: Path, chunks: Sequence[Chunk], settings: IndexSettings, without: Collection[str]) -> Self:
        """The matrix mapped into memory; a copy of its other rows where chunks are left out."""
        again = made_anew(folder, "index")
        try:
            vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise StageError(f"the index in {str(folder)!r} cannot be read ({first_line(error)}): {again}") from None
        if vectors.ndim != 2 or vectors.dtype != np.float16 or len(vectors) != len(chunks):
            raise StageError(f"the index in {str(folder)!r} is of other chunks: {again}")
        model_hash = str(table_in(folder / MODEL).get("model", ABSENT))
        if without:
            kept = [position for position, chunk in enumerate(chunks) if chunk.id not in without]
            vectors, chunks = vectors[kept], [chunks[position] for position in kept]
        return cls(chunks, settings, vectors, model_hash)

    @property
    def remote(self) -> bool:
        """Whether queries are embedded by an endpoint."""
        return self._settings.url is not None

    def search(self, query: str, k: int) -> Hits:
        """The best `k` chunks with their cosines; none for a query of which the model knows no token.

        Raises:
            StageError: the model is another one than made the vectors.
            ProviderError: the endpoint failed.
        """
        vector = self._cached(query)
        if vector is None:
            server = self._settings.server
            if server is None:
                vector = self._embed_locally(query)
            else:
                text = self._settings.query_prefix + query
                rows, _ = run_in_thread(lambda: embed_batch(server, [text]))
                vector = self._cache(query, rows)
        return self._nearest(vector, k)

    async def asearch(self, query: str, k: int) -> tuple[Hits, list[Spent]]:
        """`search`; a model in this process works in a thread, an endpoint is awaited."""
        vector, spent = self._cached(query), []
        if vector is None:
            server = self._settings.server
            if server is None:
                vector = await asyncio.to_thread(self._embed_locally, query)
            else:
                rows, row = await embed_batch(server, [self._settings.query_prefix + query])
                vector, spent = self._cache(query, rows), [row]
        return self._nearest(vector, k), spent

    def _cached(self, query: str) -> NDArray[np.float32] | None:
        with self._lock:
            return self._queries.get(query)

    def _cache(self, query: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = normalised(rows)[0]
        if len(vector) != self._vectors.shape[1]:
            raise StageError(
                f"[index] model {self._settings.model!r} makes vectors of {len(vector)} numbers, those of the index "
                f"have {self._vectors.shape[1]}: run the stage 'index' again"
            )
        with self._lock:
            self._queries[query] = vector
            while len(self._queries) > MAX_CACHED:
                self._queries.popitem(last=False)
        return vector

    def _embed_locally(self, query: str) -> NDArray[np.float32]:
        """The vector of a query by the model in its folder, which is opened for the first one."""
        with self._lock:
            if self._embedder is None:
                folder = Path(self._settings.model)
                form_of(folder)
                if content_hash(folder, sha256_of) != self._model_hash:
                    raise StageError(
                        f"[index] model {str(folder)!r} changed since the index was made: run the stage 'index' again"
                    )
                self._embedder = open_embedder(folder)
        return self._cache(query, self._embedder.embed([self._settings.query_prefix + query], query=True))

    def _nearest(self, vector: NDArray[np.float32], k: int) -> Hits:
        if k < 1 or not vector.any():
            return []
        scores = np.empty(len(self._vectors), dtype=np.float32)
        for at in range(0, len(scores), ROWS):
            scores[at : at + ROWS] = self._vectors[at : at + ROWS].astype(np.float32) @ vector
        scores = scores.round(DECIMALS)
        return [(self.chunks[i], float(scores[i])) for i in best(scores, k)]

    @classmethod
    def fingerprint(cls, settings: IndexSettings) -> Mapping[str, Any]:
        """The model by its files, or by its name at an endpoint, and what is put before texts."""
        own = cast(Dense.Settings, settings)
        model: Any = Path(own.model) if own.url is None else own.model
        where = "folder" if own.url is None else "endpoint"
        words = own.model_dump(include={"query_prefix", "passage_prefix", "dimensions"})
        return {"model": model, "where": where, **words}

    @classmethod
    def packages(cls, settings: IndexSettings) -> Sequence[str]:
        """The package that makes the vectors of a model in a folder."""
        own = cast(Dense.Settings, settings)
        if own.url is not None:
            return ()
        try:
            return (PACKAGES[form_of(Path(own.model))][1],)
        except ConfigError:  # said where it is opened
            return ()

    @classmethod
    def missing(cls, settings: IndexSettings) -> list[Missing]:
        """The model's folder or the endpoint, and the package that is needed for it."""
        own = cast(Dense.Settings, settings)
        try:
            module = "httpx" if own.url is not None else PACKAGES[form_of(Path(own.model))][0]
        except ConfigError as error:
            return [Missing("model_missing", str(error), "correct [index] model")]
        if find_spec(module) is None:
            return [Missing(f"extra {EXTRA}", f"{module} is not installed, and [index] needs it", install_line(EXTRA))]
        return endpoint_problems(own.server) if own.server is not None else []

    @classmethod
    def trial(cls, settings: IndexSettings) -> str:
        """Embed one word."""
        own = cast(Dense.Settings, settings)
        server = own.server
        if server is None:
            size = open_embedder(Path(own.model)).embed(["word"], query=True).shape[1]
        else:
            size = run_in_thread(lambda: embed_batch(server, ["word"]))[0].shape[1]
        return f"{own.model} makes vectors of {size} numbers"


def normalised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def to_float16(rows: NDArray[np.float32]) -> NDArray[np.float16]:
    """Normalised rows in 16 bits."""
    return normalised(rows).astype(np.float16)
