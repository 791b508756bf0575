"""Proofs on a student, after training and before its folder appears: it changed, merges, and is served as it is.

Each opens the staged folder afresh, the way a user will.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from agents.seats.hf import open_hf
from agents.seats.weights import find_weights

from .proofs import Proof, proof

NEW_TOKENS = 32
LOGITS = {"torch.float32": 1e-3, "torch.bfloat16": 0.25, "torch.float16": 0.05}
"""Largest difference of logits that rounding explains, by number format (measured: 4e-7 for float32, small model)."""


@dataclass
class StudentEvidence:
    """A staged student, the base it was trained from, and prompts (token ids) of the training rows."""

    base: Any
    """The base as a module, or None where `prove_changed` need not open one."""
    folder: Path
    prompts: Sequence[Sequence[int]]
    stops: Sequence[int]
    pad: int
    _cache: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def student(self) -> Any:
        """The student, opened from its folder without the engine."""
        return open_student(self.folder)

    @cached_property
    def base_logits(self) -> list[Any]:
        """Logits of the base over every prompt."""
        return [logits(self.base, prompt) for prompt in self.prompts]

    @cached_property
    def student_logits(self) -> list[Any]:
        """Logits of the student over every prompt."""
        return [logits(self.student, prompt) for prompt in self.prompts]


def open_student(folder: Path) -> Any:
    """A student's module: the full model, or its base with the adapter on."""
    from agents.seats.engine import default_device, load_model, put_on

    weights = find_weights(str(folder))
    model = load_model(weights.base, default_device())
    if weights.adapter is not None:
        model = put_on(model, weights.adapter)
    return model


def logits(model: Any, prompt: Sequence[int]) -> Any:
    """Next-token logits at every position of `prompt`, shape (tokens, vocabulary), float32 on the CPU."""
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([list(prompt)], device=model.device)).logits[0].float().cpu()


def greedy(model: Any, prompt: Sequence[int], stops: Sequence[int], pad: int) -> list[int]:
    """The greedy continuation, by `generate` itself."""
    import torch
    from transformers import GenerationConfig

    ids = torch.tensor([list(prompt)], device=model.device)
    model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    settings: dict[str, Any] = {"max_new_tokens": NEW_TOKENS, "do_sample": False}
    settings |= {"eos_token_id": list(stops), "pad_token_id": pad}
    config = GenerationConfig(**settings)  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)
    new: list[int] = out[0, len(prompt) :].tolist()
    return new


@proof("student", "changed")
def prove_changed(evidence: StudentEvidence) -> Proof:
    """The student's logits differ from its base's: the training, or the adapter, does something."""
    far = _distance(evidence.base_logits, evidence.student_logits)
    if far > 1e-5:
        detail = f"logits moved by up to {far:.3g}"
        return Proof(name="changed", passed=True, detail=detail, numbers={"max_logit_change": far})
    detail = f"the student is its base still (logits moved by {far:.1g}): raise lr or steps, check the adapter's target"
    return Proof(name="changed", passed=False, detail=detail, numbers={"max_logit_change": far})


@proof("adapter", "merge")
def prove_merge(evidence: StudentEvidence) -> Proof:
    """Merged into its base, the adapter gives the same logits and the same greedy text."""
    from .merge import merged

    whole = merged(str(evidence.folder))
    near = LOGITS.get(str(whole.dtype), 1e-3)
    far = _distance([logits(whole, prompt) for prompt in evidence.prompts], evidence.student_logits)
    same = sum(
        greedy(whole, prompt, evidence.stops, evidence.pad)
        == greedy(evidence.student, prompt, evidence.stops, evidence.pad)
        for prompt in evidence.prompts
    )
    del whole
    gc.collect()
    numbers: dict[str, float | int | str] = {"max_logit_difference": far, "texts": len(evidence.prompts), "same": same}
    exact = evidence.student.dtype.is_floating_point and near == LOGITS["torch.float32"]
    if far <= near and (same == len(evidence.prompts) or not exact):
        return Proof(name="merge", passed=True, detail=f"merged and adapter differ by {far:.1g}", numbers=numbers)
    detail = f"merged and adapter differ by {far:.3g} (allowed {near:g}), {same} of {len(evidence.prompts)} texts equal"
    return Proof(
        name="merge", passed=False, detail=detail + ": train with method = 'lora' on a 16-bit base", numbers=numbers
    )


@proof("student", "served")
def prove_served(evidence: StudentEvidence) -> Proof:
    """Through the hf seat, batched, the student writes the tokens that its bare model writes alone."""
    from agents.seats.engine import Request

    chat = open_hf(str(evidence.folder), max_tokens=NEW_TOKENS, shared=False)
    try:
        requests = [
            Request(tuple(prompt), NEW_TOKENS, adapter=chat.adapter, stops=tuple(evidence.stops), pad=evidence.pad)
            for prompt in evidence.prompts
        ]
        exact = str(chat.engine.model.dtype) == "torch.float32"
        if exact:
            waiting = [chat.engine.submit(request) for request in requests]
            served = [list(future.result().ids) for future in waiting]
        else:  # in 16 bits padding alone can tip a tie
            served = [list(chat.engine.submit(request).result().ids) for request in requests]
    finally:
        chat.engine.close()
    bare = [greedy(evidence.student, prompt, evidence.stops, evidence.pad) for prompt in evidence.prompts]
    same = sum(one == two for one, two in zip(served, bare, strict=True))
    numbers: dict[str, float | int | str] = {"texts": len(bare), "same": same}
    if same == len(bare):
        return Proof(name="served", passed=True, detail=f"{same} of {same} greedy texts equal", numbers=numbers)
    detail = f"{len(bare) - same} of {len(bare)} greedy texts differ between the seat and the bare model: report this"
    return Proof(name="served", passed=False, detail=detail, numbers=numbers)


def _distance(one: Sequence[Any], two: Sequence[Any]) -> float:
    return max(float((left - right).abs().max()) for left, right in zip(one, two, strict=True))
