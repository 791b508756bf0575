"""Proofs on pairs of turns, before a step is trained: what is served is trained, and nothing but the turns is counted.

The second is shown by hand: the log-probabilities that the trainer's loss is made of are computed once more by a plain
forward pass over the tokens that serving renders, counting those of the turn and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.models.rendering import render, stop_ids

from .proofs import Proof, proof
from .proofs_rows import WAY_OUT
from .rows import Row

if TYPE_CHECKING:
    from .dpo import Pair

LOOKED_AT = 4
"""Pairs whose log-probabilities are computed by hand: the first and last of the training, and those between."""
NEAR = {"torch.float32": 1e-3, "torch.bfloat16": 0.05, "torch.float16": 0.02}
"""Share of a sum of log-probabilities (at least 1) that rounding explains, by number format."""


@dataclass(frozen=True)
class PairsEvidence:
    """Pairs, and the trainer that is about to train on them, in their order."""

    tok: Any
    pairs: Sequence[Pair]
    trainer: Any
    """A `PairTrainer`, not yet started."""


@proof("pairs", "template")
def prove_template(evidence: PairsEvidence) -> Proof:
    """Both turns of a pair go on from the same prompt, which is what serving renders, and end with the end of turn."""
    stops = stop_ids(evidence.tok)
    for pair, trained in zip(evidence.pairs, evidence.trainer.train_dataset, strict=True):
        for name, row in (("chosen", pair.chosen), ("rejected", pair.rejected)):
            ids, served = trained["prompt_ids"] + trained[f"{name}_ids"], whole(row, evidence.tok)
            prompt = render(evidence.tok, row.messages[:-1], row.tools, add_generation_prompt=True)
            step = 'give a template that keeps earlier turns as they were: [student] chat_template = "chatml"'
            if trained["prompt_ids"] != prompt or served[: len(ids)] != ids:
                detail = f"row {pair.number}, {name}: the turn does not go on from its prompt: {step}"
                return Proof(name="template", passed=False, detail=detail)
            if ids[-1] not in stops or evidence.tok.decode(served[len(ids) :]).strip():
                detail = f"row {pair.number}, {name}: the end-of-turn token is not its last one: {WAY_OUT}"
                return Proof(name="template", passed=False, detail=detail)
    number = len(evidence.pairs)
    detail = f"both turns of {number} pairs are served as they are trained"
    return Proof(name="template", passed=True, detail=detail, numbers={"pairs": number})


@proof("pairs", "mask")
def prove_mask(evidence: PairsEvidence) -> Proof:
    """The log-probabilities that are trained are those of the turn's tokens alone, computed once more by hand."""
    dataset, trainer = evidence.trainer.train_dataset, evidence.trainer
    number = "torch.bfloat16" if trainer.args.bf16 else str(trainer.model.dtype)
    near = NEAR.get(number, NEAR["torch.float32"])
    farthest = tokens = 0.0
    for at in spread(len(evidence.pairs), LOOKED_AT):
        pair = evidence.pairs[at]
        found = trainer.log_probabilities(dataset[at])
        for side, (name, row) in enumerate((("chosen", pair.chosen), ("rejected", pair.rejected))):
            expected, count = by_hand(trainer.model, row, evidence.tok)
            tokens += count
            for whose, value in (("the trainer", found[side]), ("the reference", found[side + 2])):
                far = abs(value - expected) / max(1.0, abs(expected))
                farthest = max(farthest, far)
                if far > near:
                    detail = (
                        f"row {pair.number}, {name}: {whose} counts a log-probability of {value:.4f} where the "
                        f"{count} tokens of the turn have {expected:.4f}: report this"
                    )
                    return Proof(
                        name="mask", passed=False, detail=detail, numbers={"by_hand": expected, "found": value}
                    )
    looked = min(LOOKED_AT, len(evidence.pairs))
    detail = f"both turns of {looked} pairs have the log-probabilities of their {tokens:g} tokens, up to {farthest:.1g}"
    stated: dict[str, float | int | str] = {"pairs": looked, "tokens": int(tokens), "max_difference": farthest}
    return Proof(name="mask", passed=True, detail=detail, numbers=stated)


def by_hand(model: Any, row: Row, tok: Any) -> tuple[float, int]:
    """Log-probability of a row's last turn by a plain forward pass over the served tokens, and how many tokens count.

    Counted are the turn's tokens up to the one that ends it: what a served model would have to write.
    """
    import torch

    prompt = render(tok, row.messages[:-1], row.tools, add_generation_prompt=True)
    ids, stops = whole(row, tok), stop_ids(tok)
    end = max((at for at, token in enumerate(ids) if token in stops), default=len(ids) - 1) + 1
    was, _ = model.training, model.eval()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids[:end]], device=model.device), use_cache=False).logits[0]
    model.train(was)
    spread_out = torch.log_softmax(logits.float(), -1)
    places = range(len(prompt), end)
    return sum(float(spread_out[at - 1, ids[at]]) for at in places), len(places)


def whole(row: Row, tok: Any) -> list[int]:
    """A row's tokens as serving renders them once its last turn is written."""
    return render(tok, row.messages, row.tools, add_generation_prompt=False)


def spread(number: int, most: int) -> list[int]:
    """At most so many places among `number`, the first and the last among them."""
    if number <= most:
        return list(range(number))
    return [round(at * (number - 1) / (most - 1)) for at in range(most)]
