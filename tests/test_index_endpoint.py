"""Embeddings behind an endpoint: batches, faults by class, keys, costs, and an episode that searches with them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import little
import numpy as np
import pytest
from embedding_models import SIZE, Fault, embedding, vector, words

from agents.corpus.indexes import IndexConfig
from agents.corpus.library import Library
from agents.errors import ConfigError, ProviderError, StageError
from agents.models.meter import Budget, LocalSpendCounter, Meter, OutOfBudget, metered
from graphs.episode import Table, play


def config(url: str, **rest: Any) -> IndexConfig:
    """A dense index over an endpoint."""
    return IndexConfig.model_validate({"kind": "dense", "model": "m", "url": url, **rest})


def sequence(*answers: tuple[int, dict[str, str], Any] | None) -> Fault:
    """Faults for the first requests."""
    return lambda number, body: answers[number - 1] if number <= len(answers) else None


def test_passages_come_in_batches_and_in_their_order() -> None:
    chunks = little.library().chunks
    with embedding() as server:
        library = Library.of(chunks, config(server.url, batch=20, price=0.5, dimensions=SIZE))
        assert sorted(len(body["input"]) for body in server.seen) == [18, 20, 20, 20]
        assert sorted(server.texts) == sorted(f"{chunk.title}\n{chunk.text}" for chunk in chunks)
        assert all(body["model"] == "m" and body["dimensions"] == SIZE for body in server.seen)
        stored: Any = library.index
        for chunk, row in zip(chunks, stored._vectors, strict=True):
            whole = sum((vector(word) for word in words(f"{chunk.title}\n{chunk.text}")), start=np.zeros(SIZE))
            assert np.allclose(row, whole / np.linalg.norm(whole), atol=2e-3)
        tokens = sum(len(words(text)) for text in server.texts)
        assert library.index.note == f"vectors of {SIZE} numbers, {tokens:,} tokens embedded for {tokens / 2e6:.4f} USD"
        before = len(server.seen)
        assert library.search("heater_limit", 2) == library.search("heater_limit", 2)
        assert len(server.seen) == before + 1, "the vector of a query is kept"


def test_faults_that_pass_are_tried_again() -> None:
    faults = sequence(
        (429, {"Retry-After": "0"}, {"error": "slow down"}),
        (200, {}, {"data": [{"index": 0, "embedding": [float("nan")] * 3}]}),
        (503, {}, "broken"),
    )
    with embedding(faults) as server:
        library = Library.of(little.library().chunks[:1], config(server.url, batch=2048))
        assert len(server.seen) == 4
        assert library.search("heater_limit", 1)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, "auth", r"is the right key in 'A_KEY'"),
        (404, "request", "is the model's name right"),
        (400, "request", "does the model take this much"),
    ],
)
def test_faults_that_stay_are_told_at_once(status: int, kind: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "a-secret-of-some-length")
    answer = status, {}, {"error": "the key a-secret-of-some-length cannot do this"}
    with embedding(lambda number, body: answer) as server:
        with pytest.raises(ProviderError, match=said) as told:
            Library.of(little.library().chunks, config(server.url, key_env="A_KEY"))
        assert told.value.kind == kind and told.value.status == status
        assert "a-secret" not in str(told.value) and "[key]" in str(told.value)


def test_the_key_is_sent_and_one_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "a-secret-of-some-length")
    with embedding(key="a-secret-of-some-length") as server:
        Library.of(little.library().chunks[:3], config(server.url, key_env="A_KEY"))
        assert set(server.keys) == {"Bearer a-secret-of-some-length"}
    monkeypatch.delenv("A_KEY")
    with pytest.raises(ConfigError, match="environment variable 'A_KEY' is empty: export the key there"):
        Library.of(little.library().chunks[:3], config("https://192.0.2.1/v1", key_env="A_KEY"))


def test_an_endpoint_that_stalls_or_is_gone() -> None:
    def slow(number: int, body: dict[str, Any]) -> None:
        time.sleep(number - 1)

    with embedding(slow) as server:
        library = Library.of(little.library().chunks[:3], config(server.url, timeout=0.3))
        with pytest.raises(ProviderError, match=r"no answer within 0.3 s; raise \[index\] timeout") as told:
            library.search("heater_limit", 1)
        assert told.value.kind == "timeout"
    with pytest.raises(ProviderError, match="is the server running, and is the URL right") as told:
        library.search("heater_limit", 1)
    assert told.value.kind == "refused"


def test_vectors_of_another_length_are_told(tmp_path: Path) -> None:
    with embedding() as server:
        library = Library.of(little.library().chunks, config(server.url))
    short = {"data": [{"index": 0, "embedding": [1.0, 2.0]}], "usage": {"prompt_tokens": 2}}
    with embedding(lambda number, body: (200, {}, short)) as server:
        place = config(server.url)
        library.save(tmp_path / "library")
        (tmp_path / "library" / "index.json").write_text(place.model_dump_json())
        with pytest.raises(StageError, match="vectors of 2 numbers, those of the index have 32"):
            Library.open(tmp_path / "library").search("heater", 1)


async def test_a_search_is_counted_on_the_meter_and_stops_at_the_budget() -> None:
    with embedding() as server:
        library = Library.of(little.library().chunks, config(server.url, price=10.0))
        meter = Meter(Budget(tokens=4), LocalSpendCounter())
        with metered(meter):
            _, spent = await library.asearch("limit of the heater", 2)
            assert [(row["role"], row["prompt"], row["usd"]) for row in spent] == [("embed", 4, 4e-5)]
            assert (await library.asearch("limit of the heater", 2))[1] == [], "kept"
            before = len(server.seen)
            with pytest.raises(OutOfBudget):
                await library.asearch("limit of the pump", 2)
            assert len(server.seen) == before
        accounts, _ = meter.unsettled()
        assert accounts["embed"].calls == 1 and accounts["embed"].prompt == 4
        assert library.search("limit of the valve", 2), "within a running loop too"


async def test_an_episode_searches_over_an_endpoint_that_fails_now_and_then(kettle: Path, tmp_path: Path) -> None:
    chunks = Library.open(kettle / "library").chunks
    failing = {"on": False}

    def fault(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], Any] | None:
        failing["on"] = not failing["on"] and len(body["input"]) == 1
        return (500, {}, {}) if failing["on"] else None

    with embedding(fault) as server:
        parts = {"words": {"kind": "bm25"}, "vectors": config(server.url, price=10.0).model_dump()}
        hybrid = IndexConfig.model_validate({"kind": "hybrid", "parts": parts})
        run = little.write_run(tmp_path / "run")
        Library.of(chunks, hybrid).save(run / "library")
        context = little.context(run)
        task = little.tasks(Library.open(run / "library"))[0]
        made = await play(task, Table.from_context(context))
        assert made.stop == "answered" and made.searches[0].hits
        assert len([body for body in server.seen if len(body["input"]) == 1]) == 2 * len(made.searches)
        account = made.usage.roles["embed"]
        assert account.calls == len(made.searches) and account.usd > 0
