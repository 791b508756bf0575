"""Proofs on a student, with a model of 20,000 weights: what each measures, what it allows, and what it says."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_model

from agents.rendering import load_tokenizer, stop_ids
from agents.seats.hf import open_hf
from finetune.proofs import Proof
from finetune.proofs_student import (
    LOGITS,
    NEW_TOKENS,
    StudentEvidence,
    greedy,
    logits,
    open_student,
    prove_changed,
    prove_merge,
    prove_served,
)

PROMPTS = ((5, 6, 7, 8), (9, 10), (11, 12, 13, 14, 15, 16))


def rewritten(folder: Path, change: Callable[[str, Any], Any], name: str = "model") -> Path:
    """The folder with each weight of a file changed on disk."""
    from safetensors.torch import load_file, save_file

    path = folder / f"{name}.safetensors"
    weights = {name: change(name, value) for name, value in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose text varies: as it is made, a tiny one repeats its last token for ever."""
    folder = tiny_model(tmp_path_factory.mktemp("models") / "base", hidden=16, layers=1)
    generator = torch.Generator().manual_seed(0)
    return rewritten(folder, lambda name, value: torch.randn(value.shape, generator=generator))


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that moves the base's logits by some units."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    with warnings.catch_warnings():  # PEFT asks transformers for a property under its old name
        warnings.simplefilter("ignore", FutureWarning)
        model: Any = get_peft_model(open_student(base), config)
        model.save_pretrained(folder)
    load_tokenizer(base).save_pretrained(folder)
    return folder


def evidence(folder: Path, base: Any = None, prompts: Sequence[Sequence[int]] = PROMPTS) -> StudentEvidence:
    """Evidence on a student in `folder`."""
    tok = load_tokenizer(folder)
    return StudentEvidence(base, folder, prompts, stop_ids(tok), tok.pad_token_id)


def nudged(folder: Path, out: Path, by: float) -> Path:
    """A copy of a model with its last norm's weights moved by `by`."""
    shutil.copytree(folder, out)
    return rewritten(out, lambda name, value: value + by if name == "model.norm.weight" else value)


def test_logits_are_those_of_every_position(base: Path) -> None:
    model = open_student(base)
    found = logits(model, PROMPTS[0])
    assert found.shape == (4, model.config.vocab_size)
    assert (found.dtype, found.device.type, found.requires_grad) == (torch.float32, "cpu", False)
    with torch.no_grad():
        assert torch.equal(found, model(torch.tensor([PROMPTS[0]])).logits[0])
    assert not torch.equal(logits(model, (5, 6, 7, 9))[3], found[3])


def test_a_folder_is_opened_with_its_adapter_where_it_has_one(base: Path, adapter: Path) -> None:
    plain, adapted = open_student(base), open_student(adapter)
    assert not hasattr(plain, "peft_config") and "default" in adapted.peft_config
    assert not plain.training and not adapted.training
    far = (logits(plain, PROMPTS[0]) - logits(adapted, PROMPTS[0])).abs().max()
    assert far > 0.01


def best_by_hand(model: Any, prompt: Sequence[int], stops: Sequence[int]) -> list[int]:
    """The likeliest token, one after the other, until one that stops or so many."""
    ids = list(prompt)
    while len(ids) < len(prompt) + NEW_TOKENS:
        ids.append(int(logits(model, ids)[-1].argmax()))
        if ids[-1] in stops:
            break
    return ids[len(prompt) :]


def test_greedy_text_is_the_likeliest_token_each_time_up_to_a_stop(base: Path) -> None:
    model = open_student(base)
    free = best_by_hand(model, PROMPTS[0], [])
    assert len(free) == NEW_TOKENS
    assert greedy(model, PROMPTS[0], [2], 0) == best_by_hand(model, PROMPTS[0], [2])
    later = next(token for at, token in enumerate(free) if at >= 2 and token not in free[:at])
    stopped = greedy(model, PROMPTS[0], [later], 0)
    assert stopped == free[: free.index(later) + 1] == best_by_hand(model, PROMPTS[0], [later])


def test_every_token_of_a_prompt_is_read_the_pad_token_too(base: Path) -> None:
    model = open_student(base)
    assert greedy(model, (5, 0, 6, 0), [2], 0) == best_by_hand(model, (5, 0, 6, 0), [2])


def test_what_a_model_says_of_its_own_sampling_does_not_count(base: Path) -> None:
    model = open_student(base)
    expected = greedy(model, PROMPTS[1], [2], 0)
    model.generation_config.do_sample = True
    model.generation_config.temperature = 5.0
    model.generation_config.repetition_penalty = 9.0
    model.generation_config.max_new_tokens = 3
    assert greedy(model, PROMPTS[1], [2], 0) == expected


def test_each_thing_is_worked_out_once(base: Path) -> None:
    found = evidence(base, open_student(base))
    assert found.student is found.student
    assert found.base_logits is found.base_logits and found.student_logits is found.student_logits
    assert [each.shape[0] for each in found.student_logits] == [4, 2, 6]


def test_a_student_that_is_its_base_still_has_not_changed(base: Path) -> None:
    found = prove_changed(evidence(base, open_student(base)))
    assert found == Proof(
        name="changed",
        passed=False,
        detail="the student is its base still (logits moved by 0): raise lr or steps, check the adapter's target",
        numbers={"max_logit_change": 0.0},
    )


def test_a_student_that_moved_has_changed_and_says_how_far(base: Path, tmp_path: Path) -> None:
    student = nudged(base, tmp_path / "far", 0.5)
    found = prove_changed(evidence(student, open_student(base)))
    one, two = open_student(base), open_student(student)
    far = max(float((logits(one, prompt) - logits(two, prompt)).abs().max()) for prompt in PROMPTS)
    assert found == Proof(
        name="changed", passed=True, detail=f"logits moved by up to {far:.3g}", numbers={"max_logit_change": far}
    )
    assert far > 0.01


def test_the_prompt_that_moved_most_counts(base: Path, tmp_path: Path) -> None:
    student = nudged(base, tmp_path / "far", 0.5)
    apart = [prove_changed(evidence(student, open_student(base), [prompt])).numbers for prompt in PROMPTS]
    whole = prove_changed(evidence(student, open_student(base))).numbers
    assert whole["max_logit_change"] == max(each["max_logit_change"] for each in apart)
    assert len({each["max_logit_change"] for each in apart}) == 3


@pytest.mark.parametrize(("by", "passed"), [(1e-7, False), (3e-3, True)])
def test_rounding_is_no_change(base: Path, tmp_path: Path, by: float, passed: bool) -> None:
    found = prove_changed(evidence(nudged(base, tmp_path / "near", by), open_student(base)))
    assert found.passed is passed
    assert ("the student is its base still" in found.detail) is not passed


def test_an_adapter_merged_is_the_adapter(adapter: Path) -> None:
    found = prove_merge(evidence(adapter))
    far = found.numbers["max_logit_difference"]
    assert isinstance(far, float) and far < LOGITS["torch.float32"]
    assert found == Proof(
        name="merge",
        passed=True,
        detail=f"merged and adapter differ by {far:.1g}",
        numbers={"max_logit_difference": far, "texts": 3, "same": 3},
    )


def opened_then(folder: Path, change: Any) -> StudentEvidence:
    """Evidence whose student was opened before `change` spoils its folder."""
    found = evidence(folder)
    assert found.student is not None
    change(folder)
    return found


def other_adapter(folder: Path) -> None:
    """Double the adapter's weights on disk."""
    rewritten(folder, lambda name, value: 2 * value, "adapter_model")


def test_a_merge_that_is_another_model_is_caught(adapter: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(adapter, tmp_path / "copy"))
    found = prove_merge(opened_then(copy, other_adapter))
    far, same = found.numbers["max_logit_difference"], found.numbers["same"]
    assert isinstance(far, float) and far > 0.01 and found.numbers["texts"] == 3
    assert (found.name, found.passed) == ("merge", False)
    assert found.detail == (
        f"merged and adapter differ by {far:.3g} (allowed 0.001), {same} of 3 texts equal: "
        "train with method = 'lora' on a 16-bit base"
    )


def test_equal_texts_do_not_make_up_for_unlike_logits(adapter: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(adapter, tmp_path / "copy"))
    slightly = opened_then(copy, lambda folder: rewritten(folder, lambda name, value: 1.001 * value, "adapter_model"))
    found = prove_merge(slightly)
    assert (found.numbers["same"], found.passed) == (3, False)


@pytest.mark.parametrize("which", ["adapter", "base"])
def test_a_seat_serves_what_the_model_says(base: Path, adapter: Path, which: str) -> None:
    found = prove_served(evidence({"adapter": adapter, "base": base}[which]))
    assert found == Proof(
        name="served", passed=True, detail="3 of 3 greedy texts equal", numbers={"texts": 3, "same": 3}
    )


def test_a_seat_ends_a_text_where_the_model_would(base: Path) -> None:
    model = open_student(base)
    text = best_by_hand(model, PROMPTS[0], [])
    stop = next(token for at, token in enumerate(text) if at >= 2 and token not in text[:at])
    found = prove_served(StudentEvidence(None, base, PROMPTS, [stop], 0))
    assert found.passed and len(greedy(model, PROMPTS[0], [stop], 0)) < NEW_TOKENS


def test_proving_leaves_the_seats_of_others_open(base: Path) -> None:
    other = open_hf(str(base), max_tokens=4)
    try:
        assert prove_served(evidence(base)).passed
        assert not other.engine.closed
    finally:
        other.engine.close()


def test_a_seat_that_serves_another_model_is_caught(adapter: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(adapter, tmp_path / "copy"))
    found = prove_served(opened_then(copy, other_adapter))
    same = found.numbers["same"]
    assert isinstance(same, int) and same < 3 and found.numbers["texts"] == 3
    assert (found.name, found.passed) == ("served", False)
    assert found.detail == (f"{3 - same} of 3 greedy texts differ between the seat and the bare model: report this")
