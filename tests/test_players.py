"""Who plays, and under which key: what makes another player, what does not, and what an episode is recorded under."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import little
import pytest

from agents.context import Seat, Team
from agents.files import write_jsonl
from graphs.board import episode_key, seat_identity, seat_parts, team_identity, weights_digest

TASK = little.tasks(little.library())[0]
REMOTE = Seat(model="openai:big@http://127.0.0.1:9/v1", key_env="KEY")


def test_an_endpoints_player_is_its_model_with_its_sampling_and_not_its_address() -> None:
    parts = seat_parts(REMOTE)
    assert (parts["provider"], parts["model"], parts["temperature"]) == ("openai", "big", 0.0)
    assert not {"timeout", "key_env", "concurrency", "price", "weights", "script", "code"} & set(parts)


def test_a_script_is_a_player_by_what_stands_in_it(tmp_path: Path) -> None:
    path = tmp_path / "script.jsonl"
    seat = Seat(model=f"scripted:lines@{path}")
    absent = seat_identity(seat)
    write_jsonl(path, [{"reply": "one"}])
    one = seat_identity(seat)
    write_jsonl(path, [{"reply": "two"}])
    two = seat_identity(seat)
    assert len({absent, one, two}) == 3
    moved = tmp_path / "deep" / "other.jsonl"
    moved.parent.mkdir()
    path.rename(moved)
    assert seat_identity(Seat(model=f"scripted:lines@{moved}")) == two
    assert seat_identity(Seat(model=f"scripted:answer-key@{moved}")) != two
    parts = seat_parts(Seat(model=f"scripted:lines@{moved}"))
    assert (parts["model"], len(parts["code"]), len(parts["script"])) == ("lines", 1, 16)


def model_folder(folder: Path, config: str = "{}") -> Path:
    """A folder that counts as a full model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config)
    return folder


def test_a_model_of_this_process_is_a_player_by_its_files_and_by_the_code_that_runs_it(tmp_path: Path) -> None:
    one, copy, other = (model_folder(tmp_path / n, text) for n, text in (("a", "{}"), ("b", "{}"), ("c", "{ }")))
    parts = seat_parts(Seat(model=f"hf:{one}"))
    assert len(parts["code"]) == 2 and "model" not in parts
    assert seat_identity(Seat(model=f"hf:{one}")) == seat_identity(Seat(model=f"hf:{copy}"))
    assert seat_identity(Seat(model=f"hf:{one}")) != seat_identity(Seat(model=f"hf:{other}"))
    started = seat_parts(Seat(model=f"vllm:{one}"))
    assert started["weights"] == parts["weights"] and not {"code", "model"} & set(started)
    assert seat_parts(Seat(model="vllm:some/name"))["model"] == "some/name"


def test_an_adapter_is_a_player_with_its_base(tmp_path: Path) -> None:
    base = model_folder(tmp_path / "base")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(f'{{"base_model_name_or_path": "{base}"}}')
    before = weights_digest(str(adapter))
    assert before != weights_digest(str(base))
    (base / "config.json").write_text("{ }")
    after = weights_digest(str(adapter))
    assert after != before
    (adapter / "adapter_model.safetensors").write_bytes(b"x")
    assert weights_digest(str(adapter)) not in (before, after)
    hub = tmp_path / "hub"
    hub.mkdir()
    (hub / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/name"}')
    other = tmp_path / "hub2"
    other.mkdir()
    (other / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/other"}')
    assert weights_digest(str(hub)) != weights_digest(str(other))


def test_a_model_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    gone, also = str(tmp_path / "gone"), str(tmp_path / "also gone")
    assert weights_digest(gone) == weights_digest(gone) != weights_digest(also)
    assert weights_digest("owner/name") == weights_digest("owner/name") != weights_digest("owner/other")


def test_a_template_of_its_own_is_a_part_of_the_player(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m")
    template = tmp_path / "t.jinja"
    template.write_text("{{ messages }}")
    seat = Seat(model=f"hf:{folder}", chat_template=str(template))
    one = seat_identity(seat)
    template.write_text("{{ messages }} ")
    assert len({one, seat_identity(seat), seat_identity(Seat(model=f"hf:{folder}"))}) == 3


def test_a_team_is_who_sits_where_whatever_its_name() -> None:
    small = REMOTE.model_copy(update={"model": "openai:small@http://127.0.0.1:9/v1"})
    teams = [
        Team(name="a", reason=REMOTE),
        Team(name="a", reason=small),
        Team(name="a", reason=REMOTE, judge=small),
        Team(name="a", reason=REMOTE, search=small),
        Team(name="a", reason=small, judge=REMOTE),
        Team(name="a", reason=REMOTE, first_thought=True),
    ]
    assert len({team_identity(team) for team in teams}) == len(teams)
    assert team_identity(Team(name="another", reason=REMOTE)) == team_identity(teams[0])


def key(**changes: Any) -> str:
    """The key of an episode, with some of what it is made of changed."""
    values: dict[str, Any] = {
        "task": TASK, "team": "t", "board": "b", "mode": "react", "form": "choice", "sample": 0,
    }  # fmt: skip
    return episode_key(**values | changes)


def test_another_question_player_board_mode_form_or_sample_is_another_episode() -> None:
    other = [
        key(task=TASK.model_copy(update={"id": "x"})),
        key(task=TASK.model_copy(update={"question": "What?"})),
        key(task=TASK.model_copy(update={"options": TASK.options[::-1]})),
        key(team="x"),
        key(board="x"),
        key(mode="cot"),
        key(form="free"),
        key(sample=1),
    ]
    assert key() not in other and len(set(other)) == len(other)
    assert key() == key() and len(key()) == 16


@pytest.mark.parametrize("change", [{"gold": "other"}, {"evidence": ("x#0",)}, {"split": "dev"}, {"kind": "other"}])
def test_what_the_player_does_not_see_is_no_part_of_the_key(change: dict[str, Any]) -> None:
    assert key(task=TASK.model_copy(update=change)) == key()
    shuffled = TASK.model_copy(update={"options": TASK.options[::-1]})
    assert key(task=shuffled, form="free") == key(form="free"), "options that are not shown"
