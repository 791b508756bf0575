"""Makes the tiny base from nothing: `python -m recipes.tiny_base.recipe --out DIR`

Tokenizer, sketched start, random copying, reading drills, weights. Fixed seed, fresh data every step, one thread;
every text is invented (words.py, pages.py, drills.py) or random (copying.py). What the shipped weights needed and
what they can do stands in agents/models/tiny_base/README.md.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.models.bases import tiny_base

from . import tokenizer as words
from .copying import Row, copy_row
from .drills import KEY, KINDS, Diet, drill
from .start import init_induction_heads

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

TEMPLATE = tiny_base() / "chat_template.jinja"


@dataclass(frozen=True)
class Recipe:
    """What is mixed, for how long, and how hot."""

    steps: int = 1500
    seed: int = 11
    tokens: int = 4096
    """Tokens a step, padding included."""
    copying: int = 30
    """Steps of nothing but random copying at the start."""
    rate: float = 2.5e-3
    warmup: int = 60
    floor: float = 0.02
    """Share of `rate` at the last step; between them a cosine."""
    decay: float = 0.02
    """Weight decay."""
    layers: int = 4
    inner: int = 256
    """Width of the feed-forward layers."""
    theta: float = 10_000.0
    """Base of the rotary angles."""
    ease: tuple[float, float] = (0.8, 0.3)
    """Share of drills in the plain layout: falls by 1 over the whole training from the first number, to the second."""
    turn: int = 1
    kinds: tuple[str, ...] = KINDS
    """Both as in `drills.Diet`."""
    save_every: int = 100
    lengths: tuple[tuple[int, int], ...] = ((192, 3), (384, 4), (640, 2), (1024, 1))
    """Row lengths of the drills in tokens, with their weights."""


POLISH = Recipe(
    steps=1400,
    seed=12,
    copying=0,
    rate=1.5e-3,
    warmup=20,
    ease=(0.15, 0.15),
    turn=KEY,
    kinds=("find", "choose", "choose", "two", "two", "chain", "call", "which"),
)
"""The second part, from the saved files of the first: random layouts, more requests that take two look-ups."""


def make_model(tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> Qwen3ForCausalLM:
    """A fresh Qwen3-shaped model, 128 wide, 8 heads of 32; float32."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=recipe.inner,
        num_hidden_layers=recipe.layers,
        num_attention_heads=8,
        num_key_value_heads=8,
        head_dim=32,
        max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": recipe.theta},
        initializer_range=0.05,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen3ForCausalLM(config)
    init_induction_heads(model, recipe.theta)
    return model


def letters(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """The letters-only tokens and continuations, sorted: what names are put together from."""
    bare = {token.removeprefix("##") for token in tokenizer.get_vocab()}
    return sorted(token for token in bare if token.isascii() and token.isalpha())


def drill_rows(
    tokenizer: PreTrainedTokenizerFast, seeds: Sequence[str], pieces: Sequence[str], length: int, diet: Diet
) -> list[Row]:
    """Tokenized drills, one a seed, cut at `length`; a deciding token stands several times among the marked places."""
    spans = [drill(random.Random(seed), pieces, 2 * length, diet) for seed in seeds]
    texts = ["".join(text for text, _ in document) for document in spans]
    encoded = tokenizer(
        texts, add_special_tokens=False, return_offsets_mapping=True, truncation=True, max_length=length
    )
    rows = []
    for document, ids, offsets in zip(spans, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        weights = [weight if n == 0 else min(weight, 1) for text, weight in document for n, _ in enumerate(text)]
        rows.append((ids, [place for place, (start, _) in enumerate(offsets) if place for _ in range(weights[start])]))
    return rows


def batch(tokenizer: PreTrainedTokenizerFast, pieces: Sequence[str], recipe: Recipe, step: int) -> list[Row]:
    """The rows of one step: copying alone at first, later one step in eight and drills in the others."""
    rng = random.Random(f"{recipe.seed}/{step}")
    if step < recipe.copying or step % 8 == 0:
        length = 96 if step < recipe.copying // 2 else rng.choice((128, 256, 512))
        return [copy_row(rng, len(tokenizer), length) for _ in range(recipe.tokens // length)]
    sizes, weights = zip(*recipe.lengths, strict=True)
    length = rng.choices(sizes, weights)[0]
    if step < recipe.steps // 5:
        length = min(length, 384)
    seeds = [f"{recipe.seed}/{step}/{n}" for n in range(recipe.tokens // length)]
    diet = Diet(max(recipe.ease[1], recipe.ease[0] - step / recipe.steps), recipe.turn, recipe.kinds)
    return drill_rows(tokenizer, seeds, pieces, length, diet)


def loss_of(model: Qwen3ForCausalLM, rows: Sequence[Row], pad: int) -> tuple[torch.Tensor, float]:
    """Mean loss over the predictable positions, and the share of them that is guessed right."""
    import torch
    from torch.nn.functional import cross_entropy

    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows])
    where = torch.tensor([n * width + place - 1 for n, (_, marked) in enumerate(rows) for place in marked])
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state.flatten(0, 1)[where]
    target = ids.flatten()[where + 1]
    logits = model.lm_head(hidden)
    return cross_entropy(logits, target), float((logits.argmax(-1) == target).float().mean())


def rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step: linear warm-up, then a cosine down to `floor`."""
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.rate * (recipe.floor + (1 - recipe.floor) * 0.5 * (1 + math.cos(math.pi * done)))


def save(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path, record: dict[str, Any]) -> None:
    """Writes model (bfloat16), tokenizer and `training.json` to a fresh folder and moves it to `out`."""
    import torch
    from transformers import Qwen3ForCausalLM

    draft = out.with_name(f"{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    half = Qwen3ForCausalLM(model.config)
    half.to(dtype=torch.bfloat16)  # type: ignore[call-arg]
    half.load_state_dict(model.state_dict())
    half.generation_config.do_sample = False
    half.save_pretrained(draft)
    tokenizer.backend_tokenizer.no_truncation()  # the drills are cut; what is saved must not cut
    tokenizer.save_pretrained(draft)
    (draft / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    draft.replace(out)


def make(
    recipe: Recipe, out: Path, tokenizer: PreTrainedTokenizerFast | None = None, start: Path | None = None
) -> list[float]:
    """Trains, from nothing or from the folder `start`, and leaves a model folder at `out`; returns all losses."""
    import torch
    from tqdm import tqdm
    from transformers import Qwen3ForCausalLM

    out.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    if tokenizer is None:
        tokenizer = words.wrap(words.train(words.docstrings()), TEMPLATE.read_text(encoding="utf-8"))
    pieces = letters(tokenizer)
    model = (
        make_model(tokenizer, recipe) if start is None else Qwen3ForCausalLM.from_pretrained(start, dtype=torch.float32)
    )
    bare = [value for value in model.parameters() if value.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": [value for value in model.parameters() if value.ndim > 1]},
        {"params": bare, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=recipe.decay)
    losses: list[float] = []
    begun = time.monotonic()
    bar = tqdm(range(recipe.steps), desc="tiny base", disable=None)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = rate(recipe, step)
        loss, right = loss_of(model, batch(tokenizer, pieces, recipe, step), int(tokenizer.pad_token_id or 0))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if step % 20 == 0:
            bar.write(f"{step} loss {losses[-1]:.3f} right {right:.3f} s {time.monotonic() - begun:.0f}")
        if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
            tail = losses[-100:]
            done = {
                "step": step + 1,
                "seconds": round(time.monotonic() - begun),
                "loss": round(sum(tail) / len(tail), 4),
            }
            save(model, tokenizer, out, {**done, "recipe": asdict(recipe)})
    return losses


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Make the tiny base from nothing.")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write; replaced whole at every save")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="steps of the first part")
    parser.add_argument("--polish", type=int, default=POLISH.steps, help="steps of the second part; 0 leaves it out")
    parser.add_argument("--start", type=Path, help="a folder that the first part has made: go on from there")
    parser.add_argument("--tokenizer", type=Path, help="reuse the tokenizer of this folder instead of training one")
    given = parser.parse_args()
    tokenizer: Any = None
    if given.tokenizer is not None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(given.tokenizer)
    part = given.out.with_name(f"{given.out.name}.first") if given.polish else given.out
    first = given.start or part
    if given.start is None:
        make(replace(Recipe(), steps=given.steps), first, tokenizer)
    if given.polish:
        from transformers import AutoTokenizer

        ready: Any = AutoTokenizer.from_pretrained(first)
        make(replace(POLISH, steps=given.polish), given.out, ready, first)


if __name__ == "__main__":
    main()
