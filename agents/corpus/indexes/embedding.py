"""Embedding models in a folder: static ones of model2vec, and those of sentence-transformers."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, need

EXTRA = "dense"
PACKAGES = {"static": ("model2vec", "model2vec"), "encoder": ("sentence_transformers", "sentence-transformers")}
"""Form of a model's folder -> module that opens it, and its distribution."""

Form = Literal["static", "encoder"]


class Embedder(Protocol):
    """A model that makes vectors of texts."""

    def embed(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        """A row a text, of any length.

        Args:
            query: whether these are queries; some models put other words before them than before passages.
        """


def form_of(folder: Path) -> Form:
    """How a model's folder is opened.

    Raises:
        ConfigError: it is no folder of an embedding model.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"[index] model: there is no folder {str(folder)!r}; give the folder of an embedding model, or a `url` "
            "where the model is behind an endpoint"
        )
    about = table_in(folder / "config.json")
    if about.get("model_type") == "model2vec" or about.get("architectures") == ["StaticModel"]:
        return "static"
    if (folder / "modules.json").is_file():
        return "encoder"
    raise ConfigError(
        f"[index] model: {str(folder)!r} is no embedding model: a folder of model2vec has a config.json with "
        'model_type = "model2vec", one of sentence-transformers a modules.json'
    )


def table_in(path: Path) -> dict[str, Any]:
    """A JSON object of a file; empty where the file holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def open_embedder(folder: Path) -> Embedder:
    """The model of a folder, on the CPU or the GPU that its library finds.

    Raises:
        ConfigError: it is no embedding model, or a broken one.
        MissingExtra: the package that opens it is not installed.
    """
    form = form_of(folder)
    module = need(PACKAGES[form][0], EXTRA)
    try:
        return Static(module, folder) if form == "static" else Encoder(module, folder)
    except Exception as error:  # what is broken in a folder comes out as anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ConfigError(f"[index] model: no embedding model can be opened from {str(folder)!r} ({reason})") from None


class Static:
    """A model of model2vec: the mean of its tokens' vectors."""

    def __init__(self, module: Any, folder: Path) -> None:
        self._model = module.StaticModel.from_pretrained(str(folder), normalize=True)

    def embed(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        """A row a text; texts whose tokens the model does not know have zeros."""
        return np.asarray(self._model.encode(list(texts), use_multiprocessing=False), dtype=np.float32)


class Encoder:
    """A model of sentence-transformers."""

    def __init__(self, module: Any, folder: Path) -> None:
        self._model = module.SentenceTransformer(str(folder), local_files_only=True)
        self._lock = threading.Lock()  # its tokenizer is set up anew by each call

    def embed(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        """A row a text, cut to what the model reads; its own prompts for queries and passages are used."""
        encode = self._model.encode_query if query else self._model.encode_document
        with self._lock:
            rows = encode(list(texts), show_progress_bar=False, normalize_embeddings=True, convert_to_numpy=True)
        return np.asarray(rows, dtype=np.float32)
