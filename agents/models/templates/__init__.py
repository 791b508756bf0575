"""Chat templates that come with Retort, by name, for bases whose own template is missing or cannot do tools."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from ...errors import SeatError

BUNDLED = {"chatml": ("<|im_start|>", "<|im_end|>")}
"""Name -> the token that opens a turn and the one that closes it."""
MAX_TOKENS = 4
"""Tokens that the opening may be cut into; more would cost a tenth of the context of a short episode."""


def template_text(named: str | Path) -> str:
    """The Jinja text of a bundled template or of a file.

    Raises:
        SeatError: neither a bundled name nor a file that can be read.
    """
    if str(named) in BUNDLED:
        return files(__package__).joinpath(f"{named}.jinja").read_text(encoding="utf-8")
    try:
        return Path(named).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SeatError(
            f"the chat_template {str(named)!r} cannot be read ({error}): as [student] chat_template name a Jinja file, "
            f"or {', '.join(BUNDLED)}"
        ) from None


def tokens_missing(tok: Any, named: str | Path) -> str | None:
    """Why a tokenizer cannot take a bundled template, in a sentence; None where it can, and for templates in files.

    The token that closes a turn must be one token, since generation stops at one; the one that opens it may be a few.
    """
    if str(named) not in BUNDLED:
        return None
    opening, closing = BUNDLED[str(named)]
    for token, most in ((closing, 1), (opening, MAX_TOKENS)):
        ids = tok(token, add_special_tokens=False)["input_ids"]
        if len(ids) > most or tok.unk_token_id in ids:
            what = "is unknown" if tok.unk_token_id in ids else f"is {len(ids)} tokens"
            return f"{token!r} of the template {str(named)!r} {what} in this base's vocabulary, where it must be one"
    return None
