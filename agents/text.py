"""Texts made fit for a message, a record or a table: cut to length, one line of an error, no half characters."""

from __future__ import annotations

from typing import Any


def shortened(value: object, most: int = 120) -> str:
    """A value as text of at most `most` characters; an ellipsis stands for what was cut off."""
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def first_line(error: BaseException, most: int = 200) -> str:
    """The first line of an error's message, or its class where it has none, of at most `most` characters."""
    return shortened((str(error).strip().splitlines() or [type(error).__name__])[0], most)


def writable(text: str) -> str:
    """The text with question marks for halves of surrogate pairs, which no request and no record can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def writable_value(value: Any) -> Any:
    """The same for every string of a JSON value."""
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, dict):
        return {writable(str(key)): writable_value(each) for key, each in value.items()}
    return [writable_value(each) for each in value] if isinstance(value, list) else value
