"""From what a model wrote to the call of an offered tool: name, arguments, what was mended, or why there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from .lenient import Reader, read, read_all, skip

MAX_RAW = 4000
"""Characters of an unreadable call that are kept."""
NAMES = ("name", "tool_name", "tool", "function_name", "function", "action")
ARGUMENTS = ("arguments", "parameters", "args", "input", "params", "kwargs", "action_input")
_NOTHING = {"", "none", "null", "n/a", "{}", "[]", "no input", "(none)"}
_KINDS = {int: "a number", float: "a number", bool: "true or false", list: "a list"}
_BRACKET = re.compile(r"[`*\"']{0,3}([A-Za-z_][\w.-]{0,63})[`*\"']{0,3} ?([\[(])")
_PAIR = re.compile(r"\s*[\"']?([A-Za-z_]\w{0,63})[\"']?\s*[=:]")
_NAMED = re.compile(r"[\"']name[\"']\s{0,9}:\s{0,9}[\"']([\w.-]{1,64})[\"']")
_MARKS = "`*_\"' \t\r\n:.,;[](){}<>"
_PREFIXES = ("functions.", "function.", "tools.", "tool.", "functions:", "tool:")


class Offer:
    """Names and parameters of offered tools (JSON schemas in OpenAI's form)."""

    def __init__(self, tools: Sequence[dict[str, Any]]) -> None:
        self.parameters: dict[str, dict[str, Any]] = {}
        for tool in tools:
            function = tool.get("function", tool)
            self.parameters[function["name"]] = function.get("parameters") or {}

    def named(self, name: str) -> str | None:
        """The offered tool that a model means by `name`; None where there is none."""
        if name in self.parameters:
            return name
        if len(name) > 200:
            return None
        bare = name.strip(_MARKS)
        for prefix in _PREFIXES:
            bare = bare.removeprefix(prefix)
        if bare in self.parameters:
            return bare
        same = [each for each in self.parameters if each.casefold() == bare.casefold()]
        return same[0] if len(same) == 1 else None

    def known(self, tool: str | None) -> set[str]:
        """Names of a tool's arguments."""
        return set(self.parameters.get(tool or "", {}).get("properties") or ())

    def kind(self, tool: str | None, argument: str) -> Any:
        """The JSON type of an argument; None where the schema does not say."""
        found = (self.parameters.get(tool or "", {}).get("properties") or {}).get(argument)
        return found.get("type") if isinstance(found, dict) else None

    def sole(self, tool: str | None) -> str | None:
        """The argument of a tool that requires exactly one, a string: plain words can only be meant for it."""
        required = self.parameters.get(tool or "", {}).get("required") or []
        return required[0] if len(required) == 1 and self.kind(tool, required[0]) == "string" else None


class Draft(NamedTuple):
    """A call as far as it could be read."""

    name: str | None
    args: dict[str, Any] | None
    """None where it cannot be read; `raw` and `error` say more then."""
    raw: str = ""
    error: str | None = None
    id: str | None = None
    written: str = ""
    """An unreadable call of the Hermes form as it stands in the reply, its tags included."""


class Drafts(NamedTuple):
    """What a text that should be a call holds."""

    calls: list[Draft]
    mended: list[str]
    rest: str = ""
    """Words behind the call."""


class Parsed(NamedTuple):
    """A reply taken apart."""

    content: str
    calls: list[Draft]
    mended: list[str]


def unreadable(name: str | None, raw: str, why: str) -> Drafts:
    """The drafts of a text that is no call."""
    return Drafts([Draft(name, None, raw.strip()[:MAX_RAW], why)], [])


def offered_name(name: str, offer: Offer, mended: list[str]) -> str:
    """The offered tool that is meant, or the name as it was written."""
    found = offer.named(name)
    if found is not None and found != name:
        mended.append("tool_name")
    return found or " ".join(name.split())[:200]


def called_with(name: str, raw: str, offer: Offer, *, cut: bool = False) -> Drafts:
    """The calls of tool `name` for which a text holds the arguments: an object, several, JSON in a string, plain words.

    Args:
        cut: the reply was cut off behind this text, so a missing end is no slip of the model's.
    """
    mended: list[str] = []
    name = offered_name(name, offer, mended)
    if raw.strip().lower() in _NOTHING:
        return Drafts([Draft(name, {})], mended if raw.strip() == "{}" else [*mended, "no_input"])
    try:
        found = read_all(raw)
        mended += found.mended
        if cut and "unclosed" in found.mended:
            raise ValueError("the reply was cut off within it")
        if not found.values:
            text, rest = _plain(raw if "fence" not in found.mended else found.rest.strip("`\n "), mended)
            if cut and not rest:
                raise ValueError("the reply was cut off within it")
            return Drafts([Draft(name, from_value(text, name, offer, mended))], mended, rest)
        calls = [Draft(name, from_value(value, name, offer, mended)) for value in found.values]
    except ValueError as error:
        return unreadable(name, raw, f"the arguments of {name[:64]} are no JSON object: {error}")
    return Drafts(calls, [*mended, *(["several_objects"] if len(calls) > 1 else [])], found.rest)


def _plain(raw: str, mended: list[str]) -> tuple[str, str]:
    """The words of an input that is no object, and what stands behind them: another paragraph, or text after quotes."""
    text = raw.strip()
    if text[:1] in ('"', "'", "“"):
        try:
            found = read(text)
        except ValueError:
            pass
        else:
            if isinstance(found.value, str) and (text[found.end :][:1] in ("", "\n")):
                mended += found.mended
                return found.value, text[found.end :].strip()
    head, _, rest = text.partition("\n\n")
    return head.strip(), rest.strip()


BROKEN_JSON = re.compile(r"[{}]|[\"']\s*:")


def from_value(value: Any, name: str | None, offer: Offer, mended: list[str]) -> dict[str, Any]:
    """The arguments that a value means.

    Raises:
        ValueError: none; the message says why, in words for the model.
    """
    for _ in range(4):  # a string in a string in a string is still read
        if isinstance(value, dict):
            inner = _wrapped(value, name, offer)
            if inner is None:
                return value
            mended.append("wrapped")
            value = inner[0]
        elif value is None:
            mended.append("no_input")
            return {}
        elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            mended.append("wrapped")
            value = value[0]
        elif isinstance(value, str):
            argument = offer.sole(name)
            text = value.strip()
            if text.startswith(("{", "```", '"{')):
                found = read_all(text) if not text.startswith('"') else None
                values = found.values if found else [read(text).value]
                if len(values) != 1:
                    raise ValueError("it is a string, and not one object")
                mended += ["double_encoded", *(found.mended if found else [])]
                value = values[0]
            elif argument is None or not text:
                raise ValueError("it is a string; name each argument")
            elif BROKEN_JSON.search(text):  # plain words hold no such thing, and a broken object is no query
                raise ValueError("it is neither a JSON object nor plain words")
            else:
                mended.append("plain_input")
                return {argument: value}
        else:
            break
    raise ValueError(f"it is {_KINDS.get(type(value), 'too many strings in strings')}")


def _wrapped(args: dict[str, Any], name: str | None, offer: Offer) -> tuple[Any] | None:
    """What stands one level too deep in arguments, as a tuple of one; None where nothing does."""
    keys = set(args)
    if not keys or keys & offer.known(name):
        return None
    if len(keys) == 1 and (key := next(iter(keys))) in ARGUMENTS and isinstance(args[key], (dict, str)):
        return (args[key],)
    label = next((key for key in NAMES if args.get(key) == name), None)
    inner = next((key for key in ARGUMENTS if key in keys), None)
    return (args[inner],) if label is not None and inner is not None and keys == {label, inner} else None


def object_calls(body: str, offer: Offer, *, cut: bool = False) -> Drafts:
    """The calls of a text that should hold `{"name": ..., "arguments": ...}`, once or several times."""
    guess = _NAMED.search(body[:MAX_RAW])
    name = guess.group(1) if guess else None
    try:
        found = read_all(body)
        if cut and "unclosed" in found.mended:
            raise ValueError("the reply was cut off within it")
    except ValueError as error:
        return unreadable(name, body, f"the call is not valid JSON: {error}")
    if not found.values:
        return bracket_call(body, offer, cut=cut) or unreadable(name, body, 'write {"name": ..., "arguments": {...}}')
    mended = list(found.mended)
    try:
        calls = [from_object(value, offer, mended) for value in found.values]
    except ValueError as error:
        return unreadable(name, body, str(error))
    return Drafts(calls, [*mended, *(["several_objects"] if len(calls) > 1 else [])], found.rest)


def from_object(value: Any, offer: Offer, mended: list[str], *, strict: bool = False) -> Draft:
    """The call that an object means.

    Args:
        strict: it must name an offered tool and have a part for the arguments.

    Raises:
        ValueError: none; the message says why, in words for the model.
    """
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
        mended.append("wrapped")
    if not isinstance(value, dict):
        raise ValueError('the call is no object {"name": ..., "arguments": {...}}')
    label = next((key for key in NAMES if isinstance(value.get(key), str)), None)
    if label is None:
        raise ValueError('the call names no tool: write {"name": ..., "arguments": {...}}')
    text = value[label]
    part = next((key for key in ARGUMENTS if key in value and key != label), None)
    if strict and (part is None or offer.named(text) is None):
        raise ValueError(f"there is no call of an offered tool in {text[:64]!r}")
    name = offered_name(text, offer, mended)
    if part is None:
        flat = {key: each for key, each in value.items() if key not in (label, "id", "type")}
        mended += ["argument_names"] if flat else ["no_input"]
        return Draft(name, flat)
    if (label, part) != ("name", "arguments"):
        mended.append("argument_names")
    try:
        return Draft(name, from_value(value[part], name, offer, mended))
    except ValueError as error:
        raise ValueError(f"the arguments of {name[:64]} are no JSON object: {error}") from None


def bracket_call(body: str, offer: Offer, *, cut: bool = False) -> Drafts | None:
    """The call in `name[...]` or `name(...)`; None where the text is no such thing or names no offered tool."""
    text = body.strip()
    head = _BRACKET.match(text)
    if head is None or offer.named(head.group(1)) is None:
        return None
    mended = ["bracket_call"]
    name = offered_name(head.group(1), offer, mended)
    closing = "]" if head.group(2) == "[" else ")"
    pair = _PAIR.match(text, head.end())
    try:
        if pair and pair.group(1) in offer.known(name):
            reader = Reader(text, head.end() - 1)
            args, at = reader.members(closing, 0), reader.at
            mended += reader.mended
        elif text.startswith("{", skip(text, head.end())):
            found = read(text, skip(text, head.end()))
            args, at = from_value(found.value, name, offer, mended), skip(text, found.end)
            closed = text.startswith(closing, at)
            mended += found.mended if closed else [*found.mended, "unclosed"]
            at += closed
        else:
            inner, at = _inside(text, head.end(), closing, mended)
            plain = called_with(name, inner, offer)
            if plain.calls[0].args is None:
                return plain
            args = plain.calls[0].args
            mended += plain.mended
        if cut and "unclosed" in mended:
            raise ValueError("the reply was cut off within it")
    except ValueError as error:
        return unreadable(name, text, f"the arguments of {name[:64]} cannot be read: {error}")
    return Drafts([Draft(name, args)], list(dict.fromkeys(mended)), text[at:].strip("`* \n"))


def _inside(text: str, start: int, closing: str, mended: list[str]) -> tuple[str, int]:
    """What stands between brackets from `start` on, and the offset behind them; the first line is looked at first."""
    line = text.find("\n", start)
    end = text.rfind(closing, start, line if line >= 0 else len(text))
    if end < 0:
        end = text.rfind(closing, start)
    if end < 0:
        mended.append("unclosed")
        return text[start:], len(text)
    return text[start:end], end + 1
