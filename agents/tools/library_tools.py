"""`open` and `find`: the manual read by title and by exact text, where `search` reads it by words.

Both see what the library holds and nothing else: a library opened without its held-out chunks has no such pages.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from weakref import WeakKeyDictionary

from ..answers import fold
from ..corpus.chunks import Chunk
from ..corpus.library import Library
from ..search import LINE_CHARS, NOTHING
from ..text import shortened
from .results import ERROR_CHARS, Observation, failed

OPEN_CHARS = 3_600
"""Characters that `open` shows: three whole passages, as much as a search does that leaves them whole."""
FIND_LINES = 8
NEAREST = 3
"""Titles that are named where there is no such page."""
_ALIKE = 0.7
"""difflib's share of matching characters from which a title counts as what was meant."""
_JOINT = " > "


class Contents:
    """What a library's pages and sections are called; made once a library."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self.pages: dict[str, list[Chunk]] = {}
        """Document id -> its chunks in order."""
        for chunk in chunks:
            self.pages.setdefault(chunk.document, []).append(chunk)
        self.named: dict[str, list[Chunk]] = {}
        """Title -> its chunks; the title of a document stands for all of it."""
        for page in self.pages.values():
            whole = page_title(page)
            self.named.setdefault(whole, []).extend(page)
            for chunk in page:
                if chunk.title != whole:
                    self.named.setdefault(chunk.title, []).append(chunk)
        self.folded: dict[str, list[str]] = {}
        """Title, whole and without what stands before ` > `, in lower case -> titles."""
        self.texts = [fold(chunk.text) for chunk in chunks]
        """The text of each chunk, white space folded."""
        for title in self.named:
            for form in {title, title.rpartition(_JOINT)[2]}:
                self.folded.setdefault(form.casefold(), []).append(title)

    def called(self, name: str) -> list[str]:
        """The titles that `name` may mean; one where it is clear."""
        if name in self.named or not name:
            return [name] if name else []
        meant = self.folded.get(name.casefold(), [])
        whole = [title for title in meant if title.casefold() == name.casefold()]
        written = [title for title in meant if title.rpartition(_JOINT)[2] == name]
        for found in (whole, written, meant):
            if len(found) == 1:
                return found
        if meant:
            return meant
        end = re.compile(rf"(?<!\w){re.escape(name)}$", re.IGNORECASE)
        return [title for title in self.named if end.search(title)]

    def nearest(self, name: str, library: Library) -> list[str]:
        """The titles most like `name` by their letters, then those that a search for it brings, where that is free."""
        forms = difflib.get_close_matches(name.casefold(), self.folded, n=NEAREST, cutoff=_ALIKE)
        titles = [title for form in forms for title in self.folded[form]]
        if not library.index.remote:
            titles += [chunk.title for chunk, _ in library.search(name, NEAREST)]
        return list(dict.fromkeys(titles))[:NEAREST]


_contents: WeakKeyDictionary[Library, Contents] = WeakKeyDictionary()


def contents(library: Library) -> Contents:
    """The contents of a library."""
    if library not in _contents:
        _contents[library] = Contents(library.chunks)
    return _contents[library]


def page_title(page: Sequence[Chunk]) -> str:
    """The title of a document: what the titles of all its chunks begin with."""
    first, *rest = sorted({chunk.title for chunk in page})
    if not rest:
        return first.partition(_JOINT)[0]
    steps = first.split(_JOINT)
    while len(steps) > 1 and not all(title.split(_JOINT)[: len(steps)] == steps for title in rest):
        steps.pop()
    return _JOINT.join(steps)


def open_page(library: Library, page: str) -> Observation:
    """The text of a page or section; `page` is its title, the end of its title where that is clear, or a chunk's id.

    A title is looked for as it stands, then in lower case, then by its end. A chunk's id goes on from that chunk: it
    stands in the note of a text that was longer than `OPEN_CHARS`.
    """
    book, name = contents(library), fold(page.replace("`", ""))
    if name in library:
        chunk = library.chunk(name)
        document = book.pages[chunk.document]
        return shown(document[document.index(chunk) :])
    if name in book.pages:
        return shown(book.pages[name])
    titles = book.called(name)
    if len(titles) == 1:
        return shown(book.named[titles[0]])
    if titles:
        return failed(listing(f'{len(titles)} pages are called "{shortened(name, 60)}":', titles))
    return failed(listing(f'there is no page "{shortened(name, 60)}"; the nearest:', book.nearest(name, library)))


def listing(text: str, titles: Sequence[str]) -> str:
    """`text` and the first three titles, whole ones only, as far as an error has room: a cut title opens nothing."""
    named = [f'"{title}"' for title in titles[:NEAREST]]
    while named and len(text) + len(", ".join(named)) + 1 > ERROR_CHARS - len("Error: "):
        named.pop()
    return f"{text} {', '.join(named)}" if named else text.partition(";")[0]


def shown(chunks: Sequence[Chunk]) -> Observation:
    """Chunks as `[n] title` and their text, as many as there is room for, and what is left."""
    ends = list(accumulate(len(chunk.text) for chunk in chunks))
    count = max(1, bisect_right(ends, OPEN_CHARS))
    blocks = []
    for n, (title, parts) in enumerate(groupby(chunks[:count], key=lambda chunk: chunk.title), 1):
        text = "\n\n".join(part.text.strip() for part in parts)
        blocks.append(f"[{n}] {title}\n{shortened(text, OPEN_CHARS)}")
    if count < len(chunks):
        left = ends[-1] - ends[count - 1]
        blocks.append(f'({left:,} more characters: open "{chunks[count].id}")')
    return Observation("\n\n".join(blocks), tuple((chunk.id, 1.0) for chunk in chunks[:count]))


def find_text(library: Library, message: str) -> Observation:
    """The first eight lines that hold `message`, white space folded, each under its section's title.

    Lines that hold it as whole words come first: `Default: 3` is found before `Default: 31`.
    """
    wanted = fold(message)
    texts = zip(library.chunks, contents(library).texts, strict=True)
    found = [(chunk, text) for chunk, text in texts if wanted in text] if wanted else []
    if not found:
        return Observation(NOTHING)
    left, right = r"(?<!\w)" if wanted[0].isalnum() else "", r"(?!\w)" if wanted[-1].isalnum() else ""
    whole = re.compile(left + re.escape(wanted) + right)
    found.sort(key=lambda each: whole.search(each[1]) is None)
    blocks: list[str] = []
    hits: list[tuple[str, float]] = []
    room = FIND_LINES
    for chunk, _ in found:
        lines = list(lines_with(wanted, chunk.text))[:room]
        blocks.append(f"[{len(blocks) + 1}] {chunk.title}\n" + "\n".join(lines))
        hits.append((chunk.id, 1.0))
        room -= len(lines)
        if not room:
            break
    more = len(found) - len(hits)
    if more:
        blocks.append(f"({more:,} more passages hold it)")
    return Observation("\n\n".join(blocks), tuple(hits))


def lines_with(wanted: str, text: str) -> Iterator[str]:
    """The lines of `text` that hold `wanted`, white space folded; lines that it runs across are joined."""
    lines = [line for line in map(fold, text.splitlines()) if line]
    joined = " ".join(lines)
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    at = joined.find(wanted)
    while at >= 0:
        first, last = (bisect_right(starts, place) - 1 for place in (at, at + len(wanted) - 1))
        end = starts[last] + len(lines[last])
        yield around(joined[starts[first] : end], at - starts[first])
        at = joined.find(wanted, end)


def around(line: str, at: int) -> str:
    """A long line cut to a window round the place `at`; what is cut away shows as an ellipsis."""
    start = max(0, min(at - LINE_CHARS // 4, len(line) - LINE_CHARS))
    end = min(len(line), start + LINE_CHARS)
    return ("… " if start else "") + line[start:end] + (" …" if end < len(line) else "")
