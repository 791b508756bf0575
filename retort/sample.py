"""The sample that `retort new` writes: the manual of a kettle that does not exist, its facts, and a short training.

72 settings on six pages, a heading each, with three attributes each; values are spread so that none can be guessed from
a name. It shows what a manual and a facts.jsonl look like, and runs to a leaderboard before a word of one's own is
written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

PARTS = {
    "heater": "brings the water to the boil",
    "pump": "moves the water past the heater",
    "valve": "lets the water in and out",
    "panel": "shows the temperature and takes orders",
    "alarm": "calls when something is wrong",
    "radio": "talks to the house",
}
"""Part of the kettle, one page each -> what it does."""
SETTINGS = {
    "limit": "The most that the {part} may do in one boiling.",
    "delay": "How long the {part} waits before it begins.",
    "margin": "What the {part} keeps in reserve.",
    "rate": "How often the {part} looks at the probe.",
    "floor": "Below this the {part} does nothing.",
    "ceiling": "Above this the {part} stops.",
    "window": "The span over which the {part} averages.",
    "backoff": "What is added to the wait of the {part} after each failure.",
    "burst": "How much the {part} may do at once.",
    "cooldown": "How long the {part} rests afterwards.",
    "drain": "How long the {part} takes to run empty.",
    "idle": "After so long without an order the {part} sleeps.",
}
"""Last word of a setting's name -> what it says."""
UNITS = ("degrees", "seconds", "millilitres", "watts")
LINES = {
    "[exam]": ("train = 120", "test = 40", "dev = 16"),
    "[student]": ("max_tokens = 48",),
    "[sft]": ('method = "full"', "batch = 8", "max_steps = 20", "lr = 1e-3"),
    "[evaluate]": ("tasks = 16",),
}
"""Section of run.toml -> what the sample sets in it: few questions, few steps."""
CPT = ("[cpt]", 'method = "full"', "max_steps = 4")
MARK = "# of the sample"
"""Ends each line of run.toml that belongs to the sample."""


@dataclass(frozen=True)
class Setting:
    """One setting of the kettle."""

    part: str
    word: str
    default: str
    release: str
    unit: str

    @property
    def name(self) -> str:
        """As the manual writes it."""
        return f"{self.part}_{self.word}"


def settings() -> Iterator[Setting]:
    """The 72 settings, part by part."""
    for m, part in enumerate(PARTS):
        for n, word in enumerate(SETTINGS):
            i = m * len(SETTINGS) + n
            default = (str(3 + 7 * i), f"{2 + 3 * i}ms")[i % 2]
            yield Setting(part, word, default, f"{1 + i % 5}.{i % 9}.{i % 4}", UNITS[i % 4])


def pages() -> dict[str, str]:
    """File name -> Markdown, a part a page."""
    found = {part: f"# The {part}\n\nThe {part} of the kettle {does}.\n" for part, does in PARTS.items()}
    for each in settings():
        found[each.part] += (
            f"\n## `{each.name}`\n\nDefault: {each.default}\n\nAdded in: {each.release}\n\nUnit: {each.unit}\n\n"
            f"{SETTINGS[each.word].format(part=each.part)}\n"
        )
    return {f"{part}.md": text for part, text in found.items()}


def facts() -> str:
    """facts.jsonl: what the pages say, one attribute of one setting a line."""
    rows = []
    for each in settings():
        place = {"source": f"manual/{each.part}.md", "section": f"`{each.name}`", "module": each.part}
        for attribute, value in (
            ("default", each.default),
            ("added in version", each.release),
            ("unit", each.unit),
        ):
            rows.append(json.dumps({"entity": each.name, "attribute": attribute, "value": value, **place}))
    return "\n".join(rows) + "\n"


def with_lines(template: str) -> str:
    """The template of run.toml with the lines of the sample in their sections, each marked."""
    for section, lines in LINES.items():
        marked = "\n".join(f"{line:<26}{MARK}" for line in lines)
        template = template.replace(f"\n{section}\n", f"\n{section}\n{marked}\n", 1)
    return template.rstrip() + "\n\n" + "\n".join(f"{line:<26}{MARK}" for line in CPT) + "\n"
