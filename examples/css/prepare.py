"""Makes Retort's input of MDN's tables of CSS: `python prepare.py OUT` writes OUT/corpus/*.md and OUT/facts.jsonl.

The tables are those of the npm package mdn-data, which `npm pack` brings.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from manuals import Row, npm_files, write_manual

TABLES = ("css/properties.json", "css/syntaxes.json", "l10n/css.json")
FIELDS = (
    ("initial", "Initial value", "initial value"),
    ("appliesto", "Applies to", "applies-to entry"),
    ("inherited", "Inherited", "inherited entry"),
    ("percentages", "Percentages", "percentages entry"),
    ("computed", "Computed value", "computed value"),
    ("animationType", "Animation type", "animation type"),
    ("media", "Media", "media entry"),
    ("order", "Canonical order", None),
    ("status", "Status", "status entry"),
)
"""Field of the tables, its label on MDN's pages, the fact's attribute; None: nearly all have one of two values."""
PARTS = ("Constituent properties", "constituent properties")
LONG = 120
"""Characters of the longest value that is a fact; longer ones stand on the pages only."""

_MACRO = re.compile(r"\{\{(\w+)\(\"([^\"]+)\"\)\}\}")
_CODE = re.compile(r"</?code>")
_TAG = re.compile(r"</?a\b(?:\"[^\"]*\"|[^>\"])*>")


def plain(text: str) -> str:
    """MDN's markup as Markdown: macros become names, code gets backticks, links their text."""
    text = _MACRO.sub(lambda found: f"<{found[2]}>" if "Element" in found[1] else found[2], text)
    text = unescape(_TAG.sub("", _CODE.sub("`", text)))
    # Of the placeholders of MDN's pages, this one stands for the data type `length`.
    return " ".join(text.replace("$1$,", "length,").split()).rstrip(";.")


def said(value: Any, words: Mapping[str, str]) -> str | None:
    """A field's value as the page tells it; None for none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(said(part, words) or "" for part in value)
    return plain(words.get(value, value)) or None if isinstance(value, str) else None


def lines_of(
    entry: Mapping[str, Any], properties: Mapping[str, Any], words: Mapping[str, str]
) -> Iterator[tuple[str, str | None, str]]:
    """(label, attribute, value) of a property, in the order of its page.

    A shorthand has, in most fields, a list of the properties that it sets: that list is told once, as its parts.
    """
    for field, label, attribute in FIELDS:
        value = entry.get(field)
        of_parts = isinstance(value, list) and any(part in properties for part in value)
        text = None if of_parts else said(value, words)
        if text:
            yield label, attribute, text
    parts = entry.get("initial")
    if isinstance(parts, list) and all(part in properties for part in parts):
        yield *PARTS, ", ".join(parts)


def read_tables(
    properties: Mapping[str, Any], syntaxes: Mapping[str, Any], terms: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, str], list[Row]]:
    """(page name -> Markdown, facts): a page for each group of properties, and one for the syntax of the data types."""
    words = {key: term["en-US"] for key, term in terms.items() if "en-US" in term}
    pages: dict[str, str] = {}
    facts: list[Row] = []
    for name, entry in properties.items():
        group = entry["groups"][0]
        page = re.sub(r"\W+", "-", group.lower()).strip("-")
        lines = list(lines_of(entry, properties, words))
        text = "\n\n".join([f"## {name}", *(f"{label}: {value}" for label, _, value in lines)])
        syntax = f"Formal syntax: `{' '.join(entry['syntax'].split())}`"
        pages[page] = pages.get(page, f"# {group}\n") + f"\n{text}\n\n{syntax}\n"
        facts.extend(
            Row(name, attribute, value.replace("`", ""), f"corpus/{page}.md", name, quote=f"{label}: {value}")
            for label, attribute, value in lines
            if attribute and len(value) <= LONG
        )
    types = [f"## <{name}>\n\nFormal syntax: `{' '.join(entry['syntax'].split())}`" for name, entry in syntaxes.items()]
    pages["syntax-of-data-types"] = "\n\n".join(["# Syntax of data types", *types]) + "\n"
    return pages, facts


def main() -> None:
    """Read the arguments and write the manual."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder that gets corpus/ and facts.jsonl")
    parser.add_argument("--tgz", type=Path, help="an mdn-data package at hand, instead of downloading one")
    args = parser.parse_args()
    files = npm_files("mdn-data", TABLES, args.tgz)
    print(write_manual(args.out, *read_tables(*(json.loads(files[table]) for table in TABLES))))


if __name__ == "__main__":
    main()
