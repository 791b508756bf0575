"""Each proof passes on honest work and catches a fault planted in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import FORGETFUL, MARKED, PLAIN, cpt_file, episode, sft_file, tiny_model

from agents.errors import ProofError
from agents.models.rendering import load_tokenizer, render, stop_ids
from finetune.proofs import PROOFS, Proof, demand, legend, run_proofs
from finetune.proofs_rows import (
    LengthEvidence,
    PackedEvidence,
    RowsEvidence,
    prove_length,
    prove_mask,
    prove_packing,
    prove_template,
)
from finetune.proofs_student import (
    StudentEvidence,
    agree,
    greedy,
    is_greedy,
    prove_changed,
    prove_merge,
    prove_saved,
    prove_served,
    read,
)
from finetune.rows import Row, read_episodes
from finetune.sft import SftConfig, sft

QUICK = SftConfig(max_steps=2, r=2, alpha=4, lr=1e-2)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proofs")
    tiny_model(folder / "base", hidden=32, layers=1)
    sft_file(folder)
    return folder


@pytest.fixture(scope="module")
def honest(home: Path) -> RowsEvidence:
    """Rows with the labels that the tokenizer's own markers give."""
    tok = load_tokenizer(home / "base", training=True)
    rows = read_episodes(home / "sft.jsonl")
    inputs, labels = [], []
    for row in rows:
        out = tok.apply_chat_template(
            list(row.messages), tools=list(row.tools), return_dict=True, return_assistant_tokens_mask=True
        )
        inputs.append(out["input_ids"])
        labels.append([i if m else -100 for i, m in zip(out["input_ids"], out["assistant_masks"], strict=True)])
    return RowsEvidence(tok, rows, inputs, labels, 1024, 1024)


def planted(evidence: RowsEvidence, change: Callable[[list[int], list[int]], None]) -> RowsEvidence:
    """The evidence with the second row's tokens and labels changed."""
    inputs = [list(ids) for ids in evidence.inputs]
    labels = [list(ids) for ids in evidence.labels]
    change(inputs[1], labels[1])
    return replace(evidence, inputs=inputs, labels=labels)


def test_honest_rows_pass(honest: RowsEvidence) -> None:
    mask, template = prove_mask(honest), prove_template(honest)
    assert mask.passed, mask.detail
    assert template.passed, template.detail
    assert mask.numbers["turns"] == template.numbers["turns"] == 6


def test_a_trained_word_of_the_observation_is_named(honest: RowsEvidence) -> None:
    def change(ids: list[int], labels: list[int]) -> None:
        (at,) = [i for i in range(len(ids)) if honest.tok.decode(ids[i : i + 1]) == "<tool_response>"]
        labels[at] = ids[at]

    found = prove_mask(planted(honest, change))
    assert not found.passed
    assert "row 2" in found.detail
    assert "'<tool_response>') is trained" in found.detail


def test_an_untrained_end_of_turn_is_named(honest: RowsEvidence) -> None:
    end = stop_ids(honest.tok)[0]

    def change(ids: list[int], labels: list[int]) -> None:
        labels[labels.index(end)] = -100

    found = prove_mask(planted(honest, change))
    assert not found.passed
    assert "'<|im_end|>') is not trained" in found.detail


def test_a_fully_masked_row_is_named(honest: RowsEvidence) -> None:
    found = prove_mask(planted(honest, lambda ids, labels: labels.__setitem__(slice(None), [-100] * len(labels))))
    assert not found.passed
    assert "row 2: no token carries loss" in found.detail


def test_a_wrong_label_is_named(honest: RowsEvidence) -> None:
    def change(ids: list[int], labels: list[int]) -> None:
        at = next(i for i, label in enumerate(labels) if label != -100)
        labels[at] += 1

    assert "its label is another token" in prove_mask(planted(honest, change)).detail


def test_padding_with_the_end_of_turn_token_is_caught(honest: RowsEvidence, home: Path) -> None:
    tok = load_tokenizer(home / "base", training=True)
    tok.pad_token = "<|im_end|>"
    assert "pad token" in prove_mask(replace(honest, tok=tok)).detail


def test_a_template_that_drops_a_thought_beside_a_call_is_caught_by_the_mask(tmp_path: Path) -> None:
    dropping = MARKED.replace("{{ m.content }}{% for c", "{% if not m.tool_calls %}{{ m.content }}{% endif %}{% for c")
    tok = load_tokenizer(tiny_model(tmp_path, template=dropping, hidden=32, layers=1), training=True)
    row = Row(number=1, messages=tuple(episode("Paris", "France")), tools=())
    ids = render(tok, row.messages, row.tools, add_generation_prompt=False)
    evidence = RowsEvidence(tok, [row], [ids], [ids], 1024, 1024)
    assert prove_template(evidence).passed
    assert "the text 'I look this up.' is not among the trained" in prove_mask(evidence).detail


def test_a_row_that_the_trainer_cut_or_changed_is_caught(honest: RowsEvidence) -> None:
    found = prove_template(planted(honest, lambda ids, labels: ids.__setitem__(-1, ids[0])))
    assert not found.passed
    assert "row 2" in found.detail


def test_a_row_longer_than_max_length_or_the_model_is_named() -> None:
    assert prove_length(LengthEvidence([1, 4], [30, 50], 50, 64, "sft")).passed
    cut = prove_length(LengthEvidence([1, 4], [30, 50], 40, 64, "sft"))
    assert "row 4 has 50 tokens: set [sft] max_length to 50" in cut.detail
    wide = prove_length(LengthEvidence([1, 4], [30, 70], 80, 64, "sft"))
    assert not wide.passed
    assert "64 positions" in wide.detail


def test_lost_reordered_or_open_documents_are_caught_in_packing(home: Path) -> None:
    tok = load_tokenizer(home / "base")
    end = tok.eos_token_id
    good = PackedEvidence(tok, [[5, 6, end], [7, end]], [[5, 6, end], [7, end]], 3, 64, "cpt")
    assert prove_packing(good).passed
    assert not prove_packing(replace(good, blocks=[[5, 6, end]])).passed
    assert not prove_packing(replace(good, blocks=[[6, 5, end], [7, end]])).passed
    assert not prove_packing(replace(good, max_length=2)).passed
    assert (
        "not closed" in prove_packing(replace(good, documents=[[5, 6, end, 7, 8]], blocks=[[5, 6, end], [7, 8]])).detail
    )


def blocked(home: Path, name: str, config: SftConfig, base: Path | None = None) -> str:
    """The message of the ProofError that stops a training; nothing of it may stay behind."""
    out = home / "students" / name
    with pytest.raises(ProofError) as caught:
        sft(str(base or home / "base"), home / "sft.jsonl", out, config, seed=0)
    assert not out.exists()
    assert not list(out.parent.glob(f".{name}*"))
    return str(caught.value)


def test_a_template_without_markers_is_masked_by_rendering_and_proven_like_any_other(
    home: Path, tmp_path: Path
) -> None:
    dropping = PLAIN.replace("{{ m.content }}{% for c", "{% if not m.tool_calls %}{{ m.content }}{% endif %}{% for c")
    base = tiny_model(tmp_path / "dropping", template=dropping, hidden=32, layers=1)
    assert "mask proof: row" in blocked(home, "dropping", QUICK, base)
    base = tiny_model(tmp_path / "plain", template=PLAIN, hidden=32, layers=1)
    assert all(each.passed for each in sft(str(base), home / "sft.jsonl", tmp_path / "s", QUICK, seed=0).proofs)
    repaired = tmp_path / "marked.jinja"
    repaired.write_text(MARKED, encoding="utf-8")
    config = QUICK.model_copy(update={"chat_template": str(repaired)})
    done = sft(str(base), home / "sft.jsonl", tmp_path / "mended", config, seed=0)
    assert all(each.passed for each in done.proofs)


def test_training_is_blocked_by_a_row_that_would_be_cut(home: Path) -> None:
    said = blocked(home, "cut", QUICK.model_copy(update={"max_length": 100}))
    assert "length proof: 3 of 3 rows would be cut" in said


def test_training_is_blocked_by_a_template_that_forgets_earlier_thoughts(home: Path, tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "forgetful", template=FORGETFUL, hidden=32, layers=1)
    said = blocked(home, "forgetful", QUICK, base)
    assert re.search(r"template proof: row [123], message 2", said)  # the first one in the order of training
    assert "later turns see it otherwise than written" in said


def test_an_adapter_that_changes_nothing_is_blocked(home: Path) -> None:
    said = blocked(home, "idle", QUICK.model_copy(update={"lr": 0.0}))
    assert "changed proof: the student is its base still" in said


def test_full_training_that_changes_nothing_is_blocked(home: Path) -> None:
    said = blocked(home, "idle", QUICK.model_copy(update={"lr": 0.0, "method": "full"}))
    assert "changed proof" in said


def test_a_student_whose_files_are_not_what_was_proven_is_caught(home: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    out = tmp_path / "student"
    result = sft(str(home / "base"), home / "sft.jsonl", out, QUICK, seed=0)
    assert {each.name for each in result.proofs} == {
        "length",
        "template",
        "mask",
        "saved",
        "changed",
        "served",
        "merge",
    }
    tok = load_tokenizer(out)
    prompts = [render(tok, [{"role": "user", "content": "What is Rome?"}], None, True)]
    trained = read(opened_student(out), prompts)
    with closing(StudentEvidence(out, prompts, stop_ids(tok), tok.pad_token_id, trained, section="sft")) as evidence:
        for each in (prove_saved, prove_changed, prove_served, prove_merge):
            assert each(evidence).passed
    weights = load_file(out / "adapter_model.safetensors")
    torch.manual_seed(0)
    save_file({name: torch.randn_like(value) for name, value in weights.items()}, out / "adapter_model.safetensors")
    with closing(StudentEvidence(out, prompts, stop_ids(tok), tok.pad_token_id, trained, section="sft")) as evidence:
        assert "differs from the trained model" in prove_saved(evidence).detail
        assert not prove_saved(evidence).passed


def opened_student(folder: Path) -> Any:
    """A student's module as a user opens it."""
    from agents.models.engine import default_device, load_model, put_on
    from agents.models.weights import find_weights

    weights = find_weights(str(folder))
    model = load_model(weights.base, default_device())
    return put_on(model, weights.adapter) if weights.adapter is not None else model


@pytest.fixture(scope="module")
def adapter(home: Path) -> Path:
    sft(str(home / "base"), home / "sft.jsonl", home / "students" / "adapter", QUICK, seed=0)
    return home / "students" / "adapter"


def evidence_of(folder: Path) -> StudentEvidence:
    tok = load_tokenizer(folder)
    asked = ("What is Rome?", "Where is Paris? " * 9)
    prompts = [render(tok, [{"role": "user", "content": each}], None, True) for each in asked]
    return StudentEvidence(folder, prompts, stop_ids(tok), tok.pad_token_id, section="sft")


def shaken(model: Any, part: str) -> None:
    """Change the weights of a model's layers whose name holds `part`."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if part in name:
                weight.add_(torch.randn_like(weight))


def test_a_seat_that_writes_what_its_model_does_not_is_caught(adapter: Path) -> None:
    with closing(evidence_of(adapter)) as evidence:
        evidence.texts[0][3] += 1
        found = prove_served(evidence)
        assert not found.passed
        assert found.numbers == {"texts": 2, "same": 1}


def test_a_text_that_breaks_off_is_not_greedy(adapter: Path) -> None:
    with closing(evidence_of(adapter)) as evidence:
        evidence.texts[1].pop()
        assert not prove_served(evidence).passed


def test_a_student_whose_weights_change_between_seat_and_model_is_caught(adapter: Path) -> None:
    with closing(evidence_of(adapter)) as evidence:
        assert evidence.texts
        shaken(evidence.student, "lora_B")
        assert not prove_served(evidence).passed


def test_a_merge_that_is_another_model_is_caught(adapter: Path) -> None:
    with closing(evidence_of(adapter)) as evidence:
        assert evidence.logits
        shaken(evidence.student, "lora_B")
        found = prove_merge(evidence)
        assert not found.passed
        assert float(found.numbers["max_logit_difference"]) > 1e-3


def test_one_pass_over_prompt_and_text_tells_greedy_text(adapter: Path) -> None:
    with closing(evidence_of(adapter)) as evidence:
        for logits, prompt, text in zip(evidence.logits, evidence.prompts, evidence.texts, strict=True):
            assert is_greedy(logits, prompt, text, evidence.stops)
            assert greedy(evidence.student, prompt, evidence.stops, evidence.pad) == text
            assert not is_greedy(logits, prompt, [text[0] + 1, *text[1:]], evidence.stops)


def test_sixteen_bits_are_compared_where_the_choice_is_clear() -> None:
    clear, tie = torch.tensor([[5.0, 0.0]]), torch.tensor([[1.0, 0.9]])
    assert agree([clear], [clear - 1], 0.25)
    assert not agree([clear], [clear.flip(-1)], 0.25)
    assert agree([tie], [tie.flip(-1)], 0.25)


def test_a_failed_proof_is_written_and_raises(tmp_path: Path) -> None:
    proofs = [Proof(name="a", passed=True, detail="fine"), Proof(name="b", passed=False, detail="row 3: broken")]
    with pytest.raises(ProofError, match="b proof: row 3: broken"):
        demand(proofs, tmp_path / "proofs.json")
    assert [each["passed"] for each in json.loads((tmp_path / "proofs.json").read_text())] == [True, False]


def test_every_proof_has_a_legend(honest: RowsEvidence) -> None:
    assert len(run_proofs("episodes", honest)) == 2
    words = legend()
    assert set(words) == {name for _, name in PROOFS}
    assert all(line.endswith(".") for line in words.values())


def test_the_shared_data_builders_are_whole(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [json.loads(line) for line in cpt_file(tmp_path).read_text().splitlines()]
    assert len({row["text"] for row in rows}) == len(rows)
