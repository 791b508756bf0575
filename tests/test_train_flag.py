"""`train` on a message is the truth: a turn that was sent back is kept as context, and no token of it carries loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import little
import pytest
from tiny_models import MARKED, PLAIN, SEARCH, episode, sft_file, tiny_model, tiny_tokenizer

from agents.context import Board, Limits
from agents.files import read_json, read_jsonl, write_jsonl
from distill.dataset import DatasetConfig, sft_row, training_text, write_dataset
from distill.keep import sort_ledger
from finetune.proofs_rows import RowsEvidence, prove_mask
from finetune.rows import IGNORED, Row, masked_dataset, read_episodes, spans, spoken
from finetune.sft import SftConfig, sft
from graphs.episode import Table, play
from graphs.trajectory import Trajectory

TASK = little.tasks(little.library())[0]
LOOK = {"reply": "I look.", "call": {"arguments": {"query": "heater_limit default"}}}
GOOD = "It says so.\nQuote: Default: 3\nAnswer: 3"


async def played(kettle: Path, folder: Path, script: list[dict[str, object]]) -> Trajectory:
    """An episode whose answers may be sent back twice."""
    board = Board(limits=Limits(revisions=2))
    table = Table.from_context(little.context(kettle, little.seat(folder, script), verify="revise", board=board))
    return await play(TASK, table)


async def revised(kettle: Path, folder: Path) -> Trajectory:
    """An answer without a quote is sent back, and the next one is accepted."""
    return await played(
        kettle, folder, [{"turn": 0, **LOOK}, {"turn": 1, "reply": "Answer: 3"}, {"turn": 2, "reply": GOOD}]
    )


async def repaired(kettle: Path, folder: Path) -> Trajectory:
    """A call that cannot be read is sent back, and the next one is made."""
    bad = {"turn": 0, "reply": "I try.", "raw_call": '{"nam'}
    return await played(kettle, folder, [bad, {"turn": 1, **LOOK}, {"turn": 2, "reply": GOOD}])


async def test_a_turn_that_was_sent_back_is_not_trained(kettle: Path, tmp_path: Path) -> None:
    for t, wanted in (
        (await revised(kettle, tmp_path), [True, False, True]),
        (await repaired(kettle, tmp_path), [False, True, True]),
    ):
        assert t.verdict.accepted and t.label == "revised"
        assert [row["train"] for row in t.messages if row["role"] == "assistant"] == wanted


async def test_such_an_episode_is_kept_and_its_row_says_which_turn_is_not_learnt(kettle: Path, tmp_path: Path) -> None:
    t = await revised(kettle, tmp_path)
    row = sft_row(t)
    said = [message.get("train") for message in row["messages"]]
    assert said == [None, None, None, None, False, None, None]
    assert "False" not in training_text(row).splitlines()
    result = sort_ledger({TASK.id: TASK}, [t])
    assert [each.key for each in result.kept] == [t.key]
    write_dataset(tmp_path, {TASK.id: TASK}, result, [], DatasetConfig())
    (read,) = read_episodes(tmp_path / "data" / "sft.jsonl")
    assert (read.turns, read.trained) == ([2, 4, 6], [2, 6])
    asked = sort_ledger({TASK.id: TASK}, [t], drop=DatasetConfig(drop=("revised",)).drop)
    assert asked.reasons() == {"revised": 1}
    broken = await repaired(kettle, tmp_path)
    assert sort_ledger({TASK.id: TASK}, [broken], drop=DatasetConfig().drop).reasons() == {"repaired": 1}
    assert sort_ledger({TASK.id: TASK}, [broken], drop=()).reasons() == {}
    with pytest.raises(ValueError, match="repaired"):
        DatasetConfig.model_validate({"drop": ["wrong"]})


def sent_back() -> list[dict[str, Any]]:
    """Messages of an episode whose first answer was sent back."""
    *before, last = episode("Paris", "France")
    bad = {"role": "assistant", "content": "Answer: Rome", "train": False}
    return [*before, bad, {"role": "user", "content": "there is no quote"}, last]


@pytest.mark.parametrize("template", [MARKED, PLAIN], ids=["marked", "plain"])
def test_no_token_of_it_carries_loss(template: str) -> None:
    tok = tiny_tokenizer(template)
    row = Row(number=1, messages=tuple(sent_back()), tools=(SEARCH,))
    (made,) = masked_dataset([row], tok)
    start, end = spans(row, tok)[1]
    assert "Answer: Rome" in tok.decode(made["input_ids"][start:end])
    assert set(made["labels"][start:end]) == {IGNORED}
    trained = [at for at, label in enumerate(made["labels"]) if label != IGNORED]
    (first, second), (third, fourth) = spans(row, tok)[0], spans(row, tok)[2]
    assert trained == [*range(first, second), *range(third, fourth)]


def evidence(trained: bool) -> RowsEvidence:
    """Evidence of a row with a turn that was sent back, its tokens trained or not."""
    tok = tiny_tokenizer(MARKED)
    row = Row(number=1, messages=tuple(sent_back()), tools=(SEARCH,))
    every = row.model_copy(update={"messages": tuple({**m, "train": True} for m in row.messages)})
    (made,) = masked_dataset([every if trained else row], tok)
    return RowsEvidence(tok, [row], [made["input_ids"]], [made["labels"]], 1024, 1024)


def test_the_mask_proof_knows_the_flag() -> None:
    found = prove_mask(evidence(trained=False))
    assert found.passed and (found.numbers["turns"], found.numbers["untrained_turns"]) == (2, 1)
    wrong = prove_mask(evidence(trained=True))
    assert not wrong.passed and "is trained" in wrong.detail


@pytest.mark.parametrize("transport", ["text", "hermes"])
def test_the_flag_survives_a_transport_in_words(transport: Any) -> None:
    row = spoken(Row(number=1, messages=tuple(sent_back()), tools=(SEARCH,)), transport)
    assert len(row.turns) == 3 and [row.turns.index(at) for at in row.trained] == [0, 2]


def test_a_student_is_trained_without_it(tmp_path: Path) -> None:
    """Through the trainer, with a template that marks every turn: what carries loss is the rows' own."""
    base = tiny_model(tmp_path / "base", hidden=32, layers=1)
    data = sft_file(tmp_path / "data")
    rows = read_jsonl(data)
    config = SftConfig.model_validate({"method": "full", "epochs": 1, "batch": 2, "lr": 1e-3})
    whole = sft(str(base), data, tmp_path / "whole", config, seed=0)
    write_jsonl(data, [{**rows[0], "messages": sent_back()}, *rows[1:]])
    student = sft(str(base), data, tmp_path / "student", config, seed=0)
    proofs = {proof["name"]: proof for proof in read_json(tmp_path / "student" / "proofs.json", "sft")}
    assert proofs["mask"]["passed"] and proofs["mask"]["numbers"]["untrained_turns"] == 1
    spaces = proofs["mask"]["numbers"]["spaces"]
    assert student.tokens > whole.tokens and abs(student.trained_tokens - whole.trained_tokens) <= spaces + len(rows)
