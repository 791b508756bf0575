"""Checks a tool call against the schemas that were offered, and says what is wrong in words for the model."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from .schemas import ARGUMENT

WORDS_CHARS = 200
"""Longer words are cut: a validator's own message repeats the whole value."""
_KINDS = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_OPEN_ENDED = {"additionalProperties", "patternProperties", "unevaluatedProperties"}


def call_problem(name: str | None, arguments: Any, tools: Sequence[dict[str, Any]]) -> str | None:
    """What is wrong with a tool call, in words for the model; None where it can be run.

    An argument that a schema does not name is a problem, unless the schema says what becomes of such.
    """
    offered = next((tool["function"] for tool in tools if tool["function"]["name"] == name), None)
    if offered is None:
        return f"there is no tool named {name!r}"
    if name in ARGUMENT:
        return string_problem(ARGUMENT[name], arguments)
    return schema_problem(offered.get("parameters") or {}, arguments)


def string_problem(argument: str, arguments: Any) -> str | None:
    """The same for a tool with one string: a trained student knows these very words."""
    if not isinstance(arguments, dict) or not isinstance(arguments.get(argument), str):
        return f'the argument "{argument}" must be a string'
    if not arguments[argument].strip():
        return f'the argument "{argument}" is empty'
    unknown = sorted(set(arguments) - {argument})
    if unknown:
        return f"unknown argument {unknown[0]!r}"
    return None


def schema_problem(parameters: dict[str, Any], arguments: Any) -> str | None:
    """The same for a tool of any schema."""
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    if not isinstance(arguments, dict):
        return "the arguments must be an object"
    try:
        error = best_match(validator(json.dumps(parameters)).iter_errors(arguments))
    except (re.error, Unresolvable, RecursionError):  # patterns of other dialects: the tool itself will say
        error = None
    if error is not None:
        return in_words(error)[:WORDS_CHARS]
    named = parameters.get("properties")
    unknown = sorted(set(arguments) - set(named)) if named is not None and not _OPEN_ENDED & set(parameters) else []
    return f"unknown argument {unknown[0]!r}" if unknown else None


@lru_cache(maxsize=256)
def validator(schema: str) -> Any:
    """The compiled validator of a schema (as JSON text); it fetches nothing from anywhere.

    Raises:
        jsonschema.SchemaError: it is no JSON schema.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from referencing import Registry

    plain = json.loads(schema)
    kind: Any = validator_for(plain, default=Draft202012Validator)
    kind.check_schema(plain, format_checker=None)  # a pattern of another dialect is no fault of the schema
    return kind(plain, registry=Registry())


def in_words(error: Any) -> str:
    """A validator's finding (jsonschema.ValidationError) in the house's words."""
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path).lstrip(".")
    text = f'the argument "{where}"' if where else "the call"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f'the argument "{where}.{missing}" is missing' if where else f'the argument "{missing}" is missing'
    if error.validator == "type":
        kinds = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
        return f"{text} must be {' or '.join(_KINDS.get(kind, kind) for kind in kinds)}"
    if error.validator == "additionalProperties" and error.validator_value is False:
        named = error.schema.get("properties") or {}
        return f"unknown argument {sorted(set(error.instance) - set(named))[0]!r}"
    if error.validator == "enum":
        values = (json.dumps(value, ensure_ascii=False) for value in error.validator_value)
        return f"{text} must be one of {', '.join(values)}"
    return f"{text}: {error.message}"
