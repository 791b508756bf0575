"""Hashes of files by content: an edit that size and time do not show is seen, and what is remembered is never wrong."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from agents.context import Price, Seat, Team
from graphs import contents
from graphs.board import seat_identity, team_identity
from graphs.contents import forget, recall, remember, sha256_of

LARGE = 65 * 2**20


def model_folder(folder: Path, bytes_: int = 1000) -> Path:
    """A folder that counts as a full model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with (folder / "model.safetensors").open("wb") as stream:
        stream.truncate(bytes_)
    return folder


def edit_in_secret(path: Path, at: int = 100) -> None:
    """Change one byte; size, inode and time of change stay."""
    stat = path.stat()
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"\x01")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)


@pytest.mark.parametrize("size", [1000, LARGE])
def test_an_edit_of_equal_size_and_time_is_another_player(tmp_path: Path, size: int) -> None:
    folder = model_folder(tmp_path / "m", size)
    seat = Seat(model=f"hf:{folder}")
    before = seat_identity(seat)
    assert seat_identity(seat) == before
    edit_in_secret(folder / "model.safetensors", size - 10)
    assert seat_identity(seat) != before


def test_a_moved_or_touched_model_is_the_same_player(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", LARGE)
    before = seat_identity(Seat(model=f"hf:{folder}"))
    os.utime(folder / "model.safetensors", (1, 1))
    moved = folder.rename(tmp_path / "elsewhere")
    assert seat_identity(Seat(model=f"hf:{moved}")) == before


def test_what_no_loader_reads_is_no_part_of_the_player(tmp_path: Path) -> None:
    """A student trained again to the same weights differs in its notes (seconds, losses) alone."""
    folder = model_folder(tmp_path / "m")
    before = seat_identity(Seat(model=f"hf:{folder}"))
    for name in ("training.json", "losses.jsonl", "proofs.json", "seat.toml", "README.md", ".DS_Store"):
        (folder / name).write_text("a note")
    assert seat_identity(Seat(model=f"hf:{folder}")) == before
    (folder / "generation_config.json").write_text('{"eos_token_id": 3}')
    assert seat_identity(Seat(model=f"hf:{folder}")) != before


def test_an_adapter_is_played_with_its_base(tmp_path: Path) -> None:
    base = model_folder(tmp_path / "base")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "../base"}))
    seat = Seat(model=f"hf:{adapter}")
    before = seat_identity(seat)
    edit_in_secret(base / "model.safetensors")
    assert seat_identity(seat) != before


def test_tiny_base_is_known_by_its_weights() -> None:
    from agents.models.bases import tiny_base

    assert seat_identity(Seat(model="hf:tiny-base")) == seat_identity(Seat(model=f"hf:{tiny_base()}"))


SAME = [
    {"model": "openai:big@http://127.0.0.1:8001/v1"},
    {"model": "openai:big@http://a/v1,http://b/v1"},
    {"timeout": 3.0},
    {"key_env": "OTHER"},
    {"concurrency": 7},
    {"price": Price(prompt=3)},
]
OTHER = [
    {"model": "openai:bigger@http://127.0.0.1:8000/v1"},
    {"model": "vllm:big@http://127.0.0.1:8000/v1"},
    {"temperature": 0.5},
    {"max_tokens": 99},
    {"transport": "text"},
    {"structured": "prompt"},
]


@pytest.mark.parametrize("change", SAME, ids=str)
def test_the_same_player_behind_an_endpoint(change: dict[str, object]) -> None:
    seat = Seat(model="openai:big@http://127.0.0.1:8000/v1")
    assert seat_identity(seat.model_copy(update=change)) == seat_identity(seat)


@pytest.mark.parametrize("change", OTHER, ids=str)
def test_another_player_behind_an_endpoint(change: dict[str, object]) -> None:
    seat = Seat(model="openai:big@http://127.0.0.1:8000/v1")
    assert seat_identity(seat.model_copy(update=change)) != seat_identity(seat)


def test_who_sits_where_is_the_team_and_its_name_is_not() -> None:
    seat = Seat(model="openai:big@http://127.0.0.1:8000/v1")
    team = Team(name="a", reason=seat)
    assert team_identity(team) == team_identity(team.model_copy(update={"name": "b"}))
    assert team_identity(team) != team_identity(team.model_copy(update={"judge": seat}))
    assert team_identity(team) != team_identity(team.model_copy(update={"first_thought": True}))


def settled(path: Path, text: str) -> Path:
    """A file whose last change is long enough ago for its hash to be remembered."""
    path.write_text(text)
    time.sleep(contents.SETTLED_SECONDS + 0.1)
    return path


def test_a_file_that_just_changed_is_not_remembered(tmp_path: Path) -> None:
    """Two changes within one tick of the file system's clock leave the same times."""
    path = tmp_path / "f"
    path.write_text("one")
    sha256_of(path)
    assert not contents.remembered(path)


def test_a_remembered_hash_is_used_and_dropped_when_the_file_changes(tmp_path: Path) -> None:
    path = settled(tmp_path / "f", "one")
    before = sha256_of(path)
    assert contents.remembered(path)
    stat = path.stat()
    path.write_text("two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert sha256_of(path) != before


def test_large_files_are_remembered_between_processes(tmp_path: Path) -> None:
    large, small = tmp_path / "large", tmp_path / "small"
    with large.open("wb") as stream:
        stream.truncate(contents.WORTH_BYTES)
    settled(small, "small")
    forget()
    found = sha256_of(large)
    sha256_of(small)
    remember(tmp_path / "hashes.json")
    assert list(json.loads((tmp_path / "hashes.json").read_text())) == [str(large)]
    forget()
    recall(tmp_path / "hashes.json")
    assert contents.remembered(large)
    assert sha256_of(large) == found
    (tmp_path / "hashes.json").write_text('{"x": [1, "?"]')
    recall(tmp_path / "hashes.json")  # a broken file is nothing worse than none
