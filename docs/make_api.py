"""Writes docs/api.md from the docstrings of what `retort` makes public; `--check` compares instead."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import retort  # noqa: E402
from retort import results  # noqa: E402

PAGE = ROOT / "docs" / "api.md"
RESULTS = ("IndexResult", "ExamResult", "CollectResult", "DatasetResult", "StageTraining")
HEAD = """# Retort in Python

This page is made of the docstrings by `python docs/make_api.py`; a test compares the two, and runs every example.

```python
import retort

run = retort.Run.load("runs/x")  # or Run.create(config, folder); config may be built in Python
await run.collect_async()
run.collect()  # works inside a notebook's running loop too
result = run.train("sft")  # TrainingResult
board = run.evaluate()  # Leaderboard, .to_pandas(), shows itself as a table in a notebook
run.trajectories(accepted=True).to_dataset("trl")
trajectory = await retort.play(task, team=run.team("student"))
```

[examples/notebook.py](../examples/notebook.py) goes from a manual to a leaderboard, cell by cell. In the examples
below `run` is a finished run, and `folder` an empty folder.
"""
WITHOUT = {"agree", "check_place", "settle", "student_model", "collecting", "to_collect", "context"}
"""Methods of a run that the stages use."""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name in ("Run", "play", "close", "Trajectories", "Leaderboard", "Progress"):
        parts += section(f"retort.{name}", getattr(retort, name))
    parts.append("## What stages return\n")
    parts.append("Frozen records; as text they are the line that the command prints.\n")
    for name in RESULTS:
        kind = getattr(results, name)
        fields = ", ".join(f"`{field}`" for field in kind.model_fields)
        parts.append(f"- `{name}`: {first_line(kind)} Fields: {fields}.")
    parts.append("")
    others = [
        name for name in retort.__all__ if name in ("RunConfig", "Task", "TrainingResult", "Trajectory", "RetortError")
    ]
    parts.append("## Records that other pages describe\n")
    parts += [f"- `retort.{name}`: {first_line(getattr(retort, name))}" for name in others]
    return "\n".join(parts) + "\n"


def section(name: str, thing: Any) -> Iterator[str]:
    """A class with its public methods, or a function."""
    yield f"## `{name}{'' if inspect.isclass(thing) else signature(thing)}`\n"
    yield text_of(thing)
    if not inspect.isclass(thing):
        return
    short = name.rpartition(".")[2]
    for base in reversed([each for each in thing.__mro__ if each.__module__.startswith("retort.")]):
        for key, value in vars(base).items():
            inner = value.__func__ if isinstance(value, classmethod) else value
            public = not key.startswith("_") and key not in WITHOUT
            if not public or getattr(thing, key) is None or vars(thing).get(key, value) is not value:
                continue
            if isinstance(inner, property):
                yield f"### `{short}.{key}`\n"
            elif inspect.isfunction(inner):
                yield f"### `{'await ' * inspect.iscoroutinefunction(inner)}{short}.{key}{signature(inner)}`\n"
            else:
                continue
            yield text_of(inner)


def signature(function: Any) -> str:
    """Arguments and result without `self`."""
    found = inspect.signature(function)
    kept = [each for each in found.parameters.values() if each.name not in ("self", "cls")]
    text = str(found.replace(parameters=kept))
    return re.sub(r"'([^']*)'", lambda match: match[1], re.sub(r" = ", "=", text))


def first_line(thing: Any) -> str:
    """The first sentence of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def text_of(thing: Any) -> str:
    """A docstring in Markdown: arguments and errors as lists, examples as code."""
    lines: list[str] = []
    listing = code = False
    for line in (inspect.getdoc(thing) or "").splitlines():
        if code and not line.strip():
            lines.append("```")
            code = False
        if line.startswith(">>>") and not code:
            lines.append("```python")
            code = True
        if code:
            lines.append(line)
        elif line in ("Args:", "Returns:", "Raises:"):
            lines += [f"{line.removesuffix(':')}:", ""]
            listing = True
        elif listing and re.match(r" {4}\S", line):
            name, colon, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}" if colon and " " not in name.replace(", ", "") else f"- {line.strip()}")
        else:
            listing = listing and bool(line.strip())
            lines.append(line.strip() if not listing else f"  {line.strip()}")
    if code:
        lines.append("```")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    made = page()
    if "--check" in sys.argv:
        there = PAGE.read_text(encoding="utf-8")
        lines = difflib.unified_diff(there.splitlines(), made.splitlines(), "docs/api.md", "docstrings", lineterm="")
        raise SystemExit("\n".join(["docs/api.md is old: python docs/make_api.py", *lines]) if there != made else 0)
    PAGE.write_text(made, encoding="utf-8")
