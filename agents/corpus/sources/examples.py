"""Finds the doctest examples that stand in docstrings and puts each on one line: `>>> mean([1, 2, 3]) # 2`.

One line, because a passage reaches a reader by its lines: an answer that stands alone on the next one says nothing.
"""

from __future__ import annotations

import ast
import builtins
import re

from .modules import listed

_PROMPT = re.compile(r"^(\s*)>>> (.*)$")
PURE = listed(
    "ast base64 binascii bisect builtins calendar cmath collections colorsys copy decimal difflib fnmatch fractions "
    "functools heapq html ipaddress itertools json keyword math operator os.path pprint re reprlib shlex statistics "
    "string struct textwrap unicodedata urllib.parse zlib"
)
"""Modules whose examples are run: calls into them touch neither files nor processes."""
IMPURE = listed("breakpoint compile eval exec exit help input open print quit")
"""Built-in functions that are not."""
SHORT = 60
"""Characters of an example, and of its output, above which it is left as it stands."""


def is_call(source: str) -> bool:
    """Whether `source` is one call expression without a comment."""
    if "#" in source:
        return False
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError):
        return False
    return isinstance(tree.body, ast.Call)


def on_one_line(text: str) -> str:
    """`text` with every example of one call and one line of output joined to `>>> call # output`."""
    lines = text.splitlines()
    out: list[str] = []
    skip = False
    for number, line in enumerate(lines):
        if skip:
            skip = False
            continue
        prompt = _PROMPT.match(line)
        answer = lines[number + 1] if prompt and number + 1 < len(lines) else ""
        after = lines[number + 2].strip() if number + 2 < len(lines) else ""
        message = answer.strip()
        if (
            prompt
            and message
            and not message.startswith((">>>", "...", "Traceback", "<"))
            and "..." not in message
            and (not after or after.startswith(">>>"))
            and max(len(prompt.group(2)), len(message)) <= SHORT
            and is_call(prompt.group(2).strip())
        ):
            out.append(f"{prompt.group(1)}>>> {prompt.group(2).strip()} # {message}")
            skip = True
        else:
            out.append(line)
    return "\n".join(out)


def examples(text: str) -> list[tuple[str, str, str]]:
    """(line, call, output) of every joined example in `text`, in order."""
    found = []
    for line in text.splitlines():
        prompt = _PROMPT.match(line)
        call, mark, message = prompt.group(2).rpartition(" # ") if prompt else ("", "", "")
        if mark and is_call(call):
            found.append((line.strip(), call, message))
    return found


def qualified(call: str, entity: str) -> str | None:
    """`call` as a program without other names would write it (`mean([1])` -> `statistics.mean([1])`).

    None where it does not call `entity`, or needs a name that is not built in.
    """
    tree = ast.parse(call, mode="eval").body
    assert isinstance(tree, ast.Call)
    called: str | None = ast.unparse(tree.func)
    if isinstance(tree.func, ast.Attribute) and isinstance(tree.func.value, ast.Constant):
        if type(tree.func.value.value).__name__ + "." + tree.func.attr != entity:
            return None
        called = None
    elif called != entity and not entity.endswith(f".{called}"):
        return None
    rest = [*tree.args, *(keyword.value for keyword in tree.keywords)]
    names = {node.id for part in rest for node in ast.walk(part) if isinstance(node, ast.Name)}
    bound = {node.arg for part in rest for node in ast.walk(part) if isinstance(node, ast.arg)}
    if any(name not in vars(builtins) for name in names - bound):
        return None
    return call if called is None else entity + call[len(called) :]
