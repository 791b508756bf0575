"""Search words of a text: every name whole as it was written, then its parts."""

from __future__ import annotations

import re

_NAME = re.compile(r"(?:--?(?=\w))?\$?\w+(?:[.\-/:]+\w+)*")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")


def names(text: str) -> list[str]:
    """The whole tokens of `text` as written: words, dotted, dashed and underscored names, numbers, versions."""
    found: list[str] = _NAME.findall(text)
    return found


def parts(token: str) -> list[str]:
    """The parts of a name (`str.rsplit` -> str, rsplit; `--alt-svc` -> alt-svc, alt, svc); [] for a plain word."""
    found = [part.lower() for part in _PART.findall(token)]
    bare = token.lstrip("-$").lower()
    extra = [bare] if bare != token.lower() else []
    pieces = [piece for piece in re.split(r"[.\-/:]+", bare) if piece]
    if len(pieces) > 1:
        extra += [piece for piece in pieces if piece not in found]
    return extra + (found if found != [token.lower()] else [])


def words(text: str) -> list[str]:
    """Search words of `text` in lower case: every name whole, then its parts."""
    out: list[str] = []
    for token in _NAME.findall(text):
        out.append(token.lower())
        out.extend(part for part in parts(token) if part != token.lower())
    return out
