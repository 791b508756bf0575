"""Indexes: bm25, dense and hybrid find what they should, are saved and opened, and never bring what is barred."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import little
import numpy as np
import pytest
from embedding_models import SIZE, static_model, vector

from agents.corpus.chunks import Chunk
from agents.corpus.indexes import IndexConfig, fingerprint, indexes
from agents.corpus.indexes.bm25 import LATER_WEIGHT, document_tokens, query_tokens
from agents.corpus.indexes.ranking import best, fused
from agents.corpus.library import Library
from agents.errors import ConfigError, StageError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static embedding model. Read only."""
    return static_model(tmp_path_factory.mktemp("models") / "static")


@pytest.fixture(scope="module")
def chunks() -> tuple[Chunk, ...]:
    """The kettle's chunks."""
    return little.library().chunks


def config(kind: str, **rest: Any) -> IndexConfig:
    """An index as run.toml says it."""
    return IndexConfig.model_validate({"kind": kind, **rest})


def configs(model: Path) -> dict[str, IndexConfig]:
    """One index of each kind."""
    dense = {"kind": "dense", "model": str(model)}
    return {
        "bm25": IndexConfig(),
        "dense": config("dense", model=str(model)),
        "hybrid": config("hybrid", parts={"words": {"kind": "bm25"}, "meaning": dense}),
    }


@pytest.mark.parametrize("without", [(), ("heater#1", "pump#4")])
def test_bm25_scores_are_those_of_bm25s_over_the_chunks_that_are_left(
    chunks: tuple[Chunk, ...], without: tuple[str, ...], tmp_path: Path
) -> None:
    """Barring chunks is an index of the others: the weight of a word counts the chunks that hold it."""
    import bm25s

    Library.of(chunks).save(tmp_path / "library")
    left = [chunk for chunk in chunks if chunk.id not in without]
    plain = bm25s.BM25(k1=1.2, b=0.4)
    plain.index([document_tokens(chunk) for chunk in left], show_progress=False)
    opened = Library.open(tmp_path / "library", without=without)
    for query in ("heater_limit default", "What is the default of `pump_delay`?", "version of the valve"):
        tokens = [token for token in query_tokens(query) if token in plain.vocab_dict]
        weights = np.array([LATER_WEIGHT if chunk.part else 1.0 for chunk in left], dtype=np.float32)
        scores = plain.get_scores(tokens) * weights
        order = sorted((i for i in range(len(left)) if scores[i] > 1e-9), key=lambda i: (-scores[i], i))
        wanted = [(left[i].id, float(scores[i])) for i in order[:5]]
        assert [(chunk.id, score) for chunk, score in opened.search(query, 5)] == wanted


@pytest.mark.parametrize("kind", ["bm25", "dense", "hybrid"])
def test_an_index_is_opened_as_it_was_saved(kind: str, model: Path, chunks: tuple[Chunk, ...], tmp_path: Path) -> None:
    library = Library.of(chunks, configs(model)[kind])
    library.save(tmp_path / "library")
    opened = Library.open(tmp_path / "library")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["library"]
    assert opened.fingerprint == library.fingerprint
    for query in ("heater_limit default", "what is the delay of the pump", "Kind: text"):
        found = opened.search(query, 4)
        assert found == library.search(query, 4) and len(found) == 4
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert opened.search("heater", 0) == []


@pytest.mark.parametrize("kind", ["bm25", "dense", "hybrid"])
def test_what_is_barred_is_never_found(kind: str, model: Path, chunks: tuple[Chunk, ...], tmp_path: Path) -> None:
    Library.of(chunks, configs(model)[kind]).save(tmp_path / "library")
    barred = {chunk.id for chunk in chunks[::3]}
    less = Library.open(tmp_path / "library", without=barred)
    assert len(less.chunks) == len(chunks) - len(barred)
    for chunk in chunks[:12]:
        found = {each.id for each, _ in less.search(f"{chunk.title} {chunk.text}", len(chunks))}
        assert found and not found & barred
    whole = Library.open(tmp_path / "library")
    assert less.fingerprint == whole.fingerprint and less.hash != whole.hash


def test_dense_finds_by_cosine_and_keeps_ties_in_order(tmp_path: Path) -> None:
    model = static_model(tmp_path / "model")
    texts = ("heater settings", "pump", "heater settings", "valve", "heater settings")
    made = [Chunk(id=f"d#{n}", document="d", title="default", text=text) for n, text in enumerate(texts)]
    library = Library.of(made, config("dense", model=str(model)))
    found = library.search("heater settings", 5)
    assert [chunk.id for chunk, _ in found][:3] == ["d#0", "d#2", "d#4"]
    asked = vector("heater") + vector("settings")
    own = vector("default") + asked
    wanted = float(own @ asked / np.linalg.norm(own) / np.linalg.norm(asked))
    assert found[0][1] == found[2][1] == pytest.approx(wanted, abs=2e-3)  # 16-bit floats, and a mean for a sum
    assert library.search("zebra xylophone", 3) == [], "no token of it is known"
    assert library.index.note == f"vectors of {SIZE} numbers"


def test_the_matrix_is_mapped_and_in_16_bits(model: Path, chunks: tuple[Chunk, ...], tmp_path: Path) -> None:
    Library.of(chunks, config("dense", model=str(model))).save(tmp_path / "library")
    stored = np.load(tmp_path / "library" / "index" / "vectors.npy")
    assert stored.dtype == np.float16 and stored.shape == (len(chunks), SIZE)
    assert np.allclose(np.linalg.norm(stored.astype(np.float32), axis=1), 1, atol=1e-3)
    opened: Any = Library.open(tmp_path / "library").index
    assert isinstance(opened._vectors, np.memmap)


def test_prefixes_are_put_before_queries_and_passages(chunks: tuple[Chunk, ...], model: Path) -> None:
    plain = Library.of(chunks, config("dense", model=str(model)))
    led = Library.of(chunks, config("dense", model=str(model), query_prefix="pump pump ", passage_prefix="text "))
    assert plain.search("heater_limit", 1)[0][1] != led.search("heater_limit", 1)[0][1]
    assert led.search("heater_limit", 1)[0][0].document.startswith("pump")


def test_hybrid_is_the_sum_of_reciprocal_ranks(chunks: tuple[Chunk, ...], model: Path) -> None:
    made = {name: Library.of(chunks, each) for name, each in configs(model).items()}
    query = "default of pump_delay"
    ranks = [{c.id: n for n, (c, _) in enumerate(made[name].search(query, 100), 1)} for name in ("bm25", "dense")]
    for chunk, score in made["hybrid"].search(query, 10):
        assert score == pytest.approx(sum(1 / (60 + rank[chunk.id]) for rank in ranks if chunk.id in rank))
    assert fused([[4, 1], [1, 4]], k=60) == [(1, 1 / 61 + 1 / 62), (4, 1 / 61 + 1 / 62)]


def test_the_best_are_told_with_ties_in_order() -> None:
    scores = np.array([1, 3, 2, 3, 0], dtype=np.float32)
    assert best(scores, 3) == [1, 3, 2] and best(scores, 9) == [1, 3, 2, 0, 4]
    assert best(scores, 9, least=1) == [1, 3, 2, 0] and best(scores, 0) == [] and best(scores[:0], 3) == []


def test_a_model_that_changed_or_is_gone_is_not_asked(tmp_path: Path, chunks: tuple[Chunk, ...]) -> None:
    model = static_model(tmp_path / "model")
    Library.of(chunks, config("dense", model=str(model))).save(tmp_path / "library")
    static_model(model, scale=2.0)
    with pytest.raises(StageError, match="changed since the index was made: run the stage 'index' again"):
        Library.open(tmp_path / "library").search("heater", 1)
    model.rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="there is no folder"):
        Library.open(tmp_path / "library").search("heater", 1)


def test_a_broken_matrix_names_the_step(tmp_path: Path, chunks: tuple[Chunk, ...], model: Path) -> None:
    library = Library.of(chunks, config("dense", model=str(model)))
    library.save(tmp_path / "library")
    path = tmp_path / "library" / "index" / "vectors.npy"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(StageError, match=r"cannot be read \(.*run the stage 'index' again"):
        Library.open(tmp_path / "library")
    np.save(path, np.zeros((3, SIZE), dtype=np.float16))
    with pytest.raises(StageError, match="of other chunks"):
        Library.open(tmp_path / "library")


def test_nothing_half_made_stays(tmp_path: Path, chunks: tuple[Chunk, ...]) -> None:
    folder = tmp_path / "library"
    Library.of(chunks).save(folder)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    (tmp_path / "model").mkdir()
    with pytest.raises(ConfigError, match="is no embedding model"):
        Library.of(chunks, config("dense", model=str(tmp_path / "model"))).save(folder)
    (tmp_path / "model").rmdir()
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_fingerprints_tell_indexes_apart(model: Path, tmp_path: Path) -> None:
    plain = config("dense", model=str(model))
    other = static_model(tmp_path / "other", scale=3.0)
    same = static_model(tmp_path / "same")
    every = [
        fingerprint(each)
        for each in (
            *configs(model).values(),
            config("bm25", b=0.5),
            config("dense", model=str(model), query_prefix="q "),
            config("dense", model=str(other)),
            config("hybrid", k=10, parts={"a": {"kind": "bm25"}, "b": plain.model_dump()}),
        )
    ]
    assert len({str(each) for each in every}) == len(every)
    assert fingerprint(config("dense", model=str(same))) == fingerprint(plain), "the same files elsewhere"
    assert fingerprint(config("dense", model=str(model), batch=7)) == fingerprint(plain)
    assert set(fingerprint(plain)["packages"]) == {"model2vec"} and set(every[0]["packages"]) == {"bm25s"}


def test_a_model_of_sentence_transformers(tmp_path: Path, chunks: tuple[Chunk, ...]) -> None:
    pytest.importorskip("sentence_transformers")
    from embedding_models import encoder_model

    library = Library.of(chunks, config("dense", model=str(encoder_model(tmp_path / "encoder"))))
    library.save(tmp_path / "library")
    chunk = library.chunks[5]
    found = Library.open(tmp_path / "library").search(f"{chunk.title}\n{chunk.text}", 3)
    assert found[0][0].id == chunk.id and found[0][1] == pytest.approx(1, abs=1e-3)
    assert set(library.fingerprint["packages"]) == {"sentence-transformers"}


def test_the_kinds_are_those_that_the_config_may_name() -> None:
    assert indexes.names()[:3] == ["bm25", "dense", "hybrid"]
    for wrong, said in (
        ({"kind": "bm52"}, r"no index is named 'bm52'; .*did you mean 'bm25'\?"),
        (
            {"kind": "dense", "modle": "x"},
            r"unknown key 'modle' of an index of the kind 'dense'; did you mean 'model'\?",
        ),
        ({"kind": "dense"}, "model: Field required"),
        ({"kind": "dense", "model": "x", "price": 1}, "price is for a model behind an endpoint"),
        ({"kind": "dense", "model": "x", "url": "host/v1"}, "url is no address"),
        ({"kind": "dense", "model": "x", "url": "https://me:secret@host/v1"}, "url holds a secret"),
        ({"kind": "hybrid", "parts": {"a": {"kind": "bm25"}}}, "at least 2 items"),
        ({"kind": "hybrid", "parts": {"a": {"kind": "bm25"}, "b": {"kind": "dens"}}}, "did you mean 'dense'"),
    ):
        with pytest.raises(ValueError, match=said) as told:
            IndexConfig.model_validate(wrong)
        assert "secret@" not in str(told.value)
