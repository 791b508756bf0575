"""The old place of `Library` and of the search words: they stand in library.py and tokens.py."""

from __future__ import annotations

from .library import Library
from .tokens import names, words

__all__ = ["Library", "names", "words"]
