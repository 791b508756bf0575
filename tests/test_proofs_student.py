"""Proofs on a student, with a model of 20,000 weights: what each measures, what it allows, and what it says."""

from __future__ import annotations

import io
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, redirect_stderr
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_model

from agents.bars import bars_shown
from agents.models.engine import default_device, load_model, put_on
from agents.models.hf import open_hf
from agents.models.rendering import load_tokenizer, stop_ids
from agents.models.weights import find_weights
from finetune.proofs import Proof
from finetune.proofs_student import (
    LOGITS,
    NEW_TOKENS,
    TAIL,
    StudentEvidence,
    agree,
    greedy,
    is_greedy,
    prove_changed,
    prove_merge,
    prove_saved,
    prove_served,
    read,
    written_by,
)

PROMPTS = ((5, 6, 7, 8), (9, 10), tuple(range(11, 25)))


def rewritten(folder: Path, change: Callable[[str, Any], Any], name: str = "model") -> Path:
    """The folder with each weight of a file changed on disk."""
    from safetensors.torch import load_file, save_file

    path = folder / f"{name}.safetensors"
    save_file({key: change(key, value) for key, value in load_file(path).items()}, path, metadata={"format": "pt"})
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
        model: Any = get_peft_model(opened(base), config)
        model.save_pretrained(folder)
    load_tokenizer(base).save_pretrained(folder)
    return folder


def opened(folder: Path) -> Any:
    """A model as a user opens it."""
    weights = find_weights(str(folder))
    model = load_model(weights.base, default_device())
    return put_on(model, weights.adapter) if weights.adapter is not None else model


def evidence(folder: Path, *, prompts: Sequence[Sequence[int]] = PROMPTS, **more: Any) -> StudentEvidence:
    """Evidence on a student in `folder`."""
    tok = load_tokenizer(folder)
    stops = more.pop("stops", stop_ids(tok))
    return StudentEvidence(folder, prompts, stops, tok.pad_token_id, section="sft", **more)


def scaled(folder: Path, out: Path, by: float) -> Path:
    """A copy of an adapter with its weights multiplied on disk."""
    shutil.copytree(folder, out)
    return rewritten(out, lambda name, value: by * value, "adapter_model")


@pytest.fixture(scope="module")
def model(base: Path) -> Any:
    return opened(base)


@pytest.fixture(scope="module")
def adapted(adapter: Path) -> Iterator[StudentEvidence]:
    """Evidence on the adapter; nothing of it may be changed."""
    with closing(evidence(adapter)) as found:
        yield found


def whole(model: Any, ids: Sequence[int]) -> Any:
    """Logits of every position, by the model itself."""
    with torch.no_grad():
        return model(torch.tensor([list(ids)])).logits[0]


def best_by_hand(model: Any, prompt: Sequence[int], stops: Sequence[int]) -> list[int]:
    """The likeliest token, one after the other, until one that stops or so many."""
    ids = list(prompt)
    while len(ids) < len(prompt) + NEW_TOKENS:
        ids.append(int(whole(model, ids)[-1].argmax()))
        if ids[-1] in stops:
            break
    return ids[len(prompt) :]


def a_stop(model: Any) -> int:
    """A token that the first prompt's text comes to after some others."""
    text = best_by_hand(model, PROMPTS[0], [])
    return next(token for at, token in enumerate(text) if at >= 2 and token not in text[:at])


def test_a_model_is_read_at_the_end_of_a_prompt_and_along_its_text(model: Any) -> None:
    alone = read(model, PROMPTS)
    assert [each.shape[0] for each in alone] == [4, 2, TAIL]
    for found, prompt in zip(alone, PROMPTS, strict=True):
        assert (found.dtype, found.device.type, found.requires_grad) == (torch.float32, "cpu", False)
        assert torch.allclose(found, whole(model, prompt)[-len(found) :], atol=1e-4)
    texts = [[30, 31, 32], [33], []]
    along = read(model, PROMPTS, texts)
    assert [each.shape[0] for each in along] == [4 + 2, 2, TAIL]
    assert torch.allclose(along[0], whole(model, (*PROMPTS[0], 30, 31)), atol=1e-4)


def test_a_text_for_each_prompt(model: Any) -> None:
    with pytest.raises(ValueError, match="shorter"):
        read(model, PROMPTS, [[1]])


def test_text_is_greedy_where_each_token_is_the_best_up_to_a_stop_or_the_last(model: Any) -> None:
    stop = a_stop(model)
    for prompt in PROMPTS:
        for stops in ([], [stop]):
            text = best_by_hand(model, prompt, stops)
            (logits,) = read(model, [prompt], [text])
            assert is_greedy(logits, prompt, text, stops)
            for at in (0, len(text) - 1):
                other = [*text[:at], (text[at] + 1) % 300, *text[at + 1 :]]
                assert not is_greedy(read(model, [prompt], [other])[0], prompt, other, stops)
            broken_off = text[:-1]
            assert not is_greedy(read(model, [prompt], [broken_off])[0], prompt, broken_off, stops)
    text = best_by_hand(model, PROMPTS[0], [])
    assert not is_greedy(read(model, PROMPTS[:1], [text])[0], PROMPTS[0], text, [stop]), "it went on after a stop"


def test_generate_writes_the_same_and_heeds_no_sampling_of_the_models_own(model: Any) -> None:
    stop = a_stop(model)
    for prompt in (*PROMPTS, (5, 0, 6, 0)):  # the pad token in a prompt is read like any other
        assert greedy(model, prompt, [stop], 0) == best_by_hand(model, prompt, [stop])
    model.generation_config.do_sample = True
    model.generation_config.temperature = 5.0
    model.generation_config.max_new_tokens = 3
    assert greedy(model, PROMPTS[1], [2], 0) == best_by_hand(model, PROMPTS[1], [2])


def test_the_student_is_opened_once_with_its_adapter_and_worked_out_once(adapted: StudentEvidence) -> None:
    assert "peft_config" in dir(adapted.student) and adapted.student is adapted.chat.engine.model
    assert adapted.exact
    for name in ("chat", "texts", "logits", "base_logits"):
        assert getattr(adapted, name) is getattr(adapted, name)
    assert adapted.texts == [best_by_hand(adapted.student, prompt, adapted.stops) for prompt in PROMPTS]
    ends = [min(TAIL, len(prompt)) + len(text) - 1 for prompt, text in zip(PROMPTS, adapted.texts, strict=True)]
    assert [each.shape[0] for each in adapted.logits] == ends


def test_with_the_adapter_off_it_is_the_base(adapted: StudentEvidence, base: Path) -> None:
    plain = read(opened(base), PROMPTS, adapted.texts)
    for off, on, expected in zip(adapted.base_logits, adapted.logits, plain, strict=True):
        assert torch.allclose(off, expected, atol=1e-4) and not torch.allclose(on, expected, atol=1e-2)


def test_texts_are_counted_that_the_model_writes_itself(adapted: StudentEvidence) -> None:
    assert written_by(adapted.student, adapted.logits, adapted) == 3
    upside_down = [-each for each in adapted.logits]  # then it is asked to write them
    assert written_by(adapted.student, upside_down, adapted) == 3


def test_saved_is_what_was_in_memory(adapter: Path) -> None:
    trained = read(opened(adapter), PROMPTS)
    with closing(evidence(adapter, trained=trained)) as found:
        proof = prove_saved(found)
        far = proof.numbers["max_logit_difference"]
        assert isinstance(far, float) and far < LOGITS["torch.float32"]
        assert proof == Proof(
            name="saved",
            passed=True,
            detail=f"files and memory differ by {far:.1g}",
            numbers={"max_logit_difference": far},
        )
        one = [trained[0] + 0.5, *trained[1:]]
        found.trained = one
        other = prove_saved(found)
        assert (other.name, other.passed) == ("saved", False)
        assert other.numbers["max_logit_difference"] == pytest.approx(0.5, abs=1e-3)
        assert other.detail == (
            "the student opened from its files differs from the trained model by 0.5 (allowed 0.001): "
            "is the disk full, or the base another one?"
        )


def test_what_was_trained_in_4_bits_is_not_compared(adapted: StudentEvidence) -> None:
    assert adapted.trained is None
    found = prove_saved(adapted)
    assert (found.name, found.passed, found.numbers) == ("saved", True, {})
    assert found.detail == "not compared: the base was trained on in 4 bits and is opened in more"


def test_an_adapter_that_moves_its_base_has_changed_it_and_says_how_far(adapted: StudentEvidence) -> None:
    far = max(float((on - off).abs().max()) for on, off in zip(adapted.logits, adapted.base_logits, strict=True))
    assert far > 0.1
    assert prove_changed(adapted) == Proof(
        name="changed", passed=True, detail=f"logits moved by up to {far:.3g}", numbers={"max_logit_change": far}
    )


def test_an_adapter_of_zeros_has_changed_nothing(adapter: Path, tmp_path: Path) -> None:
    with closing(evidence(scaled(adapter, tmp_path / "zero", 0.0))) as found:
        assert prove_changed(found) == Proof(
            name="changed",
            passed=False,
            detail="the student is its base still (logits moved by 0): raise [sft] lr or [sft] epochs, "
            "or give the adapter other layers, [sft] target",
            numbers={"max_logit_change": 0.0},
        )


@pytest.mark.parametrize(("by", "passed"), [(0.0, False), (9e-6, False), (1.2e-5, True), (2.0, True)])
def test_full_training_is_compared_in_memory_and_rounding_is_no_change(base: Path, by: float, passed: bool) -> None:
    before = [torch.zeros(2, 3), torch.zeros(1, 3)]
    after = [before[0], before[1] + torch.tensor([0.0, -by, 0.0])]
    with closing(evidence(base, trained=after, base=before)) as found:
        proof = prove_changed(found)
    assert proof.passed is passed and proof.numbers["max_logit_change"] == pytest.approx(by)


def test_a_seat_serves_what_the_model_says(adapted: StudentEvidence) -> None:
    assert prove_served(adapted) == Proof(
        name="served", passed=True, detail="3 of 3 greedy texts equal", numbers={"texts": 3, "same": 3}
    )


def test_a_seat_ends_a_text_where_the_model_would(base: Path, model: Any) -> None:
    with closing(evidence(base, stops=[a_stop(model)])) as found:
        assert prove_served(found).passed and len(found.texts[0]) < NEW_TOKENS


def test_texts_that_the_model_does_not_write_are_counted(adapter: Path) -> None:
    with closing(evidence(adapter)) as found:
        found.texts[2][0] = (found.texts[2][0] + 1) % 300
        assert prove_served(found) == Proof(
            name="served",
            passed=False,
            detail="1 of 3 greedy texts differ between the seat and the bare model: report this",
            numbers={"texts": 3, "same": 2},
        )


def test_an_adapter_merged_is_the_adapter(adapter: Path) -> None:
    with closing(evidence(adapter)) as found:
        proof = prove_merge(found)
        far = proof.numbers["max_logit_difference"]
        assert isinstance(far, float) and far < LOGITS["torch.float32"]
        assert proof == Proof(
            name="merge",
            passed=True,
            detail=f"merged and adapter differ by {far:.1g}",
            numbers={"max_logit_difference": far, "texts": 3, "same": 3},
        )
        assert found.merged is found.student and not hasattr(found.student, "peft_config")
        assert found.chat.engine.closed


def shaken(evidence: StudentEvidence, by: float) -> StudentEvidence:
    """The evidence with its adapter's weights multiplied in memory, after it was read."""
    assert evidence.logits
    with torch.no_grad():
        for name, weight in evidence.student.named_parameters():
            if "lora_B" in name:
                weight.mul_(by)
    return evidence


def test_a_merge_that_is_another_model_is_caught(adapter: Path) -> None:
    with closing(shaken(evidence(adapter), 2.0)) as found:
        proof = prove_merge(found)
    far, same = proof.numbers["max_logit_difference"], proof.numbers["same"]
    assert isinstance(far, float) and far > 0.01 and isinstance(same, int) and same < 3
    assert (proof.name, proof.passed) == ("merge", False)
    assert proof.detail == (
        f"merged and adapter differ by {far:.3g} (allowed 0.001), {same} of 3 texts equal: "
        'take another [student] base, or [sft] method = "full"'
    )


def test_equal_texts_do_not_make_up_for_unlike_logits(adapter: Path) -> None:
    with closing(shaken(evidence(adapter), 1.001)) as found:
        proof = prove_merge(found)
    assert (proof.numbers["same"], proof.passed) == (3, False)


def test_proving_leaves_the_seats_of_others_open_and_lets_go_of_its_own(base: Path) -> None:
    other = open_hf(str(base), max_tokens=4)
    found = evidence(base)
    assert prove_served(found).passed
    engine = found.chat.engine
    found.close()
    assert engine.closed and engine.model is None and not {"chat", "texts", "logits"} & set(vars(found))
    assert not other.engine.closed
    other.engine.close()


class Terminal(io.StringIO):
    """A terminal to write on."""

    def isatty(self) -> bool:
        return True


def test_progress_is_shown_by_the_name_of_the_student(adapter: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(adapter, tmp_path / ".mine.new"))
    with bars_shown(), redirect_stderr(Terminal()) as shown, closing(evidence(folder)) as found:
        prove_changed(found)
        prove_merge(found)
    lines = shown.getvalue().replace("\r", "\n").splitlines()
    for at, what in enumerate(
        ("the seat writes", "the base reads", "the student reads", "the merged student reads"), 1
    ):
        assert any("proofs mine" in line and f"{at}/4" in line and what in line for line in lines), what


def test_sixteen_bits_need_to_agree_only_where_the_choice_is_clear() -> None:
    clear, close = torch.tensor([[5.0, 0.0, 1.0]]), torch.tensor([[1.0, 0.6, 0.0]])
    assert agree([clear], [clear - 1], 0.25) and agree([clear, close], [clear, close], 0.25)
    assert not agree([clear], [clear.roll(1, -1)], 0.25)
    assert agree([close], [close.roll(1, -1)], 0.25), "0.4 apart, and rounding may move both"
    assert not agree([close], [close.roll(1, -1)], 0.19)
    assert not agree([close, clear], [close, clear.roll(1, -1)], 0.25)
    assert agree([torch.cat([clear, close])], [torch.cat([clear, close.roll(1, -1)])], 0.25)
    with pytest.raises(ValueError, match="shorter"):
        agree([clear, close], [clear], 0.25)


def test_sixteen_bits_are_saved_where_every_clear_choice_is_the_same(adapter: Path) -> None:
    """A shift of all logits changes no choice; turning them round does."""
    trained = read(opened(adapter), PROMPTS)
    with closing(evidence(adapter, trained=[each + 0.5 for each in trained])) as found:
        assert not prove_saved(found).passed, "in 32 bits"
        found.exact = False
        assert prove_saved(found).passed
        found.trained = [-each for each in trained]
        assert not prove_saved(found).passed
        del found.texts  # to be written again, one by one
        assert len(found.texts) == len(PROMPTS) and written_by(found.student, found.logits, found) == 3


def test_no_folder_of_staging_is_named_and_full_training_has_two_passes(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / ".sft.new")
    with (
        bars_shown(),
        redirect_stderr(Terminal()) as shown,
        closing(evidence(folder, base=[torch.zeros(1, 3)])) as found,
    ):
        assert found.logits
    lines = shown.getvalue().replace("\r", "\n").splitlines()
    assert any("proofs sft" in line and "2/2" in line for line in lines)
    assert not any(".new" in line for line in lines)
