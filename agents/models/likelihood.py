"""How likely a model of this process finds a text: log-probabilities of given tokens after given prompts.

Nothing is generated, so a model that cannot keep to a format can be asked what it knows. The work is done in the thread
that owns the model, in left-padded batches, and only the logits of the last tokens are kept: with a vocabulary of
150,000 those of whole prompts would not fit.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .rendering import escape_special_tokens

if TYPE_CHECKING:
    from .hf import HFChat

ROWS = 32
"""Rows of one batch at the most."""
TOKENS = 16_384
"""Tokens of one batch at the most, padding included."""


class Continuation(NamedTuple):
    """A text whose tokens are scored, and what stands before it."""

    prompt: tuple[int, ...]
    ids: tuple[int, ...]


def continued(tok: Any, prompt: Sequence[int], opening: str, text: str) -> Continuation:
    """`text` after `opening` after the tokens of a prompt.

    The two are tokenised as one text, and what follows the tokens of `opening` is scored: after a token for a blank
    alone, most vocabularies have never seen a word begin.
    """
    head = tok.encode(opening.rstrip(" "), add_special_tokens=False)
    whole = tok.encode(opening + escape_special_tokens(tok, text), add_special_tokens=False)
    shared = next((at for at, (a, b) in enumerate(zip(head, whole, strict=False)) if a != b), len(head))
    return Continuation((*prompt, *whole[:shared]), tuple(whole[shared:]))


def logprobs(chat: HFChat, rows: Sequence[Continuation]) -> list[tuple[float, ...] | None]:
    """Log-probability of each token of each continuation, in the order of `rows`.

    None where the model has too few positions, or there is nothing to score.

    Raises:
        SeatError: the seat was closed meanwhile.
    """
    engine = chat.engine
    room = engine.positions
    found: list[tuple[float, ...] | None] = [None] * len(rows)
    fits = [
        at
        for at, row in enumerate(rows)
        if row.ids and row.prompt and (room is None or len(row.prompt) + len(row.ids) <= room)
    ]
    fits.sort(key=lambda at: len(rows[at].prompt) + len(rows[at].ids))

    def work() -> None:
        engine._with_adapters([chat.adapter])
        for batch in batches(rows, fits):
            for at, values in zip(batch, forward(engine, [rows[at] for at in batch]), strict=True):
                found[at] = values

    engine._put(work).result()
    return found


def batches(rows: Sequence[Continuation], order: Sequence[int]) -> list[list[int]]:
    """Indices of `order`, short rows first, cut so that none passes ROWS or TOKENS."""
    cut: list[list[int]] = []
    for at in order:
        width = len(rows[at].prompt) + len(rows[at].ids)
        if cut and len(cut[-1]) < ROWS and (len(cut[-1]) + 1) * width <= TOKENS:
            cut[-1].append(at)
        else:
            cut.append([at])
    return cut


def forward(engine: Any, rows: Sequence[Continuation]) -> list[tuple[float, ...]]:
    """One batch; too little memory on a GPU halves it."""
    import torch

    try:
        return _forward(engine, rows)
    except torch.OutOfMemoryError:
        if len(rows) == 1:
            raise
        torch.cuda.empty_cache()
        middle = len(rows) // 2
        return forward(engine, rows[:middle]) + forward(engine, rows[middle:])


def _forward(engine: Any, rows: Sequence[Continuation]) -> list[tuple[float, ...]]:
    import torch

    texts = [[*row.prompt, *row.ids] for row in rows]
    width = max(map(len, texts))
    keep = max(len(row.ids) for row in rows) + 1
    ids = torch.tensor([[0] * (width - len(text)) + text for text in texts], device=engine.device)
    mask = torch.tensor([[0] * (width - len(text)) + [1] * len(text) for text in texts], device=engine.device)
    options: dict[str, Any] = {
        "position_ids": (mask.cumsum(-1) - 1).clamp(min=0),  # as `generate` numbers left-padded rows
        "logits_to_keep": keep,
        "use_cache": False,
    }
    inner = engine.model.get_base_model() if hasattr(engine.model, "peft_config") else engine.model
    known = inspect.signature(inner.forward).parameters
    with torch.inference_mode():
        out = engine.model(
            input_ids=ids, attention_mask=mask, **{name: value for name, value in options.items() if name in known}
        )
        spread = torch.log_softmax(out.logits[:, -keep:].float(), -1)
    found = []
    for row, text in zip(spread, rows, strict=True):
        # The logits at one place tell of the token after it.
        stated = row[keep - 1 - len(text.ids) : keep - 1]
        wanted = torch.tensor(text.ids, device=engine.device)
        found.append(tuple(stated.gather(1, wanted[:, None])[:, 0].tolist()))
    return found
