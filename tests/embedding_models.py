"""Embedding models for tests: a static one over a few words, and an endpoint on loopback with vectors of words."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import little
import numpy as np
from numpy.typing import NDArray

SIZE = 32
Fault = Callable[[int, dict[str, Any]], tuple[int, dict[str, str], Any] | None]
"""Number of the request (from 1) and its body -> status, headers and JSON in place of the vectors; None = vectors."""


def words(text: str) -> list[str]:
    """Words of a text in lower case, names whole."""
    found: list[str] = re.findall(r"\w+", text.lower())
    return found


def vector(word: str) -> NDArray[np.float32]:
    """A direction that a word always has."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
    return np.random.default_rng(seed).standard_normal(SIZE).astype(np.float32)


def static_model(folder: Path, scale: float = 1.0) -> Path:
    """A model2vec folder that knows the words of the kettle's manual; another scale has other weights."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace

    vocabulary = sorted({word for text in little.pages().values() for word in words(text)} | {"what", "is", "the"})
    names = ["[UNK]", *vocabulary]
    tokenizer = Tokenizer(WordLevel({name: n for n, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    rows = np.stack([np.zeros(SIZE, dtype=np.float32), *(scale * vector(word) for word in vocabulary)])
    about = {"model_type": "model2vec", "normalize": True}
    StaticModel(rows, tokenizer, config=about, normalize=True).save_pretrained(str(folder))
    return folder


class Embeddings:
    """The server with what it has seen."""

    def __init__(self, fault: Fault | None = None, key: str | None = None) -> None:
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str] = []
        lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    owner.seen.append(body)
                    owner.keys.append(self.headers.get("Authorization", ""))
                    number = len(owner.seen)
                status, headers, answer = (fault(number, body) if fault else None) or (200, {}, made(body))
                if key is not None and owner.keys[-1] != f"Bearer {key}":
                    status, headers, answer = 401, {}, {"error": f"no such key {owner.keys[-1]}"}
                raw = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def texts(self) -> list[str]:
        """Every text that was embedded."""
        return [text for body in self.seen for text in body["input"]]


def made(body: dict[str, Any]) -> dict[str, Any]:
    """The answer of an endpoint for embeddings, its rows in no order."""
    rows = [
        {
            "object": "embedding",
            "index": n,
            "embedding": [float(x) for x in sum((vector(w) for w in words(text)), start=np.zeros(SIZE))],
        }
        for n, text in enumerate(body["input"])
    ]
    tokens = sum(len(words(text)) for text in body["input"])
    return {"object": "list", "data": rows[::-1], "model": body["model"], "usage": {"prompt_tokens": tokens}}


@contextmanager
def embedding(fault: Fault | None = None, key: str | None = None) -> Iterator[Embeddings]:
    """The server while it runs."""
    server = Embeddings(fault, key)
    thread = threading.Thread(target=server._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server._server.shutdown()
        server._server.server_close()
        thread.join()


def encoder_model(folder: Path) -> Path:
    """A folder of sentence-transformers: a BERT of random weights, whose vectors are the mean over its tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    vocabulary = sorted({word for text in little.pages().values() for word in re.findall(r"[a-z]+|\d", text.lower())})
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *vocabulary, *"_`:#.>"]
    inner = folder.with_name(f"{folder.name}-bert")
    inner.mkdir(parents=True)
    (inner / "vocab.txt").write_text("\n".join(dict.fromkeys(names)), encoding="utf-8")
    BertTokenizerFast(str(inner / "vocab.txt")).save_pretrained(str(inner))
    torch.manual_seed(0)
    shape = {"hidden_size": SIZE, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(dict.fromkeys(names)), **shape)).save_pretrained(str(inner))
    words_of = Transformer(str(inner), max_seq_length=128)
    SentenceTransformer(modules=[words_of, Pooling(SIZE)], device="cpu").save(str(folder))
    return folder
