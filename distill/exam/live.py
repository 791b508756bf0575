"""Scenarios that run on the live Python library: arguments are really bound, examples really evaluated."""

from __future__ import annotations

import ast
import inspect
import json
import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from agents.answers import normalise
from agents.corpus.sources.examples import qualified
from agents.corpus.sources.modules import load
from agents.corpus.sources.signatures import signature_of, value_text

from .drafts import Draft, ModuleOf, draft
from .evidence import Known
from .kinds import Material, QuestionKind, question_kinds
from .levels import parameter

LONG_CALL = 70
"""Characters above which a call is left out: it would make the question too long for a small reader."""
SET_DRAFTS = 0.12
"""Share of the drafts that ask for what was set (scenarios.py says why there are some, and few)."""
SECONDS = 10.0
"""For all examples together, in their own process."""

_RESULT = re.compile(r"^result of `(.+)`$")
_RUN = """
import importlib, json, sys
rows = json.load(sys.stdin)
out = []
for modules, source in rows:
    names = {}
    try:
        for module in modules:
            importlib.import_module(module)
            names[module.partition(".")[0]] = sys.modules[module.partition(".")[0]]
        out.append(repr(eval(compile(source, "example", "eval"), names)))
    except Exception:
        out.append(None)
sys.stdout = sys.__stdout__
print(json.dumps(out))
"""


def resolve(entity: str, module: str | None) -> Any:
    """The object that an entity names, or None."""
    where = module or "builtins"
    value: Any = load(where)
    path = entity if where == "builtins" else entity.removeprefix(where + ".")
    for part in path.split("."):
        value = getattr(value, part, None)
        if value is None:
            return None
    return value


class _Given:
    """Stands for an argument that the question leaves open, e.g. `obj`."""

    def __init__(self, name: str) -> None:
        self.name = name


def bound(source: str, signature: inspect.Signature, asked: str) -> str | None:
    """The value of parameter `asked` inside the call `source`, as text: the call is parsed and bound, not guessed.

    None where the call does not bind, or the value has no stable text.
    """
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)

    def value(node: ast.expr) -> Any:
        return _Given(node.id) if isinstance(node, ast.Name) else ast.literal_eval(node)

    try:
        args = [value(node) for node in call.args]
        arguments = signature.bind(*args, **{str(word.arg): value(word.value) for word in call.keywords})
    except (TypeError, ValueError):
        return None
    arguments.apply_defaults()
    found = arguments.arguments.get(asked, _Given(asked))
    return None if isinstance(found, _Given) else value_text(found)


def settable(signature: inspect.Signature) -> list[str]:
    """Parameters with a stable default that a caller can set by name."""
    return [
        p.name
        for p in signature.parameters.values()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and p.default is not p.empty
        and not p.name.startswith("_")
        and value_text(p.default) is not None
    ]


def required(signature: inspect.Signature) -> tuple[list[str], list[str]]:
    """(positional, keyword-only) names of the parameters without a default."""
    bare = [p for p in signature.parameters.values() if p.default is p.empty]
    positional = [p.name for p in bare if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return positional, [p.name for p in bare if p.kind is p.KEYWORD_ONLY]


def other_value(default: Any, rng: random.Random) -> str:
    """A value to set that is not the default: of its type, or a small number where the default is None."""
    if isinstance(default, bool):
        return repr(not default)
    if isinstance(default, int):
        return repr(rng.choice([n for n in (0, 1, 2, 3, 4, 5, 8, 10, 16, 64, 100) if n != default]))
    if isinstance(default, float):
        return repr(rng.choice([n for n in (0.1, 0.5, 2.0, 5.0, 30.0) if n != default]))
    if isinstance(default, str):
        return repr(rng.choice([text for text in ("x", "a", "b", "ascii", "w", "-") if text != default]))
    return rng.choice(["1", "2", "5", "10", "True", "False", "'x'"])


def calls(known: Sequence[Known], rng: random.Random, module_of: ModuleOf) -> list[Draft]:
    """Which value a parameter has inside a call that sets another one, or this one."""
    by_entity: dict[str, list[Known]] = defaultdict(list)
    for item in known:
        if parameter(item) is not None:
            by_entity[item.fact.entity].append(item)
    found: list[Draft] = []
    for entity, members in by_entity.items():
        signature = signature_of(resolve(entity, members[0].fact.module))
        if signature is None:
            continue
        names = settable(signature)
        for item in members:
            made = _call(item, signature, names, rng, module_of)
            if made is not None:
                found.append(made)
    rng.shuffle(found)
    return found


def _call(
    item: Known, signature: inspect.Signature, names: Sequence[str], rng: random.Random, module_of: ModuleOf
) -> Draft | None:
    asked = parameter(item)
    assert asked is not None
    positional, keyword = required(signature)
    others = [name for name in names if name != asked]
    changed = asked if asked in names and rng.random() < SET_DRAFTS else rng.choice(others or [""])
    words = [*positional, *(f"{name}={name}" for name in keyword)]
    stated = ""
    if changed:
        stated = other_value(signature.parameters[changed].default, rng)
        words.append(f"{changed}={stated}")
    source = f"{item.fact.entity}({', '.join(words)})"
    if len(source) > LONG_CALL:
        return None
    gold = bound(source, signature, asked)
    if gold is None or (changed != asked and normalise(gold) != normalise(item.fact.value)):
        return None
    if changed != asked and stated and normalise(stated) == normalise(gold):
        return None  # the answer would stand in the question by accident
    question = rng.choice(
        (
            f"A program calls `{source}`. Which value does its parameter `{asked}` have inside the call?",
            f"A program calls `{source}`. What is `{asked}` inside the call?",
        )
    )
    return draft("call", "consultant", question, gold, [item], module_of, stated=(stated,) if stated else ())


def evaluate(rows: Sequence[tuple[Sequence[str], str]], seconds: float = SECONDS) -> list[str | None]:
    """The value of every (modules, expression) as text, all in one process; None for what fails or takes too long."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _RUN], input=json.dumps(rows), capture_output=True, text=True, timeout=seconds
        )
        values = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        return [None] * len(rows)
    return list(values)


def runnable(item: Known) -> str | None:
    """The expression of an example's fact as a program would write it; None for other facts."""
    match = _RESULT.match(item.fact.attribute)
    return qualified(match.group(1), item.fact.entity) if match and item.fact.kin == "example" else None


def examples(known: Sequence[Known], rng: random.Random, module_of: ModuleOf) -> list[Draft]:
    """What the manual's own examples return; kept where running them gives what the manual says."""
    pool = [(item, whole) for item in known if (whole := runnable(item)) is not None]
    values = evaluate([([item.fact.module or "builtins"], whole) for item, whole in pool])
    found = [
        draft("example", "consultant", f"What does `{whole}` return?", value, [item], module_of)
        for (item, whole), value in zip(pool, values, strict=True)
        if value is not None and value == item.fact.value
    ]
    rng.shuffle(found)
    return found


@question_kinds.register("example")
class Example(QuestionKind):
    """What an example of the documentation returns."""

    name = "example"
    level = "consultant"
    share = 0.1  # 41 examples are all that the standard library gives
    families = ("example",)
    executes = True

    def drafts(self, material: Material) -> list[Draft]:
        """One question for each example that gives what the documentation says."""
        return examples(material.facts, material.rng, material.module_of)


@question_kinds.register("call")
class Call(QuestionKind):
    """The value of a parameter inside a call."""

    name = "call"
    level = "consultant"
    executes = True

    def drafts(self, material: Material) -> list[Draft]:
        """One question for each default of a parameter."""
        return calls(material.facts, material.rng, material.module_of)
