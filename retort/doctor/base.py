"""Whether the base of a config can become a student, looked at before a teacher is paid: no weights are opened.

The same findings stand in `retort plan` and `retort doctor`, and `retort run` refuses what is broken before it
collects. Its chat template renders a conversation as training and serving do; what does not come out is named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.context import Transport
from agents.errors import MissingExtra, ProofError, RetortError, SeatError, StageError
from agents.install import install_line
from agents.models.bases import TINY_BASE
from agents.models.rendering import load_tokenizer, marked, render, stop_ids
from agents.models.weights import Weights, find_weights
from agents.prompts import every_prompt, prompt
from agents.text import first_line
from agents.tools import SEARCH

from .findings import Finding
from .prompts import CHUNK_CHARS, need

if TYPE_CHECKING:
    from finetune.rows import Row
    from finetune.settings import TrainConfig

    from ..config import RunConfig

TINY_CHARS = 2.6
"""Characters a token of the tiny base's vocabulary, over pages of the standard library."""
FLOATS = ("float32", "bfloat16", "float16")


def base_findings(config: RunConfig, chunk: int = CHUNK_CHARS) -> list[Finding]:
    """The findings on `student.base` and on how it is to be trained; empty where nothing is.

    Args:
        chunk: characters of the library's longest chunk.
    """
    student = config.student
    if not student.stages:
        return []
    try:
        weights = find_weights(student.base)
        found = [*methods(config, weights), *shape(weights)]
        if any(each.severity == "broken" for each in found):
            return found
        settings = declared(weights)
        shipped = student.base == TINY_BASE and set(templates(config)) == {None}
        stated = Words()
        if not shipped:
            more, stated = words(config, weights)
            found += more
        found += [*vocabulary(settings, stated.size), *positions(config, settings, chunk, stated)]
    except MissingExtra as error:
        return [Finding("extra_missing", "broken", str(error), install_line(error.extra))]
    except (SeatError, StageError) as error:
        return [Finding("base_not_opened", "broken", str(error), "a model folder, a hub id, or tiny-base")]
    if any(each.severity == "broken" for each in found):
        return found
    return [*found, Finding("base", "fine", f"{student.base!r} can be trained by {', '.join(student.trainings)}")]


def trained(config: RunConfig) -> Iterator[tuple[str, TrainConfig]]:
    """(section, settings) of each training, in their order."""
    yield from config.trainings()


def templates(config: RunConfig) -> list[str | None]:
    """The chat templates that the base is trained and played with, None for its own; each once."""
    own = config.student.chat_template
    every = [settings.templated(own).chat_template for _, settings in trained(config)]
    if any(arm.team == "base" for arm in config.arms()) and "base" not in config.teams:
        every.append(own)
    return list(dict.fromkeys(every))


def methods(config: RunConfig, weights: Weights) -> list[Finding]:
    """Findings on how the base is trained: 4-bit needs its library, and a full model under it."""
    found = []
    adapter, before = weights.adapter is not None, ""
    for section, settings in trained(config):
        if settings.method == "qlora" and adapter:
            seen = f'{section}.method = "qlora" starts from an adapter, and a 4-bit base takes none'
            under = f'{before}.method = "full", or ' if before else ""
            step = f'{section}.method = "lora", or a full model under it: {under}`retort merge` first'
            found.append(Finding("method", "broken", seen, step))
        elif settings.method == "qlora" and find_spec("bitsandbytes") is None:
            seen = f'{section}.method = "qlora" needs bitsandbytes, which is not installed'
            found.append(Finding("method", "broken", seen, f'{install_line("qlora")}, or {section}.method = "lora"'))
        adapter, before = settings.method != "full", section
    return found


def declared(weights: Weights) -> dict[str, Any]:
    """The base's config.json; raises SeatError where there is none to be had."""
    file = Path(weights.base) / "config.json"
    if file.is_file():
        try:
            settings = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SeatError(f"{file} cannot be read ({error})") from None
    else:
        from agents.errors import need as needed

        try:
            settings = needed("transformers", "train").AutoConfig.from_pretrained(weights.base).to_dict()
        except (OSError, ValueError, KeyError) as error:
            raise SeatError(f"no config can be had of {weights.base!r} ({first_line(error)})") from None
    if not isinstance(settings, dict):
        raise SeatError(f"the config of {weights.base!r} is no object")
    return settings


def shape(weights: Weights) -> list[Finding]:
    """Findings on what kind of model it is, by its config alone."""
    settings = declared(weights)
    text = settings.get("text_config") or settings
    kind, number = settings.get("model_type"), text.get("dtype") or text.get("torch_dtype") or "float32"
    other = "take a base that transformers opens as a causal language model"
    if settings.get("quantization_config"):
        how = settings["quantization_config"].get("quant_method", "unknown")
        seen = f"its weights are quantised ({how}), which can be served and not trained"
        return [
            Finding("base_quantised", "broken", seen, 'take the model it was made from; method = "qlora" makes 4 bits')
        ]
    if str(number) not in FLOATS:
        seen = f"its weights are {number}, and training takes {', '.join(FLOATS)}"
        return [Finding("base_dtype", "broken", seen, "take the model in one of these")]
    folder = Path(weights.base)
    if folder.is_dir() and not any([*folder.glob("*.safetensors"), *folder.glob("*.bin")]):
        return [Finding("base_not_opened", "broken", f"no weights (*.safetensors) in {folder}", "copy them there")]
    if settings.get("is_encoder_decoder"):
        return [Finding("base_not_causal", "broken", f"a model of type {kind!r} has an encoder", other)]
    if find_spec("transformers") is not None and not _causal(str(kind)):
        seen = f"the installed transformers knows no causal language model of type {kind!r}"
        return [Finding("base_not_causal", "broken", seen, f"{other}, or install a newer transformers")]
    return []


def _causal(kind: str) -> bool:
    if kind == "qwen3":  # the tiny base's: no need to import anything for `retort plan`
        return True
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES


@dataclass(frozen=True)
class Words:
    """What the tokenizer of a base tells."""

    chars: float = TINY_CHARS
    """Characters a token."""
    size: int = 0
    """Tokens in the vocabulary; 0 = not looked at."""
    least: int = 0
    """Tokens of the shortest episode with one look-up, without what the student writes; 0 = not looked at."""


def words(config: RunConfig, weights: Weights) -> tuple[list[Finding], Words]:
    """Findings on tokenizer and template, and what else they tell."""
    wire, found, stated = config.student.transport, [], Words()
    for template in templates(config):
        try:
            tok = load_tokenizer(weights.tokenizer_path, chat_template=template, training=True)
        except ProofError as error:
            step = "name a token there that ends no turn and stands in no text"
            return [Finding("pad_token", "broken", str(error), step)], stated
        except MissingExtra:
            raise
        except RetortError as error:
            name = "template_missing" if "no chat template" in str(error) else "base_not_opened"
            found.append(Finding(name, "broken", str(error), way_out(weights.tokenizer_path, wire)))
            continue
        more = template_findings(tok, wire)
        if all(each.severity == "fine" for each in more):
            sample = " ".join(every_prompt().values())
            chars = len(sample) / max(1, len(tok(sample)["input_ids"]))
            stated = Words(chars, len(tok), prompt_tokens(tok, wire))
        for each in more:
            step = way_out(weights.tokenizer_path, wire) if each.severity == "broken" else each.step
            label = "" if template is None else f"{template}: "
            found.append(replace(each, step=step, seen=f"{label}{each.seen}"))
    return found, stated


def vocabulary(settings: dict[str, Any], size: int) -> list[Finding]:
    """Whether every token of the tokenizer has a row in the model."""
    rows = (settings.get("text_config") or settings).get("vocab_size")
    if not size or not isinstance(rows, int) or rows >= size:
        return []
    seen = f"the tokenizer has {size:,} tokens and the model rows for {rows:,}"
    return [Finding("vocabulary", "broken", seen, "take the tokenizer that belongs to the weights")]


def positions(config: RunConfig, settings: dict[str, Any], chunk: int, stated: Words) -> list[Finding]:
    """Whether an episode fits: refused where even the shortest one does not."""
    limit = (settings.get("text_config") or settings).get("max_position_embeddings")
    if not isinstance(limit, int):
        return []
    most = config.student.max_tokens
    whole = need(config.board, most, chunk, stated.chars)
    step = "lower board.top_k, board.extract_lines or student.max_tokens, or take a base with more positions"
    if stated.least + most > limit:
        seen = f"{limit:,} positions, and an episode of one look-up needs {stated.least:,} and {most} for its reply"
        return [Finding("positions", "broken", seen, step)]
    if limit < whole.likely:
        seen = f"{limit:,} positions, and a long episode needs up to {whole.likely:,} ({whole.how}): limit:context"
        return [Finding("positions", "warning", seen, f"lower board.limits.steps, or {step.removeprefix('lower ')}")]
    return [Finding("positions", "fine", f"{limit:,} positions; a long episode usually needs up to {whole.likely:,}")]


SYSTEM, QUESTION = "Answer from the manual.", "How warm is the brass kettle?"
THOUGHT, QUERY = "I look that up.", "brass kettle temperature"
OBSERVATION = "[1] Brass kettle\nTemperature: 451 degrees"
ANSWER = "Quote: Temperature: 451 degrees\nAnswer: 451 degrees"


def conversation(transport: Transport, rules: str = SYSTEM) -> Row:
    """One honest episode as a row of this transport."""
    from finetune.rows import Row, spoken

    function = {"name": "search", "arguments": {"query": QUERY}}
    messages: tuple[dict[str, Any], ...] = (
        {"role": "system", "content": rules},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": THOUGHT, "tool_calls": [{"type": "function", "function": function}]},
        {"role": "tool", "name": "search", "content": OBSERVATION},
        {"role": "assistant", "content": ANSWER},
    )
    return spoken(Row(number=1, messages=messages, tools=(SEARCH,)), transport)


def template_findings(tok: Any, transport: Transport) -> list[Finding]:
    """Findings on the template of an opened tokenizer; one fine one where nothing is wrong with it."""
    row = conversation(transport)
    stated = ("the system and user turns", "the turn with a call", "the observation", "the answer")
    rendered: list[list[int]] = []
    for end, what in zip((2, 3, 4, 5), stated, strict=True):
        try:
            rendered.append(render(tok, row.messages[:end], row.tools, add_generation_prompt=end in (2, 4)))
        except SeatError as error:
            cause = first_line(error.__cause__ or error)
            return [Finding("template_raises", "broken", f"the chat template raises at {what}: {cause}")]
    text = tok.decode(rendered[-1])
    first = tok.decode(rendered[0])
    found = [
        Finding(name, "broken", f"the chat template leaves out {what}")
        for name, what, words, where in (
            ("system_lost", "the system turn", SYSTEM, first),
            ("tools_lost", "the schemas of tools", SEARCH["function"]["description"], first),
            ("call_lost", "the call", QUERY, text),
            ("thought_lost", "the text beside a call", THOUGHT, text),
            ("observation_lost", "what a tool brought", OBSERVATION.partition("\n")[2], text),
        )
        if _plain(words) not in _plain(text if name == "system_lost" else where)
    ]
    if found:
        return found
    for what, earlier, later in zip(stated, rendered, rendered[1:], strict=False):
        if later[: len(earlier)] != earlier:
            seen = (
                f"{what} look different once the conversation goes on, so a student would be served what it never saw"
            )
            return [Finding("history_rendered_differently", "broken", seen)]
    return [closing(tok, rendered[1], transport)]


def closing(tok: Any, turn: Sequence[int], transport: Transport) -> Finding:
    """Whether a turn ends with a token at which generation stops, and how its tokens are found for training."""
    solid = [token for token in turn if tok.decode([token]).strip()]
    if not solid or solid[-1] not in stop_ids(tok):
        last = tok.decode(solid[-1:]) if solid else ""
        seen = f"a turn ends with {last!r} and not with the end token {tok.eos_token!r}: a student would never stop"
        return Finding("stop_not_trained", "broken", seen)
    how = "generation markers" if marked(tok) else "rendering, turn by turn"
    seen = (
        f"system, tools, calls with their thoughts and observations come through ({transport}); a turn ends with "
        f"{tok.decode(solid[-1:])!r}, and what is trained is found by {how}"
    )
    return Finding("template", "fine", seen)


def prompt_tokens(tok: Any, transport: Transport) -> int:
    """Tokens of the longest prompt of the shortest episode: the rules, a short question, one call and its passage."""
    row = conversation(transport, prompt("react"))
    return len(render(tok, row.messages[:4], row.tools, add_generation_prompt=True))


def way_out(folder: str, transport: Transport) -> str:
    """The first setting of [student] with which the template of a base does its work: tried, not guessed."""
    ways: tuple[tuple[Transport, str | None, str], ...] = (
        ("native", "chatml", 'chat_template = "chatml"'),
        ("text", None, 'transport = "text"'),
        ("text", "chatml", 'transport = "text" and chat_template = "chatml"'),
    )
    for wire, template, text in ways:
        if wire == "native" != transport:
            continue
        try:
            found = template_findings(load_tokenizer(folder, chat_template=template), wire)
        except SeatError:
            continue
        if all(each.severity == "fine" for each in found):
            return f"set {text} in [student]"
    return 'name a Jinja file, chat_template = "FILE", in [student], or take another base'


def _plain(text: str) -> str:
    return "".join(text.split())
