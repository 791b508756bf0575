"""Writes signatures and docstrings as text that is the same on every run: no addresses, no paths, no environment."""

from __future__ import annotations

import enum
import inspect
import re
import sys
import types
from pathlib import Path
from typing import Any

LONG = 40
"""Characters of a default value above which it is written as `...`."""

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_PLACES = sorted(
    {place for place in (sys.executable, sys.prefix, sys.base_prefix, str(Path("~").expanduser())) if len(place) > 4},
    key=len,
    reverse=True,
)


def scrub(text: str) -> str:
    """`text` without memory addresses and without the paths of this machine."""
    text = _ADDRESS.sub("", text)
    for place in _PLACES:
        text = text.replace(place, "...")
    return text


def value_text(value: Any) -> str | None:
    """How a default or constant is written in a signature; None where that would differ from machine to machine."""
    if isinstance(value, enum.Enum):
        plain = value.value
        if isinstance(value, (int, str)) and type(plain) in (int, str):
            return value_text(plain)
        return f"{type(value).__qualname__}.{value.name}" if value.name else None
    if isinstance(value, type):
        return value.__qualname__ if value.__module__ == "builtins" else f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
        return value.__name__ if value.__name__ != "<lambda>" else None
    if value is not None and not isinstance(value, (bool, int, float, complex, str, bytes, tuple, frozenset)):
        return "{}" if type(value) is dict and not value else "[]" if type(value) is list and not value else None
    if isinstance(value, frozenset) and len(value) > 1:
        return None
    if isinstance(value, tuple) and any(value_text(part) is None for part in value):
        return None
    text = repr(value)
    if len(text) > LONG or scrub(text) != text or ("<" in text and not isinstance(value, (str, bytes))):
        return None
    return text


def signature_of(value: Any) -> inspect.Signature | None:
    """The signature, or None where the interpreter knows none."""
    try:
        return inspect.signature(value)
    except (ValueError, TypeError, NameError, AttributeError):
        return None


def signature_line(entity: str, signature: inspect.Signature | None) -> str:
    """`str.rsplit(self, /, sep=None, maxsplit=-1)`: no annotations, and `...` for a default that is not stable."""
    if signature is None:
        return entity
    out: list[str] = []
    star = False
    parameters = list(signature.parameters.values())
    for number, parameter in enumerate(parameters):
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            out.append("*")
            star = True
        mark = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        mark = "**" if parameter.kind is parameter.VAR_KEYWORD else mark
        star = star or parameter.kind is parameter.VAR_POSITIONAL
        text = mark + parameter.name
        if parameter.default is not parameter.empty:
            text += f"={value_text(parameter.default) or '...'}"
        out.append(text)
        last = number + 1 == len(parameters) or parameters[number + 1].kind is not parameter.POSITIONAL_ONLY
        if parameter.kind is parameter.POSITIONAL_ONLY and last:
            out.append("/")
    return f"{entity}({', '.join(out)})"


def defaults(signature: inspect.Signature | None) -> list[tuple[str, str]]:
    """(parameter, default as written) of every public parameter with a stable default."""
    found = []
    for parameter in signature.parameters.values() if signature else ():
        if parameter.default is parameter.empty or parameter.name.startswith("_"):
            continue
        text = value_text(parameter.default)
        if text is not None:
            found.append((parameter.name, text))
    return found


def docstring(value: Any) -> str:
    """The object's own docstring, scrubbed; lines that Markdown would take for headings are moved in by a blank."""
    raw = value.__dict__.get("__doc__") if isinstance(value, type) else getattr(value, "__doc__", None)
    if not isinstance(raw, str):
        return ""
    text = scrub(inspect.cleandoc(raw))
    return re.sub(r"^(#|```|~~~)", r" \1", text, flags=re.MULTILINE).strip()
