"""The language under man pages, as far as text needs it: escapes, strings, conditions, and the words of a macro's line.

Formatting is left out: fonts, sizes, motions and registers change how a page looks, and none of its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

GLYPHS = {
    "aq": "'", "dq": '"', "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "Bq": "„", "bq": "‚", "Fo": "«", "Fc": "»",
    "hy": "-", "mi": "-", "en": "–", "em": "—", "bu": "•", "ci": "○", "sq": "□", "ps": "¶", "sc": "§", "dg": "†",
    "co": "©", "rg": "®", "tm": "™", "de": "°", "mu": "×", "di": "÷", "+-": "±", "<=": "≤", ">=": "≥", "!=": "≠",
    "->": "→", "<-": "←", "ua": "↑", "da": "↓", "rs": "\\", "sl": "/", "ti": "~", "ha": "^", "ga": "`", "aa": "´",
    "at": "@", "sh": "#", "Do": "$", "Eu": "€", "Po": "£", "Ye": "¥", "ct": "¢", "lB": "[", "rB": "]", "lC": "{",
    "rC": "}", "la": "<", "ra": ">", "ba": "|", "or": "|", "br": "|", "ul": "_", "ru": "_", "fm": "′", "sd": "″",
    "12": "½", "14": "¼", "34": "¾", "*a": "α", "*b": "β", "*m": "μ", "mc": "µ", "*p": "π", "if": "∞", "no": "¬",
    "ss": "ß", ":a": "ä", ":o": "ö", ":u": "ü", ":A": "Ä", ":O": "Ö", ":U": "Ü", "'e": "é", "'a": "á", "'o": "ó",
    "'i": "í", "'u": "ú", "`e": "è", "`a": "à", "^e": "ê", "^o": "ô", ",c": "ç", "~n": "ñ", "/o": "ø", "oa": "å",
}  # fmt: skip
STRINGS = {"lq": "“", "rq": "”", "Tm": "™", "R": "®", "S": ""}
"""Those that the man macros define."""
DEEPEST = 8
"""Strings within strings; a page may define one by itself."""

_ESCAPE = re.compile(
    r"""\\(?:
        (?P<comment>["\#].*$)
      | [fFmMgY](?:\[[^\]]*\]|\(..|.)                     # fonts, colours
      | s(?:[-+]?(?:\[[^\]]*\]|\(..|'[^']*'|\d{1,2})|\([-+]?..)
      | [nk][-+]?(?:\[[^\]]*\]|\(..|.)                    # number registers
      | [hvwlLxXDRHSbABCoZ](?P<quote>['"\x01]).*?(?P=quote)
      | N'(?P<code>\d+)'
      | \[u(?P<hex>[0-9A-Fa-f]{4,6})(?:_[0-9A-Fa-f]+)*\]
      | \[char(?P<number>\d+)\]
      | \((?P<two>..) | \[(?P<long>[^\]]*)\]
      | \*(?:\((?P<string2>..)|\[(?P<string>[^\]\s]*)[^\]]*\]|(?P<string1>.))
      | (?P<one>.)
    )""",
    re.VERBOSE,
)
_ONE = {"-": "-", "e": "\\", "\\": "\\", "E": "\\", " ": " ", "~": " ", "0": " ", "t": "\t", "'": "'", "`": "`"}
"""Escapes of one character that stand for one; `\\.` and others stand for what follows, and the rest for nothing."""
_NOTHING = frozenset("&|^/,%:cdurpaz{}!)?")


def plain(text: str, strings: dict[str, str] | None = None, depth: int = 0) -> str:
    """A line without its escapes; strings of the page are put in."""
    known = STRINGS | (strings or {})

    def of(found: re.Match[str]) -> str:
        part = found.groupdict()
        if part["comment"] is not None:
            return ""
        if part["code"] or part["number"]:
            return character(int(part["code"] or part["number"]))
        if part["hex"]:
            return character(int(part["hex"], 16))
        glyph = part["two"] or part["long"]
        if glyph is not None:
            return GLYPHS.get(glyph, glyph if len(glyph) == 1 else "")
        name = part["string2"] or part["string"] or part["string1"]
        if name is not None:
            return plain(known.get(name, ""), strings, depth + 1) if depth < DEEPEST else ""
        one = part["one"]
        if one is None or one in _NOTHING:
            return ""
        return _ONE.get(one, one)

    return _ESCAPE.sub(of, text)


def character(number: int) -> str:
    """A character by its number; nothing where there is none."""
    try:
        return chr(number) if not 0xD800 <= number <= 0xDFFF else ""
    except (OverflowError, ValueError):
        return ""


def words(line: str) -> list[str]:
    """The arguments of a macro, escapes left in: apart by blanks, or in double quotes, of which two stand for one."""
    found: list[str] = []
    at = 0
    while at < len(line):
        if line[at] in " \t":
            at += 1
            continue
        if line.startswith('\\"', at):
            break
        part: list[str] = []
        quoted = line[at] == '"'
        at += quoted
        while at < len(line):
            if line[at] == "\\" and at + 1 < len(line):
                part.append(line[at : at + 2])
                at += 2
                continue
            if quoted and line[at] == '"':
                at += 1
                if at >= len(line) or line[at] != '"':
                    break
            elif not quoted and line[at] in " \t":
                break
            part.append(line[at])
            at += 1
        found.append("".join(part))
    return found


def logical_lines(text: str) -> Iterator[str]:
    """The lines of a page that say something, for a terminal: conditions decided, definitions and comments left out."""
    lines = iter(joined(text))
    state = Conditions()
    for line in lines:
        name, rest = request(line)
        if name in ("de", "de1", "am", "ig"):
            given = words(rest)
            skip_to(lines, (given[1] if name != "ig" else given[0]) if len(given) > (name != "ig") else ".")
            continue
        yield from state.of(line)


def joined(text: str) -> Iterator[str]:
    """Lines, those that end in a backslash with the next one."""
    before = ""
    for line in text.split("\n"):
        ends = len(line) - len(line.rstrip("\\"))
        if ends % 2:
            before += line[:-1]
            continue
        yield before + line
        before = ""
    if before:
        yield before


def request(line: str) -> tuple[str, str]:
    """(name, rest) of a control line; an empty name for a line of text, and `\\"` for a comment."""
    if line[:1] not in (".", "'"):
        return "", line
    body = line[1:].lstrip(" \t")
    if body.startswith(('\\"', "\\#")):
        return '\\"', ""
    found = re.match(r"(\\?[^\s\\]*)\s*(.*)$", body, re.DOTALL)
    assert found is not None
    return found[1], found[2]


def skip_to(lines: Iterator[str], end: str) -> None:
    """Leave out the lines of a definition, and the one that ends it."""
    for line in lines:
        if request(line)[0] == end:
            return


class Conditions:
    """Decides `.if`, `.ie` and `.el`; a page is read as on a terminal (nroff), and registers count as 0."""

    def __init__(self) -> None:
        self._open: list[bool] = []
        """Of each block that is open, whether it is read."""
        self._else: list[bool] = []

    def of(self, line: str) -> Iterator[str]:
        """What of a line is read; several conditions may stand on one."""
        reading = all(self._open)
        name, rest = request(line)
        if name in ("if", "ie", "el", "while"):
            if name == "el":
                truth = self._else.pop() if self._else else False
            else:
                truth, rest = decided(rest)
                truth = truth and name != "while"
                if name == "ie":
                    self._else.append(not truth)
            body = rest.lstrip(" \t")
            if body.startswith("\\{"):
                self._open.append(truth)
                body = body[2:].lstrip(" \t")
                if body:
                    yield from self.of(body)
                return
            if reading and truth:
                yield from self.of(body)
            return
        closed = line.count("\\}") if "\\}" in line else 0
        text = line.replace("\\}", "") if closed else line
        if reading and (text.strip(" .'\t") or not closed):
            yield text
        for _ in range(min(closed, len(self._open))):
            self._open.pop()


def decided(rest: str) -> tuple[bool, str]:
    """(whether a condition holds, what follows it)."""
    negated = rest.startswith("!")
    rest = rest[1:] if negated else rest
    truth, after = False, ""
    if rest[:1] in ("n", "t", "o", "e", "v") and not rest[1:2].isalnum():
        truth, after = rest[0] in ("n", "o"), rest[1:]
    elif rest[:1] in ("d", "r", "c", "m", "F", "S"):
        found = re.match(r"[drcmFS]\s*\S*", rest)
        after = rest[found.end() :] if found else ""
    elif rest[:1] in ("'", '"'):
        mark = rest[0]
        sides = rest[1:].split(mark, 2)
        truth, after = (len(sides) == 3 and sides[0] == sides[1]), (sides[2] if len(sides) == 3 else "")
    else:
        found = re.match(r"(?:\\n(?:\[[^\]]*\]|\(..|.)|[^\s\\])+", rest)
        expression = re.sub(r"\\n[-+]?(?:\[[^\]]*\]|\(..|.)", "0", found.group()) if found else ""
        truth, after = number_holds(expression), rest[found.end() :] if found else ""
    return truth != negated, after


def number_holds(expression: str) -> bool:
    """Whether a comparison of two numbers holds, or one number is above 0; anything longer does not."""
    found = re.fullmatch(r"\(?(-?\d+)\w?(?:(<=|>=|==|=|<>|<|>)(-?\d+)\w?)?\)?", expression)
    if found is None:
        return False
    one, sign, two = int(found[1]), found[2], int(found[3] or 0)
    return {
        None: one > 0, "<": one < two, ">": one > two, "<=": one <= two, ">=": one >= two, "=": one == two,
        "==": one == two, "<>": one != two,
    }[sign]  # fmt: skip
