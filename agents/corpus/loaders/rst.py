"""Reads reStructuredText: its underlined headings become Markdown's, all else stays."""

from __future__ import annotations

import re

from . import Loader, Page, loaders
from .plain import decoded

_RULE = re.compile(r"^([=\-~^\"'*+#])\1{2,}\s*$")


@loaders.register("rst")
class Rst(Loader):
    """reStructuredText."""

    suffixes = (".rst",)

    def load(self, data: bytes, name: str) -> Page:
        """The text with Markdown's headings."""
        return Page(from_rst(decoded(data)))


def from_rst(text: str) -> str:
    """reStructuredText with its underlined headings turned into Markdown ones; levels in order of appearance."""
    levels: list[str] = []
    out: list[str] = []
    for line in text.splitlines():
        rule = _RULE.match(line)
        if rule and out and out[-1].strip() and not out[-1].startswith("#") and len(line) >= len(out[-1].rstrip()):
            mark = rule.group(1)
            if mark not in levels:
                levels.append(mark)
            out[-1] = "#" * min(6, levels.index(mark) + 1) + " " + out[-1].strip()
        elif not (rule and (not out or not out[-1].strip())):
            out.append(line)
    return "\n".join(out) + "\n"
