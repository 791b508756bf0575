"""SFT: students that really search and answer, full and LoRA; kill and resume; files checked before all else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import silence
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import ValidationError
from tiny_models import PAIRS, SEARCH, episode, sft_file, tiny_model

from agents.errors import MissingExtra, SeatError, StageError
from agents.models.hf import open_hf
from agents.models.rendering import load_tokenizer
from finetune.merge import merge
from finetune.rows import episodes_dataset, read_episodes
from finetune.settings import TrainingResult
from finetune.sft import SftConfig, sft


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sft")
    tiny_model(folder / "base", hidden=96)
    tiny_model(folder / "small", hidden=32, layers=1)
    sft_file(folder)
    return folder


@pytest.fixture(scope="module")
def full(home: Path) -> TrainingResult:
    config = SftConfig(method="full", max_steps=90, batch=3, lr=4e-3)
    return sft(str(home / "base"), home / "sft.jsonl", home / "students/full", config, seed=0)


@pytest.fixture(scope="module")
def lora(home: Path, full: TrainingResult) -> TrainingResult:
    """An adapter that teaches the full student one more episode."""
    rows = [{"messages": episode("Lyon", "Rome"), "tools": json.dumps([SEARCH])}]
    data = home / "more.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = SftConfig(max_steps=25, batch=1, r=16, alpha=32, lr=1e-2)
    return sft(str(full.out), data, home / "students/lora", config, seed=0)


def play(model: Path, city: str, country: str) -> tuple[AIMessage, AIMessage]:
    """One episode through the hf seat: the searching turn and the answering turn."""
    chat = open_hf(str(model), max_tokens=64).bind_tools([SEARCH])
    asked = episode(city, country)
    history: list[BaseMessage] = [SystemMessage("Look things up."), HumanMessage(asked[1]["content"])]
    first = chat.invoke(history)
    observation = ToolMessage(asked[3]["content"], tool_call_id=first.tool_calls[0]["id"] if first.tool_calls else "-")
    return first, chat.invoke([*history, first, observation])


@pytest.mark.parametrize(("city", "country"), PAIRS)
def test_a_full_student_searches_and_answers(full: TrainingResult, city: str, country: str) -> None:
    first, last = play(full.out, city, country)
    assert first.content == "I look this up."
    assert [call["name"] for call in first.tool_calls] == ["search"]
    assert "Answer: " in str(last.content)
    assert last.response_metadata["finish_reason"] == "stop"
    written = first.response_metadata["prompt_ids"] + first.response_metadata["completion_ids"]
    assert last.response_metadata["prompt_ids"][: len(written)] == written


def test_a_lora_student_searches_and_answers_what_its_base_does_not(full: TrainingResult, lora: TrainingResult) -> None:
    first, last = play(lora.out, "Lyon", "Rome")
    assert first.tool_calls[0]["args"] == {"query": "capital of Rome"}
    assert str(last.content).endswith("Answer: Lyon")
    assert play(full.out, "Lyon", "Rome")[0].tool_calls[0]["args"] != {"query": "capital of Rome"}


def test_a_student_folder_tells_its_story(home: Path, full: TrainingResult, lora: TrainingResult) -> None:
    for result in (full, lora):
        curve = [json.loads(line) for line in (result.out / "losses.jsonl").read_text().splitlines()]
        assert [line["step"] for line in curve] == list(range(1, result.steps + 1))
        assert curve[-1]["loss"] < curve[0]["loss"]
        assert set(curve[0]) == {"step", "loss", "lr", "seconds", "tokens"}
        story = json.loads((result.out / "training.json").read_text())
        assert story["config"]["method"] == result.method
        assert story["trained_tokens"] < story["tokens"]
        assert story["versions"]["trl"]
        proofs = json.loads((result.out / "proofs.json").read_text())
        assert all(each["passed"] for each in proofs)
        assert 'spec = "hf:."' in (result.out / "seat.toml").read_text()
        tok = load_tokenizer(result.out, training=True)
        assert "{%- generation %}" in tok.chat_template
    assert {path.name for path in (home / "students").iterdir()} == {"full", "lora"}
    assert full.max_length == max(len(ids) for ids in rendered(home, full.out))


def rendered(home: Path, student: Path) -> list[list[int]]:
    tok = load_tokenizer(student)
    dataset = episodes_dataset(read_episodes(home / "sft.jsonl"), tok)
    return [tok.apply_chat_template(r["messages"], tools=json.loads(r["tools"]), return_dict=False) for r in dataset]


def test_a_merged_student_writes_what_its_adapter_writes(lora: TrainingResult, tmp_path: Path) -> None:
    whole = merge(str(lora.out), tmp_path / "merged")
    assert [m.content for m in play(whole, "Lyon", "Rome")] == [m.content for m in play(lora.out, "Lyon", "Rome")]
    with pytest.raises(SeatError, match="nothing to merge"):
        merge(str(whole), tmp_path / "again")


def test_training_is_silent_on_stdout_and_stderr_of_a_pipe(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = SftConfig(max_steps=2, r=2)
    sft(str(home / "small"), home / "sft.jsonl", home / "other" / "quiet", config, seed=0)
    assert capfd.readouterr() == ("", "")


def test_the_same_training_twice_gives_the_same_student(home: Path) -> None:
    config = SftConfig(max_steps=3, r=2, dropout=0.1)
    losses = []
    for _ in range(2):
        out = home / "other" / "twice"
        sft(str(home / "small"), home / "sft.jsonl", out, config, seed=3)
        losses.append([json.loads(line)["loss"] for line in (out / "losses.jsonl").read_text().splitlines()])
    assert losses[0] == losses[1]


SCRIPT = """
import sys
from pathlib import Path
from finetune.sft import SftConfig, sft
base, data, out, config = sys.argv[1:]
sft(base, Path(data), Path(out), SftConfig.model_validate_json(config), seed=0)
"""


def test_a_killed_training_goes_on_from_its_checkpoint(home: Path, tmp_path: Path) -> None:
    config = SftConfig(method="full", max_steps=40, save_every=4, batch=1, lr=1e-3)
    out = tmp_path / "students/sft"
    whole = sft(str(home / "small"), home / "sft.jsonl", tmp_path / "whole", config, seed=0)
    arguments = [str(home / "small"), str(home / "sft.jsonl"), str(out), config.model_dump_json()]
    command = [sys.executable, "-c", SCRIPT, *arguments]
    environment = {**os.environ, "PYTHONPATH": silence.path(*sys.path)}
    process = subprocess.Popen(command, env=environment)
    partial = out.parent / "sft.partial"
    deadline = time.monotonic() + 300
    while not list(partial.glob("checkpoint-*/trainer_state.json")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    (partial / "checkpoint-9999").mkdir()  # as a kill in the middle of saving leaves one
    result = sft(str(home / "small"), home / "sft.jsonl", out, config, seed=0)
    assert 4 <= result.resumed_from < 40
    assert result.steps == 40
    assert result.last_loss == pytest.approx(whole.last_loss, rel=1e-4)
    steps = [json.loads(line)["step"] for line in (out / "losses.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 41))
    assert not partial.exists()


def test_another_config_starts_clean(home: Path, tmp_path: Path) -> None:
    from finetune.trainer import partial_folder

    folder = partial_folder(tmp_path / "sft", "one")
    (folder / "checkpoint-5").mkdir()
    assert (partial_folder(tmp_path / "sft", "one") / "checkpoint-5").exists()
    assert not (partial_folder(tmp_path / "sft", "two") / "checkpoint-5").exists()


def test_no_null_is_put_into_calls_or_schemas(home: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    other = {"type": "function", "function": {"name": "open", "arguments": {"page": 3, "deep": {"a": None}}}}
    one, two = episode("Paris", "France"), episode("Rome", "Italy")
    two[2]["tool_calls"] = [other]
    schema = {"type": "function", "function": {"name": "open", "parameters": {"type": "object"}}}
    raw: list[dict[str, Any]] = [
        {"messages": one, "tools": json.dumps([SEARCH])},
        {"messages": two, "tools": json.dumps([schema])},
    ]
    path = tmp_path / "sft.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in raw))
    loaded = load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["messages"] for row in loaded] == [row["messages"] for row in raw]
    tok = load_tokenizer(home / "base")
    dataset = episodes_dataset(read_episodes(path), tok)
    calls = [row["messages"][2]["tool_calls"][0]["function"]["arguments"] for row in dataset]
    assert calls == [{"query": "capital of France"}, {"page": 3, "deep": {"a": None}}]
    assert [json.loads(row["tools"]) for row in dataset] == [[SEARCH], [schema]]


GOOD = json.dumps({"messages": episode("Paris", "France"), "tools": "[]"})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"messages": ', "not JSON"),
        ("[1]", "a JSON list"),
        ("{}", "no 'messages'"),
        ('{"messages": [{"role": "robot"}]}', "no message with a role"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "no assistant turn"),
        (
            '{"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "x"}}]}]}',
            "dict of arguments",
        ),
        ('{"messages": [{"role": "assistant", "content": "x"}], "tools": "[1"}', "'tools' is no JSON"),
        ('{"messages": [{"role": "assistant", "content": "x"}], "tools": [1]}', "'tools' is no list"),
    ],
)
def test_a_broken_line_is_named_and_nothing_is_left(tmp_path: Path, line: str, said: str) -> None:
    data = tmp_path / "sft.jsonl"
    data.write_text(f"{GOOD}\n\n{line}\n")
    with pytest.raises(StageError, match=f"line 3.*{said}"):
        sft("tiny-base", data, tmp_path / "out", SftConfig(), seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["sft.jsonl"]


def test_absent_and_empty_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="is not there"):
        sft("tiny-base", tmp_path / "sft.jsonl", tmp_path / "out", SftConfig(), seed=0)
    (tmp_path / "sft.jsonl").write_text("\n")
    with pytest.raises(StageError, match="holds no row"):
        sft("tiny-base", tmp_path / "sft.jsonl", tmp_path / "out", SftConfig(), seed=0)


def test_an_absent_base_and_an_absent_extra_are_named(home: Path, tmp_path: Path) -> None:
    with pytest.raises(SeatError, match="no model folder"):
        sft(str(tmp_path / "none"), home / "sft.jsonl", tmp_path / "out", SftConfig(), seed=0)
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtra, match=r"pip install .*\[qlora\]"):
            sft(str(home / "small"), home / "sft.jsonl", tmp_path / "out", SftConfig(method="qlora"), seed=0)
    assert not list(tmp_path.iterdir())


def test_a_config_says_what_it_takes() -> None:
    with pytest.raises(ValidationError, match="learning_rate"):
        SftConfig.model_validate({"learning_rate": 1})
    assert SftConfig().rate(10**9) == 2e-4
    assert SftConfig(method="full").rate(10**9) == 2e-5
    assert SftConfig(method="full").rate(10**6) == 1e-3
    assert SftConfig(lr=0.5).rate(1) == 0.5


def test_a_training_that_was_killed_after_its_last_step_makes_no_step_more(home: Path, tmp_path: Path) -> None:
    """Between the last checkpoint and the finished student lie the proofs: a kill there, and another after that."""
    config = SftConfig(method="full", max_steps=6, save_every=2, batch=1, lr=1e-2, scheduler="cosine")
    whole = sft(str(home / "small"), home / "sft.jsonl", tmp_path / "whole", config, seed=0)
    out = tmp_path / "students" / "sft"
    arguments = [str(home / "small"), str(home / "sft.jsonl"), str(out), config.model_dump_json()]
    environment = {**os.environ, "PYTHONPATH": silence.path(*sys.path)}
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env=environment)
        while not (out.parent / "sft.partial" / "checkpoint-6" / "trainer_state.json").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
    result = sft(str(home / "small"), home / "sft.jsonl", out, config, seed=0)
    assert (result.steps, result.resumed_from) == (6, 4)
    assert result.last_loss == whole.last_loss
    assert (out / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()
