"""Training files field by field: what a row holds, what counts as its text, and what the card says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import synthetic_run as synthetic

from agents.corpus.chunks import Chunk
from agents.files import read_json, read_jsonl
from distill.dataset import DatasetConfig, card, cpt_row, sft_row, training_text, training_texts, write_dataset
from distill.keep import sort_ledger
from graphs.trajectory import Trajectory

CALL = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": {"query": "heiß", "depth": 2}}}
SCHEMA = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search the manual",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}
MESSAGES: tuple[dict[str, Any], ...] = (
    {"role": "system", "content": "Rules.", "node": "reason", "train": False},
    {"role": "user", "content": "How hot?", "node": "task", "train": False},
    {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": "Hm, the kettle.",
        "tool_calls": [CALL],
        "node": "reason",
        "train": True,
    },
    {"role": "tool", "name": "search", "tool_call_id": "call_1", "content": "It is hot.", "node": "act"},
    {"role": "assistant", "content": "Answer: 100", "node": "reason", "train": True, "malformed": "no"},
)
CHUNKS = (
    Chunk(id="p#0", document="p", title="Page", text="Its text.\n"),
    Chunk(id="p#1", document="p", title="Page > Two", text=""),
)


def episode(number: int = 0, **changes: Any) -> Trajectory:
    """An accepted episode with these messages."""
    task = synthetic.make_task(number, "train")
    fields = {"messages": MESSAGES, "tools": (SCHEMA,), "label": "accepted"} | changes
    return synthetic.episode(task, "teacher", task.gold, **fields)


def test_a_row_holds_what_a_template_reads_and_where_it_comes_from() -> None:
    row = sft_row(episode())
    assert set(row) == {"messages", "tools", "key", "task_id"}
    assert (row["key"], row["task_id"]) == ("teacher-train000", "train000")
    assert row["messages"] == [
        {"role": "system", "content": "Rules."},
        {"role": "user", "content": "How hot?"},
        {"role": "assistant", "content": "I look.", "tool_calls": [CALL]},
        {"role": "tool", "content": "It is hot.", "tool_call_id": "call_1", "name": "search"},
        {"role": "assistant", "content": "Answer: 100"},
    ]
    assert json.loads(row["tools"]) == [SCHEMA]
    assert json.loads(sft_row(episode(tools=()))["tools"]) == []


def test_tools_are_written_in_their_own_letters() -> None:
    heiss = {**SCHEMA, "function": {**SCHEMA["function"], "description": "heiß"}}  # type: ignore[dict-item]
    assert "heiß" in sft_row(episode(tools=(heiss,)))["tools"]


def test_reasoning_stands_beside_its_turn_where_it_is_asked_for() -> None:
    messages = sft_row(episode(), reasoning=True)["messages"]
    assert [message.get("reasoning_content") for message in messages] == [None, None, "Hm, the kettle.", None, None]
    assert "reasoning_content" not in messages[4]


def test_a_chunk_becomes_a_text_under_its_title() -> None:
    assert cpt_row(CHUNKS[0]) == {"text": "Page\nIts text.", "chunk": "p#0"}
    assert cpt_row(CHUNKS[1]) == {"text": "Page > Two", "chunk": "p#1"}


def test_the_text_of_a_row_is_all_that_somebody_says_in_it() -> None:
    lines = training_text(sft_row(episode(), reasoning=True)).splitlines()
    for said in ("Rules.", "How hot?", "I look.", "Hm, the kettle.", "It is hot.", "Answer: 100", "heiß", "2"):
        assert said in lines, said
    for said in ("Search the manual", "search", "query", "depth", "string"):
        assert said in lines, said
    for form in ("role", "content", "messages", "tool_calls", "arguments", "properties", "description"):
        assert form not in lines, form


def test_names_of_arguments_are_said_however_deep_they_stand() -> None:
    deep = {**CALL, "function": {"name": "own", "arguments": {"outer": {"inner": [{"innermost": None}]}}}}
    turn = {**MESSAGES[2], "tool_calls": [deep]}
    lines = training_text(sft_row(episode(messages=(turn,), tools=()))).splitlines()
    assert lines == ["assistant", "I look.", "call_1", "function", "own", "outer", "inner", "innermost"]


def test_what_is_searched_for_leaks_is_what_is_trained_by_this_config() -> None:
    plain = dict(training_texts([episode()], CHUNKS, DatasetConfig()))
    thinking = dict(training_texts([episode()], CHUNKS, DatasetConfig(reasoning=True)))
    assert list(plain) == ["teacher-train000", "p#0", "p#1"]
    assert plain["p#0"] == "Page\nIts text."
    assert "Hm, the kettle." not in plain["teacher-train000"] and "Hm, the kettle." in thinking["teacher-train000"]


def test_files_counts_and_card_of_a_run(tmp_path: Path) -> None:
    tasks = {task.id: task for task in (synthetic.make_task(n, "train") for n in range(5))}
    good = [episode(n) for n in range(4)]
    good[3] = good[3].model_copy(update={"team": "second"})
    bad = [episode(4, stop="loop"), episode(4, key="limit", stop="limit:steps"), episode(4, key="l2", stop="loop")]
    result = sort_ledger(tasks, [*good, *bad])
    counts = write_dataset(tmp_path, tasks, result, CHUNKS, DatasetConfig(reasoning=True))
    assert counts == {
        "ledger": 7,
        "kept": 4,
        "dropped": 3,
        "reasons": {"loop": 2, "limit:steps": 1},
        "levels": {"engineer": 2, "professional": 1, "consultant": 1},
        "kinds": {"lookup": 2, "bridge": 1, "scenario": 1},
        "cpt_chunks": 2,
        "turns": 8,
        "teams": {"teacher": 3, "second": 1},
    }
    assert read_json(tmp_path / "dataset.json", "dataset") == counts
    assert read_jsonl(tmp_path / "data" / "sft.jsonl") == [sft_row(t, reasoning=True) for t in result.kept]
    assert read_jsonl(tmp_path / "data" / "cpt.jsonl") == [cpt_row(chunk) for chunk in CHUNKS]
    said = (tmp_path / "data" / "README.md").read_text(encoding="utf-8")
    assert said == card(counts)
    for line in (
        "Ledger: 7 episodes = 4 kept + 3 dropped.",
        "| `loop` | 2 | The same call was made twice in a row. |",
        "| `limit:steps` | 1 | The episode reached a limit of the board. |",
        "- `sft.jsonl`: 4 conversations, 8 assistant turns",
        "By level: engineer 2, professional 1, consultant 1. Teams: teacher 3, second 1.",
        "- `cpt.jsonl`: 2 manual sections",
    ):
        assert line in said, line
    assert said.startswith("---\nconfigs:\n- config_name: sft\n  data_files: sft.jsonl\n- config_name: cpt\n")


def test_the_card_of_a_run_without_a_loss_has_no_table(tmp_path: Path) -> None:
    counts = write_dataset(tmp_path, {}, sort_ledger({}, []), [], DatasetConfig())
    said = card(counts)
    assert "| reason |" not in said and "By level: none. Teams: none." in said
    assert (tmp_path / "data" / "sft.jsonl").read_text() == ""
