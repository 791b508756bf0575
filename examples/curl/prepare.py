"""Makes Retort's input of curl's man page: `python prepare.py OUT` writes OUT/corpus/*.md and OUT/facts.jsonl.

The man page is `curl.1` of the Debian package curl, which `apt-get download` brings; no root is needed.
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from manuals import Row, deb_file, write_manual

MAN_PAGE = "usr/share/man/man1/curl.1.gz"

_FONT = re.compile(r"\\f(?:\[\w*\]|\(..|.)")
_ESCAPE = re.compile(r"\\(?:\((\w\w)|\*\((\w\w)|(.))")
_GLYPHS = {"dq": '"', "aq": "'", "Aq": "'", "lq": '"', "rq": '"', "em": "-", "en": "-", "bu": "-", "e": "\\", "&": ""}
_OPTIONS = re.compile(r"^\.SH \"?(?:ALL )?OPTIONS\"?$(.*?)(?=^\.SH |\Z)", re.MULTILINE | re.DOTALL)
_HEAD = re.compile(r"(?:(-[^-]), )?(--[\w.\-]+)(?: (.+))?")
_PROTOCOLS = re.compile(r"^\(([A-Z][\w\-]*(?: [A-Z][\w\-]*)*)\) ")
_ADDED = re.compile(r"(?<!\()Added in (\d+(?:\.\d+)+)(?=\.(?: |$))")
_AGAIN = re.compile(
    r"^.*?(the last set value (?:is|will be) used|multiple times has no extra effect|can be used several times)"
)
_EXCLUSIVE = re.compile(r"mutually exclusive (?:to|with) (--[\w\-]|-[^-], --).*?(?=\.(?: |$)|:)")
_LONG = re.compile(r"--[\w\-]+(?:\.\d+)*")


def plain(text: str) -> str:
    """A line of roff without its escapes."""
    text = _FONT.sub("", text)
    return _ESCAPE.sub(lambda found: _GLYPHS.get(found[1] or found[2] or found[3], found[3] or ""), text)


def options(man: str) -> Iterator[tuple[str, list[str]]]:
    """(the words that head an option, its paragraphs) for each option, in order; examples are fenced."""
    head, blocks, lines, fenced = "", list[str](), list[str](), False
    body = "".join(part[1] for part in _OPTIONS.finditer(man))
    for line in [*body.splitlines(), ".IP"]:
        macro, _, argument = line.partition(" ") if line.startswith(".") else ("", "", "")
        argument = plain(argument.strip().strip('"'))
        if macro in (".B", ".I", ".BR"):
            lines.append(argument)
        elif not macro and (line or fenced):
            lines.append(plain(line))
        else:
            if any(lines):
                blocks.append("\n".join(["```", *lines, "```"]) if fenced else " ".join(" ".join(lines).split()))
            lines, fenced = [], macro == ".nf"
            if macro == ".IP" and argument and not _HEAD.fullmatch(argument):
                lines = [f"- {argument}:"]
            elif macro == ".IP":
                if head:
                    yield head, blocks
                head, blocks = argument, []


def facts_of(head: str, blocks: list[str], page: str) -> Iterator[Row]:
    """What the man page says of one option; nothing that it says twice."""
    named = _HEAD.fullmatch(head)
    if named is None:
        return
    short, name, argument = named.groups()
    if short:
        yield Row(name, "short form", short, page, name, quote=f"{short}, {name}")
    if argument:
        yield Row(name, "argument", argument, page, name, quote=f"{name} {argument}")
    protocols = _PROTOCOLS.match(blocks[0]) if blocks else None
    if protocols:
        yield Row(name, "protocols", protocols[1], page, name, quote=f"Protocols: {protocols[1]}")
    for attribute, pattern in (
        ("effect of repeating", _AGAIN),
        ("mutually exclusive options", _EXCLUSIVE),
        ("added in version", _ADDED),
    ):
        found = [match for block in blocks for match in pattern.finditer(block) if not block.startswith("```")]
        if len(found) == 1:
            quote = found[0].group().strip()
            value = ", ".join(_LONG.findall(quote)) if pattern is _EXCLUSIVE else found[0][1]
            yield Row(name, attribute, value, page, name, quote=quote)


def read_man_page(man: str) -> tuple[dict[str, str], list[Row]]:
    """(page name -> Markdown, facts): a page an option."""
    pages: dict[str, str] = {}
    facts: list[Row] = []
    for head, blocks in options(man):
        name = head.split(", ")[-1].split(" ")[0]
        page = name.lstrip("-")
        protocols = _PROTOCOLS.match(blocks[0]) if blocks else None
        # The man page only has `(FTP SFTP)` there: a search for protocols would bring everything but that.
        lines = [f"`{head}`", *([f"Protocols: {protocols[1]}"] if protocols else []), *blocks]
        pages[page] = "\n\n".join([f"# {name}", *lines]) + "\n"
        facts.extend(facts_of(head, blocks, f"corpus/{page}.md"))
    return pages, facts


def main() -> None:
    """Read the arguments and write the manual."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder that gets corpus/ and facts.jsonl")
    parser.add_argument("--deb", type=Path, help="a curl package at hand, instead of downloading one")
    args = parser.parse_args()
    man = gzip.decompress(deb_file("curl", MAN_PAGE, args.deb)).decode()
    print(write_manual(args.out, *read_man_page(man)))


if __name__ == "__main__":
    main()
