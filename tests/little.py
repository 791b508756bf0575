"""A little made-up microdomain for tests: the manual of a kettle, 72 settings on 6 pages, and its facts."""

from __future__ import annotations

import json
from pathlib import Path

from agents.context import Board, Context, Seat, Team
from agents.corpus.documents import Document
from agents.corpus.library import Library
from agents.files import write_json, write_jsonl
from agents.task import Hop, Task

MODULES = ("heater", "pump", "valve", "panel", "alarm", "radio")
NAMES = (
    "limit",
    "delay",
    "margin",
    "rate",
    "floor",
    "ceiling",
    "window",
    "backoff",
    "burst",
    "cooldown",
    "drain",
    "idle",
)
KINDS = ("number", "duration", "flag", "text")


def settings() -> list[dict[str, str]]:
    """72 settings: name, module, and four attributes each."""
    rows = []
    for m, module in enumerate(MODULES):
        for n, name in enumerate(NAMES):
            i = m * len(NAMES) + n
            default = (str(3 + 7 * i), f"{2 + 3 * i}ms")[i % 2]
            rows.append(
                {
                    "entity": f"{module}_{name}",
                    "module": module,
                    "default": default,
                    "release": f"{1 + i % 5}.{i % 9}.{i % 4}",
                    "kind": KINDS[i % 4],
                }
            )
    return rows


def pages() -> dict[str, str]:
    """File name -> Markdown."""
    found = {}
    for module in MODULES:
        parts = [f"# The {module}\n\nSettings of the {module} of the kettle.\n"]
        for row in settings():
            if row["module"] == module:
                parts.append(
                    f"## `{row['entity']}`\n\nDefault: {row['default']}\n\nAdded in: {row['release']}\n\n"
                    f"Kind: {row['kind']}\n\nSets how the {module} behaves while the water is warming up.\n"
                )
        found[f"{module}.md"] = "\n".join(parts)
    return found


def write_microdomain(folder: Path) -> Path:
    """Write manual/ and facts.jsonl; returns `folder`."""
    for name, text in pages().items():
        path = folder / "manual" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    lines = []
    for row in settings():
        for attribute, key in (("default", "default"), ("added in version", "release"), ("kind", "kind")):
            fact = {"entity": row["entity"], "attribute": attribute, "value": row[key]}
            fact |= {"source": f"manual/{row['module']}.md", "section": f"`{row['entity']}`", "module": row["module"]}
            lines.append(json.dumps(fact))
    (folder / "facts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def library() -> Library:
    """The kettle's library."""
    documents = [
        Document(id=name.removesuffix(".md"), title=f"The {name.removesuffix('.md')}", text=text, source=name)
        for name, text in pages().items()
    ]
    return Library.build(documents)


def chunk_of(entity: str, made: Library) -> str:
    """Id of the chunk that describes a setting."""
    return next(chunk.id for chunk in made.chunks if chunk.title.endswith(f"> {entity}"))


def tasks(made: Library) -> list[Task]:
    """One look-up a setting, by hand: even ones to train, odd ones held out; and one question over two settings."""
    found = []
    rows = settings()
    for i, row in enumerate(rows):
        hop = Hop(
            entity=row["entity"],
            attribute="default",
            value=row["default"],
            quote=f"Default: {row['default']}",
            chunk=chunk_of(row["entity"], made),
            title=f"The {row['module']} > {row['entity']}",
        )
        wrong = [rows[(i + step) % len(rows)]["default"] for step in (2, 4, 6)]
        options = wrong[: i % 4] + [row["default"]] + wrong[i % 4 :]
        found.append(
            Task(
                id=f"t{i:03}",
                question=f"What is the default of `{row['entity']}`?",
                options=tuple(options),
                gold=row["default"],
                level="engineer",
                kind="lookup",
                entities=(row["entity"],),
                group=row["entity"],
                evidence=(hop.chunk,),
                hops=(hop,),
                split="train" if i % 2 == 0 else "test",
            )
        )
    a, b = found[0], found[2]
    found.append(
        Task(
            id="pair0",
            question="What are the defaults of `heater_limit` and `heater_margin`?",
            options=(f"{a.gold} and {b.gold}", f"{b.gold} and {a.gold}", "1 and 2", "2 and 1"),
            gold=f"{a.gold} and {b.gold}",
            level="professional",
            kind="pair",
            entities=(*a.entities, *b.entities),
            group="heater_limit",
            evidence=(*a.evidence, *b.evidence),
            hops=(*a.hops, *b.hops),
        )
    )
    return found


def lookups(made: Library, count: int) -> list[Task]:
    """`count` training look-ups over all settings and their three attributes, then over the same in other words."""
    found = []
    rows = settings()
    shown = {"default": "Default", "release": "Added in", "kind": "Kind"}
    asked = ("What is the {} of `{}`?", "Tell me the {} of `{}`, please.")
    for number in range(count):
        wording, rest = divmod(number, len(rows) * len(shown))
        name, key = rows[rest % len(rows)]["entity"], list(shown)[rest // len(rows)]
        row = rows[rest % len(rows)]
        hop = Hop(
            entity=name,
            attribute=shown[key].lower(),
            value=row[key],
            quote=f"{shown[key]}: {row[key]}",
            chunk=chunk_of(name, made),
            title=f"The {row['module']} > {name}",
        )
        others = sorted({other[key] for other in rows} - {row[key]})[:3]
        at = number % 4 if len(others) == 3 else 0
        found.append(
            Task(
                id=f"l{number:03}",
                question=asked[wording].format(shown[key].lower(), name),
                options=(*others[:at], row[key], *others[at:]),
                gold=row[key],
                level="engineer",
                kind="lookup",
                entities=(name,),
                group=name,
                evidence=(hop.chunk,),
                hops=(hop,),
            )
        )
    return found


def write_run(folder: Path) -> Path:
    """A run folder with library, exam and held-out list; returns it."""
    made = library()
    made.save(folder / "library")
    every = tasks(made)
    write_jsonl(folder / "exam.jsonl", every)
    barred = sorted({name for task in every if task.split == "test" for name in task.evidence})
    entities = sorted(task.entities[0] for task in every if task.split == "test")
    write_json(folder / "held_out.json", {"entities": entities, "groups": entities, "modules": [], "chunks": barred})
    return folder


def seat(folder: Path, script: list[dict[str, object]]) -> Seat:
    """A seat that plays `script`, written to a file of its own."""
    path = folder / f"script-{abs(hash(json.dumps(script)))}.jsonl"
    write_jsonl(path, script)
    return Seat(model=f"scripted:lines@{path}")


def context(run: Path, reason: Seat | None = None, **changes: object) -> Context:
    """A context over a run folder; the demonstrator plays unless `reason` says otherwise."""
    player = reason or Seat(model=f"scripted:answer-key@{run / 'exam.jsonl'}")
    values: dict[str, object] = {
        "team": Team(name="teacher", reason=player),
        "library": str(run / "library"),
        "board": Board(),
    }
    return Context.model_validate(values | changes)
