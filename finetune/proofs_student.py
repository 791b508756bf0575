"""Proofs on a student, after training and before its folder appears: saved as trained, changed, served, and merges.

The staged folder is opened once, afresh, the way a user will, and all proofs look at that one model: its text is
written by the seat, its logits are read in one pass a prompt over prompt and text, and its adapter is merged in place,
last. A text is greedy where each of its tokens is the best one after those before it, which that pass shows too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tqdm import tqdm

from agents.bars import bars_off
from agents.models.hf import HFChat, open_hf

from .memory import release
from .merge import merged_in_place
from .proofs import Proof, proof

NEW_TOKENS = 32
TAIL = 8
"""Positions at the end of each prompt whose logits are compared."""
LOGITS = {"torch.float32": 1e-3, "torch.bfloat16": 0.25, "torch.float16": 0.05}
"""Largest difference of logits that rounding explains, by number format (measured: 4e-7 for float32, small model)."""


@dataclass
class StudentEvidence:
    """A staged student, what was in memory when it was saved, and prompts (token ids) of the training rows."""

    folder: Path
    prompts: Sequence[Sequence[int]]
    stops: Sequence[int]
    pad: int
    trained: Sequence[Any] | None = None
    """`read` of the trained model before it was saved; None where it cannot be compared: a 4-bit base."""
    base: Sequence[Any] | None = None
    """`read` of the base before full training; None for an adapter, whose base is the student with the adapter off."""
    section: str = "student"
    """Of run.toml: whose keys a failed proof names."""

    def __post_init__(self) -> None:
        name = self.folder.name.removeprefix(".").removesuffix(".new")
        passes = 4 if self.base is None else 2
        self._bar = tqdm(total=passes, desc=f"proofs {name}", unit="pass", disable=bars_off(), file=sys.stderr)

    def _now(self, what: str) -> None:
        self._bar.update(1)
        self._bar.set_postfix_str(what)

    def close(self) -> None:
        """End the seat and the progress bar, and let go of the model."""
        self._bar.close()
        if "chat" in self.__dict__:
            self.chat.engine.close()
            self.chat.engine.model = None
        for name in ("chat", "merged", "texts", "logits"):
            self.__dict__.pop(name, None)
        release()

    @cached_property
    def chat(self) -> HFChat:
        """The student in a seat of its own, opened from its folder."""
        return open_hf(str(self.folder), max_tokens=NEW_TOKENS, shared=False)

    @property
    def student(self) -> Any:
        """The seat's model: the full model, or its base with the adapter on."""
        return self.chat.engine.model

    @cached_property
    def exact(self) -> bool:
        """Whether the student is opened in 32 bits, where rounding tips no text."""
        return str(self.student.dtype) == "torch.float32"

    @cached_property
    def texts(self) -> list[list[int]]:
        """What the seat writes after each prompt."""
        from agents.models.engine import Request

        self._now("the seat writes")
        requests = [
            Request(tuple(prompt), NEW_TOKENS, adapter=self.chat.adapter, stops=tuple(self.stops), pad=self.pad)
            for prompt in self.prompts
        ]
        if self.exact:
            waiting = [self.chat.engine.submit(request) for request in requests]
            return [list(future.result().ids) for future in waiting]
        # in 16 bits padding alone can tip a tie
        return [list(self.chat.engine.submit(request).result().ids) for request in requests]

    @cached_property
    def logits(self) -> list[Any]:
        """`read` of the student by itself, over prompts and texts."""
        texts = self.texts
        self._now("the student reads")
        return read(self.student, self.prompts, texts)

    @cached_property
    def base_logits(self) -> list[Any]:
        """`read` of the student with its adapter off."""
        texts = self.texts
        self._now("the base reads")
        with self.student.disable_adapter():
            return read(self.student, self.prompts, texts)

    @cached_property
    def merged(self) -> Any:
        """The student with its adapter merged in place: from here on there is no other."""
        _ = self.logits
        self.chat.engine.close()
        whole = self.chat.engine.model = merged_in_place(self.student)
        return whole


def read(model: Any, prompts: Sequence[Sequence[int]], texts: Sequence[Sequence[int]] | None = None) -> list[Any]:
    """Next-token logits at the last TAIL positions of each prompt and along its text, float32 on the CPU.

    Args:
        texts: What stands behind each prompt; None = nothing.

    Returns:
        For each prompt (positions, vocabulary): at most TAIL of the prompt, then one for each token of the text but
        the last.
    """
    import torch

    bare = model.get_base_model() if hasattr(model, "peft_config") else model
    found = []
    for prompt, text in zip(prompts, texts or [()] * len(prompts), strict=True):
        ids = [*prompt, *text[:-1]]
        last = min(TAIL, len(prompt)) + max(0, len(text) - 1)
        options = {"logits_to_keep": last} if bare._supports_logits_to_keep() else {}
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False, **options).logits
        found.append(logits[0, -last:].float().cpu().clone())
    return found


def is_greedy(logits: Any, prompt: Sequence[int], text: Sequence[int], stops: Sequence[int]) -> bool:
    """Whether `text` is what greedy decoding writes, given `read` of prompt and text."""
    first = min(TAIL, len(prompt)) - 1
    best = logits[first:].argmax(-1).tolist()
    ends = [at for at, token in enumerate(text) if token in stops]
    whole = ends == [len(text) - 1] or (not ends and len(text) == NEW_TOKENS)
    return whole and best[: len(text)] == list(text)


def greedy(model: Any, prompt: Sequence[int], stops: Sequence[int], pad: int) -> list[int]:
    """The greedy continuation, by `generate` itself: slow, asked where `is_greedy` says no."""
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


def written_by(model: Any, logits: Sequence[Any], evidence: StudentEvidence) -> int:
    """How many of the seat's texts a model writes itself."""
    return sum(
        is_greedy(one, prompt, text, evidence.stops) or greedy(model, prompt, evidence.stops, evidence.pad) == text
        for one, prompt, text in zip(logits, evidence.prompts, evidence.texts, strict=True)
    )


@proof("student", "saved")
def prove_saved(evidence: StudentEvidence) -> Proof:
    """The student opened from its files says what the trained model said in memory."""
    if evidence.trained is None:
        detail = "not compared: the base was trained on in 4 bits and is opened in more"
        return Proof(name="saved", passed=True, detail=detail)
    kept = [one[: len(two)] for one, two in zip(evidence.logits, evidence.trained, strict=True)]
    far, near = _distance(kept, evidence.trained), LOGITS.get(str(evidence.student.dtype), 1e-3)
    numbers: dict[str, float | int | str] = {"max_logit_difference": far}
    if far <= near if evidence.exact else agree(evidence.trained, kept, near):
        return Proof(name="saved", passed=True, detail=f"files and memory differ by {far:.1g}", numbers=numbers)
    detail = f"the student opened from its files differs from the trained model by {far:.3g} (allowed {near:g})"
    return Proof(
        name="saved", passed=False, detail=detail + ": is the disk full, or the base another one?", numbers=numbers
    )


@proof("student", "changed")
def prove_changed(evidence: StudentEvidence) -> Proof:
    """The student's logits differ from its base's: the training, or the adapter, does something."""
    if evidence.base is not None and evidence.trained is not None:
        far = _distance(evidence.base, evidence.trained)
    else:
        far = _distance(evidence.base_logits, evidence.logits)
    if far > 1e-5:
        detail = f"logits moved by up to {far:.3g}"
        return Proof(name="changed", passed=True, detail=detail, numbers={"max_logit_change": far})
    step = f"raise [{evidence.section}] lr or [{evidence.section}] epochs"
    if evidence.base is None:
        step += f", or give the adapter other layers, [{evidence.section}] target"
    detail = f"the student is its base still (logits moved by {far:.1g}): {step}"
    return Proof(name="changed", passed=False, detail=detail, numbers={"max_logit_change": far})


@proof("student", "served")
def prove_served(evidence: StudentEvidence) -> Proof:
    """Through the hf seat, batched, the student writes the tokens that its bare model writes alone."""
    same, texts = written_by(evidence.student, evidence.logits, evidence), len(evidence.texts)
    numbers: dict[str, float | int | str] = {"texts": texts, "same": same}
    if same == texts:
        return Proof(name="served", passed=True, detail=f"{same} of {same} greedy texts equal", numbers=numbers)
    detail = f"{texts - same} of {texts} greedy texts differ between the seat and the bare model: report this"
    return Proof(name="served", passed=False, detail=detail, numbers=numbers)


@proof("adapter", "merge")
def prove_merge(evidence: StudentEvidence) -> Proof:
    """Merged into its base, the adapter gives the same logits and the same greedy text."""
    before, exact, near = evidence.logits, evidence.exact, LOGITS.get(str(evidence.student.dtype), 1e-3)
    whole = evidence.merged
    evidence._now("the merged student reads")
    after = read(whole, evidence.prompts, evidence.texts)
    far, texts = _distance(after, before), len(evidence.texts)
    same = written_by(whole, after, evidence)
    numbers: dict[str, float | int | str] = {"max_logit_difference": far, "texts": texts, "same": same}
    if far <= near and (same == texts or not exact):
        return Proof(name="merge", passed=True, detail=f"merged and adapter differ by {far:.1g}", numbers=numbers)
    detail = f"merged and adapter differ by {far:.3g} (allowed {near:g}), {same} of {texts} texts equal"
    return Proof(
        name="merge",
        passed=False,
        detail=f'{detail}: take another [student] base, or [{evidence.section}] method = "full"',
        numbers=numbers,
    )


def _distance(one: Sequence[Any], two: Sequence[Any]) -> float:
    return max(float((left - right).abs().max()) for left, right in zip(one, two, strict=True))


def agree(one: Sequence[Any], two: Sequence[Any], near: float) -> bool:
    """Whether two models pick the same token wherever the first is decided by more than rounding."""
    for left, right in zip(one, two, strict=True):
        best = left.topk(2, -1)
        decided = best.values[:, 0] - best.values[:, 1] > 2 * near
        if bool((right.argmax(-1) != best.indices[:, 0])[decided].any()):
            return False
    return True
