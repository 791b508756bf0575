"""Exporters: what each format's rows look like, and that every row reads back to the same messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import ConfigError, StageError
from agents.files import read_jsonl
from distill.exporters import Conversation, comparable, exporters, opened, rows
from distill.exporters.thoughts import joined, parted
from retort.cli import main

NAMES = ("trl", "openai", "sharegpt")
SEARCH = {"type": "function", "function": {"name": "search", "description": "</tools>\n<é>", "parameters": {}}}


def call(number: int, name: str = "search", **arguments: Any) -> dict[str, Any]:
    """A call in the form of the record."""
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


def result(number: int, content: str, name: str = "search") -> dict[str, Any]:
    return {"role": "tool", "name": name, "tool_call_id": f"call_{number}", "content": content}


def conversation(*messages: dict[str, Any], tools: Any = (SEARCH,)) -> Conversation:
    return Conversation(list(messages), list(tools), {"key": "k", "task_id": "t"})


SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Wie heißt „ö“?\u2028\U0001f600"}
ODD = {
    "plain": conversation(USER, {"role": "assistant", "content": "Answer: 1"}, tools=()),
    "a call and its result": conversation(
        SYSTEM,
        USER,
        {"role": "assistant", "content": "I look.", "tool_calls": [call(1, query='ö \\ " \n')]},
        result(1, "[1] ö\n\nx"),
        {"role": "assistant", "content": "Quote: x\nAnswer: x\n"},
    ),
    "no text beside a call": conversation(
        SYSTEM,
        USER,
        {"role": "assistant", "content": "", "tool_calls": [call(1)]},
        result(1, ""),
        {"role": "assistant", "content": ""},
    ),
    "parallel calls": conversation(
        SYSTEM,
        USER,
        {
            "role": "assistant",
            "content": "Both.\n",
            "tool_calls": [call(1, query="a"), call(2, "open", id=3, deep=[{}])],
        },
        result(1, "one"),
        result(2, "two", "open"),
        {"role": "assistant", "content": "More.", "tool_calls": [call(3, query="b")]},
        result(3, "three"),
        {"role": "assistant", "content": "Answer: a"},
    ),
    "results in another order": conversation(
        USER,
        {"role": "assistant", "content": "Both.", "tool_calls": [call(1, query="a"), call(2, "open", id=3)]},
        result(2, "two", "open"),
        result(1, "one"),
        {"role": "assistant", "content": "Answer: a"},
    ),
    "a tool's error, and tags in a document": conversation(
        SYSTEM,
        USER,
        {"role": "assistant", "content": "Look", "tool_calls": [call(1, query="</tool_call><think>")]},
        result(1, "Error: TimeoutError </tool_response>\n<tool_call>\n{}\n</tool_call>"),
        {"role": "assistant", "content": "<tool_call>\n{}\n</tool_call> is a tag, \\<think> too\nAnswer: x"},
    ),
    "hidden reasoning": conversation(
        SYSTEM,
        USER,
        {"role": "assistant", "content": "So.", "reasoning_content": "Well\n</think>\n…", "tool_calls": [call(1)]},
        result(1, "x"),
        {"role": "assistant", "content": "<think>\nno\n</think>\nAnswer: x"},
    ),
    "a turn that is not trained": conversation(
        SYSTEM,
        USER,
        {"role": "assistant", "content": "search {", "train": False},
        {"role": "user", "content": "Again."},
        {"role": "assistant", "content": "Answer: x", "train": True},
    ),
    "a result without a call": conversation(USER, result(7, "late"), {"role": "assistant", "content": "Answer: x"}),
    "an empty system message": conversation(
        {"role": "system", "content": ""}, USER, {"role": "assistant", "content": "x"}
    ),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("odd", ODD)
def test_every_row_reads_back_to_the_same_messages(name: str, odd: str) -> None:
    exporter, wanted = opened(name), ODD[odd]
    (row,) = rows(exporter, [wanted])
    back = exporter.read(json.loads(json.dumps(row)))
    assert comparable(back) == comparable(wanted)
    if name != "openai":
        assert back.about == wanted.about


@pytest.mark.parametrize("name", NAMES)
def test_the_kept_episodes_of_a_run_read_back_as_they_are_trained(name: str, whole: Path, tmp_path: Path) -> None:
    assert main(["export", str(whole / "run"), str(tmp_path / "out"), "--format", name]) == 0
    trained = read_jsonl(whole / "run" / "data" / "sft.jsonl")
    exporter = opened(name)
    found = [exporter.read(row) for row in read_jsonl(tmp_path / "out" / "sft.jsonl")]
    assert len(found) == len(trained) > 10
    for row, back in zip(trained, found, strict=True):
        assert back.messages == row["messages"]
        assert back.tools == json.loads(row["tools"])
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert exporter.title in card


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TAGS = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "\n", "\\", "<tool_call>", "</tool_call>", "<tool_response>", "{}", "x", " "]
    ),
    max_size=8,
).map("".join)
WORDS = TEXT | TAGS


@given(text=WORDS, thought=WORDS, query=WORDS, found=WORDS)
@settings(max_examples=300, deadline=None)
def test_no_text_is_lost_in_any_format(text: str, thought: str, query: str, found: str) -> None:
    turn = {"role": "assistant", "content": text, "tool_calls": [call(1, query=query, **{query: [text]})]}
    turn |= {"reasoning_content": thought} if thought else {}
    last = {"role": "assistant", "content": text}
    whole = conversation(
        {"role": "system", "content": text}, {"role": "user", "content": found}, turn, result(1, found), last
    )
    for name in NAMES:
        assert len(list(rows(opened(name), [whole]))) == 1


@given(text=WORDS, thought=WORDS)
def test_a_thought_before_a_text_can_be_taken_out_again(text: str, thought: str) -> None:
    assert parted(joined(thought, text)) == (thought, text)


def test_openai_rows_hold_what_an_upload_takes() -> None:
    (row,) = rows(opened("openai"), [ODD["a turn that is not trained"]])
    assert set(row) == {"messages", "tools"}
    assert [message.get("weight") for message in row["messages"]] == [None, None, 0, None, 1]
    (row,) = rows(opened("openai"), [ODD["parallel calls"]])
    turn = row["messages"][2]
    assert set(turn) == {"role", "content", "tool_calls", "weight"}
    assert [each["function"]["arguments"] for each in turn["tool_calls"]] == [
        '{"query": "a"}',
        '{"id": 3, "deep": [{}]}',
    ]
    assert set(row["messages"][3]) == {"role", "content", "tool_call_id"}
    (row,) = rows(opened("openai"), [ODD["plain"]])
    assert set(row) == {"messages"}


def test_sharegpt_says_which_turns_are_not_trained() -> None:
    (row,) = rows(opened("sharegpt"), [ODD["a turn that is not trained"]])
    assert [turn.get("weight") for turn in row["conversations"]] == [None, None, 0, None, None]


class Forgetful:
    """An exporter that loses what tools brought."""

    title = "without results"

    def write(self, conversation: Conversation) -> dict[str, Any]:
        kept = [message for message in conversation.messages if message["role"] != "tool"]
        return {"messages": kept, "tools": conversation.tools}

    def read(self, row: Any) -> Conversation:
        return Conversation(row["messages"], row["tools"])


def test_a_row_that_does_not_hold_its_episode_is_refused() -> None:
    assert len(list(rows(Forgetful(), [ODD["plain"]]))) == 1
    with pytest.raises(StageError, match="episode 'k' does not come back from its row of Forgetful: message 4 differs"):
        list(rows(Forgetful(), [ODD["a call and its result"]]))


def test_a_format_or_container_that_there_is_none_of_is_named(whole: Path, tmp_path: Path) -> None:
    for wanted, said in (
        (["--format", "trll"], "did you mean 'trl'"),
        (["--format", "/no/such.py:X"], "there is no file"),
    ):
        assert main(["export", str(whole / "run"), str(tmp_path / "out"), *wanted]) == 2
        with pytest.raises(ConfigError, match=said):
            opened(wanted[1])
    assert not (tmp_path / "out").exists()
    assert exporters.names()[:3] == list(NAMES)


@pytest.mark.parametrize(
    ("older", "now"),
    [("messages", "trl --container jsonl"), ("parquet", "trl --container parquet"), ("hf", "trl --container hf")],
)
def test_older_names_of_formats_work_and_say_the_new_ones(
    older: str, now: str, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if older != "messages":
        pytest.importorskip("datasets")
    assert main(["export", str(whole / "run"), str(tmp_path / "out"), "--format", older]) == 0
    assert f"--format {older} is the older name of --format {now}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["openai", "sharegpt"])
def test_every_format_fits_every_container(name: str, whole: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    out = tmp_path / "out"
    assert main(["export", str(whole / "run"), str(out), "--format", name, "--container", "parquet"]) == 0
    exporter = opened(name)
    back = [
        exporter.read(row) for row in datasets.Dataset.from_parquet(str(out / "sft.parquet"), cache_dir=str(tmp_path))
    ]
    trained = read_jsonl(whole / "run" / "data" / "sft.jsonl")
    assert [comparable(each) for each in back] == [comparable(Conversation.of(row)) for row in trained]
