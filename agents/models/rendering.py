"""The one rendering: how messages become tokens and tokens a turn again, the same for training and for serving.

Two renderings are how students fail in silence: Qwen3's own template, say, drops the empty thought of earlier turns and
TRL's training template keeps it, so a student would be served text that it never saw. Here a tokenizer is opened once,
with one template (its own, TRL's training template for the known families, a bundled one, or a file that the user
names) and its response template; the exported student carries both.

What a model wrote never raises: a call that cannot be read becomes an entry of `invalid`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ProofError, SeatError, need
from ..text import first_line
from .templates import template_text, tokens_missing
from .weights import weights_anew

Message = Mapping[str, Any]
SPARE = re.compile("pad|reserved|endoftext", re.IGNORECASE)
HERMES = re.compile(r"<tool_call>\s*(?:[{\[`'\"“]|<function=)|<function=")
"""Where a call in Hermes' tags begins. Other families (GLM) write a name behind the same tag."""
MARKER = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True)
class Call:
    """A tool call that can be carried out."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class InvalidCall:
    """What was meant as a tool call and is none."""

    text: str
    """As the model wrote it."""
    error: str


@dataclass(frozen=True)
class ParsedTurn:
    """An assistant turn read back from tokens."""

    content: str
    tool_calls: tuple[Call, ...] = ()
    invalid: tuple[InvalidCall, ...] = ()
    reasoning: str | None = None
    mended: tuple[str, ...] = ()
    """Names of what was mended in the calls (`agents.toolcalls.MENDS`)."""


def load_tokenizer(path: str | Path, *, chat_template: str | Path | None = None, training: bool = False) -> Any:
    """Open the tokenizer of a model folder or hub id with the one template.

    Args:
        path: Model folder, adapter folder with a tokenizer, or hub id.
        chat_template: A Jinja file, or the name of a bundled template, in place of the tokenizer's own.
        training: Also demand a pad token other than the end-of-turn token.

    Raises:
        MissingExtra: transformers is not installed.
        SeatError: no tokenizer there, no template in it, or `chat_template` cannot be read or does not suit it.
        ProofError: `training`, and every token that could pad ends a turn.
    """
    transformers = need("transformers", "train")
    try:
        tok = transformers.AutoTokenizer.from_pretrained(str(path))
    except Exception as error:  # tokenizers raises plain Exceptions for files that it cannot parse
        raise SeatError(f"no tokenizer in {str(path)!r} ({first_line(error)}): {weights_anew(str(path))}") from error
    if chat_template is not None:
        problem = tokens_missing(tok, chat_template)
        if problem:
            raise SeatError(f"{str(path)!r} cannot take this chat_template: {problem}")
        tok.chat_template = template_text(chat_template)
        tok.response_template = None  # that of the other template
    if isinstance(tok.chat_template, dict):
        tok.chat_template = tok.chat_template.get("default")
    if not tok.chat_template:
        raise SeatError(
            f'{str(path)!r} has no chat template: set [student] chat_template = "chatml", or name a Jinja file there'
        )
    _settle_template(tok)
    _settle_pad(tok, str(path), training)
    return tok


def render(
    tok: Any, messages: Sequence[Message], tools: Sequence[Any] | None, add_generation_prompt: bool
) -> list[int]:
    """Messages as token ids, with the opening of an assistant turn where `add_generation_prompt`.

    Raises:
        SeatError: the template raises on these messages.
    """
    rows = plain(tok, messages)
    try:
        ids: list[int] = tok.apply_chat_template(
            rows,
            tools=list(tools) if tools else None,
            add_generation_prompt=add_generation_prompt,
            tokenize=True,
            return_dict=False,
        )
    except Exception as error:  # a template is a program of somebody else's
        roles = ", ".join(row["role"] for row in rows)
        raise SeatError(
            f"the chat template of {tok.name_or_path!r} raises on {roles}: {first_line(error)}; set [student] "
            'chat_template = "chatml", or [student] transport = "text"'
        ) from error
    return ids


def plain(tok: Any, messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages with only what templates read, the same from a data file and from a running episode.

    Ids of calls are left out, a tool message gets the name of the call it answers, and a control token written in a
    text (a manual about chat templates holds some) is broken up so that it stays text.
    """
    out: list[dict[str, Any]] = []
    waiting: list[str] = []
    for message in messages:
        row: dict[str, Any] = {
            "role": message["role"],
            "content": escape_special_tokens(tok, message.get("content") or ""),
        }
        if message.get("reasoning_content"):
            row["reasoning_content"] = escape_special_tokens(tok, message["reasoning_content"])
        if message.get("tool_calls"):
            functions = [call["function"] for call in message["tool_calls"]]
            row["tool_calls"] = [
                {"type": "function", "function": {"name": each["name"], "arguments": _arguments(each["arguments"])}}
                for each in functions
            ]
            waiting = [each["name"] for each in functions]
        if message["role"] == "tool":
            expected = waiting.pop(0) if waiting else None
            name = message.get("name") or expected
            if name:
                row["name"] = name
        out.append(row)
    return out


def escape_special_tokens(tok: Any, text: str) -> str:
    """`text` with the tokenizer's control tokens broken by a space after their first character."""
    for token in tok.all_special_tokens:
        if len(token) > 1 and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def stop_ids(tok: Any) -> list[int]:
    """Token ids that end a turn: the tokenizer's end token and what its template closes an assistant turn with."""
    stops = [tok.eos_token_id, turn_end(tok)]
    return list(dict.fromkeys(int(each) for each in stops if each is not None))


def turn_end(tok: Any) -> int | None:
    """Token id that closes an assistant turn; base checkpoints often declare another one as their end token."""
    closing = _closing_token(tok)
    if closing is None and tok.eos_token_id is not None:
        return int(tok.eos_token_id)
    return closing


def parse(
    tok: Any, ids: Sequence[int], prompt_ids: Sequence[int], tools: Sequence[Any] | None, *, cut: bool = False
) -> ParsedTurn:
    """Read a generated turn.

    Calls in Hermes' tags are read as an endpoint's are, by the transport's own reader (agents/toolcalls/hermes.py);
    those of other families by the tokenizer's response template.

    Args:
        tok: From `load_tokenizer`.
        ids: Generated token ids, with or without the closing token.
        prompt_ids: What they were generated from; templates may open a thought there.
        tools: JSON schemas; arguments are typed by them.
        cut: The turn ended at its token limit.
    """
    text: str = tok.decode(list(ids))
    prefix: str = tok.decode(list(prompt_ids))
    whole = f"<think>\n{text}" if prefix.rstrip().endswith("<think>") else text
    if getattr(tok, "response_template", None) is None or HERMES.search(text):
        return parse_hermes(tok, whole, tools, cut=cut)
    try:
        parsed = tok.parse_response(text, prefix=prefix, tools=list(tools) if tools else None)
    except Exception as error:
        turn = parse_hermes(tok, whole, tools, cut=cut)
        if turn.tool_calls or turn.invalid:
            return turn
        return ParsedTurn(turn.content, (), (InvalidCall(text, first_line(error)),), turn.reasoning)
    if not isinstance(parsed, dict):
        return parse_hermes(tok, whole, tools, cut=cut)
    calls, invalid = _sorted_calls(parsed.get("tool_calls"))
    content, reasoning = parsed.get("content"), parsed.get("reasoning_content")
    if not calls and "<tool_call>" in text:
        return parse_hermes(tok, whole, tools, cut=cut)
    return ParsedTurn(
        _without_special(tok, content if isinstance(content, str) else ""),
        calls,
        invalid,
        reasoning.strip() or None if isinstance(reasoning, str) else None,
    )


def parse_hermes(tok: Any, text: str, tools: Sequence[Any] | None = None, *, cut: bool = False) -> ParsedTurn:
    """Read `<think>..</think>`, calls in Hermes' tags and text, as `parse` reads them."""
    from ..toolcalls import hermes
    from ..toolcalls.calls import Offer
    from ..toolcalls.reply import without_thought

    for stop in stop_ids(tok):
        text = text.partition(tok.convert_ids_to_tokens(stop))[0]
    rest, thought = without_thought(text)
    content, drafts, mended = hermes.parse(rest, Offer(tools or ()), cut=cut)
    return ParsedTurn(
        _without_special(tok, content),
        tuple(Call(each.name or "", each.args) for each in drafts if each.args is not None),
        tuple(InvalidCall(each.written, each.error or "") for each in drafts if each.args is None),
        thought or None,
        tuple(mended),
    )


def _sorted_calls(raw: Any) -> tuple[tuple[Call, ...], tuple[InvalidCall, ...]]:
    """Calls of the right shape, and the rest by name of what is wrong."""
    calls: list[Call] = []
    invalid: list[InvalidCall] = []
    if raw is not None and not isinstance(raw, list):
        raw = [raw]
    for each in raw or []:
        function = each.get("function", each) if isinstance(each, dict) else each
        error = None
        if not isinstance(function, dict):
            error = f"a JSON {type(function).__name__} where an object with name and arguments is expected"
        elif not isinstance(function.get("name"), str) or not function["name"]:
            error = "no name"
        elif not isinstance(function.get("arguments", {}), dict):
            error = "arguments are no object"
        if error is None:
            calls.append(Call(function["name"], function.get("arguments") or {}))
        else:
            invalid.append(InvalidCall(json.dumps(function, ensure_ascii=False, default=str), error))
    return tuple(calls), tuple(invalid)


def _arguments(value: Any) -> Any:
    """Arguments as a dict, also where a file keeps them as a JSON string."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _without_special(tok: Any, text: str) -> str:
    for token in tok.all_special_tokens:
        text = text.replace(token, "")
    return text.strip()


def marked(tok: Any) -> bool:
    """Whether the template marks what the assistant writes, so that TRL can mask by it."""
    return MARKER.search(tok.chat_template) is not None


def _settle_template(tok: Any) -> None:
    """Give `tok` markers and a response template where they can be had."""
    parsing = getattr(tok, "response_template", None) is not None
    if marked(tok) and parsing:
        return
    try:
        from trl import chat_template_utils as known
    except ImportError:
        return
    if not parsing:
        try:
            known.add_response_schema(tok)  # by the original template, so before that is replaced
        except ValueError:
            tok.response_template = None
    if not marked(tok):
        with suppress(ValueError):
            tok.chat_template = known.get_training_chat_template(tok) or tok.chat_template


def _settle_pad(tok: Any, path: str, training: bool) -> None:
    """A pad token that ends no turn: the tokenizer's own, or a spare control token."""
    end = turn_end(tok)
    if tok.pad_token_id is not None and tok.pad_token_id != end:
        return
    spare = [tok.unk_token, *tok.get_added_vocab()]
    for token in spare:
        usable = token is not None and (token == tok.unk_token or SPARE.search(token))
        if usable and tok.convert_tokens_to_ids(token) != end:
            tok.pad_token = token
            return
    if training:
        raise ProofError(
            f"the tokenizer of {path!r} pads with its end-of-turn token, so a student would never learn to stop: "
            "set another pad_token in its tokenizer_config.json"
        )
    tok.pad_token_id = end or 0


def _closing_token(tok: Any) -> int | None:
    """The control token with which the template closes an assistant turn; None where it closes with text."""
    cached: dict[str, int | None] = tok.__dict__.setdefault("_retort_closing", {})
    if tok.chat_template not in cached:
        probe = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
        try:
            ids = tok.apply_chat_template(probe, tokenize=True, return_dict=False)
        except Exception:
            ids = []
        added = set(tok.get_added_vocab().values())
        tail = [each for each in ids[-3:] if tok.decode([each]).strip()]
        cached[tok.chat_template] = tail[-1] if tail and tail[-1] in added else None
    return cached[tok.chat_template]
