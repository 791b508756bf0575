"""Whether the base of a config can become a student, looked at before a teacher is paid: no weights are opened.

The same findings stand in `retort plan` and `retort doctor`, and `retort run` refuses what is broken before it
collects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.errors import MissingExtra, ProofError, RetortError, SeatError, StageError
from agents.install import install_line
from agents.models.bases import TINY_BASE
from agents.models.weights import Weights, find_weights
from agents.prompts import every_prompt

from .findings import Finding
from .need import CHUNK_CHARS, need

if TYPE_CHECKING:
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
        told = Words()
        if not shipped:
            more, told = words(config, weights)
            found += more
        found += [*vocabulary(settings, told.size), *positions(config, settings, chunk, told)]
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
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SeatError(f"no config can be had of {weights.base!r} ({first[:200]})") from None
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
    from agents.models.rendering import load_tokenizer

    from .templates import prompt_tokens, template_findings, way_out

    wire, found, told = config.student.transport, [], Words()
    for template in templates(config):
        try:
            tok = load_tokenizer(weights.words, chat_template=template, training=True)
        except ProofError as error:
            step = "name a token there that ends no turn and stands in no text"
            return [Finding("pad_token", "broken", str(error), step)], told
        except MissingExtra:
            raise
        except RetortError as error:
            name = "template_missing" if "no chat template" in str(error) else "base_not_opened"
            found.append(Finding(name, "broken", str(error), way_out(weights.words, wire)))
            continue
        more = template_findings(tok, wire)
        if all(each.severity == "fine" for each in more):
            sample = " ".join(every_prompt().values())
            chars = len(sample) / max(1, len(tok(sample)["input_ids"]))
            told = Words(chars, len(tok), prompt_tokens(tok, wire))
        for each in more:
            step = way_out(weights.words, wire) if each.severity == "broken" else each.step
            label = "" if template is None else f"{template}: "
            found.append(replace(each, step=step, seen=f"{label}{each.seen}"))
    return found, told


def vocabulary(settings: dict[str, Any], size: int) -> list[Finding]:
    """Whether every token of the tokenizer has a row in the model."""
    rows = (settings.get("text_config") or settings).get("vocab_size")
    if not size or not isinstance(rows, int) or rows >= size:
        return []
    seen = f"the tokenizer has {size:,} tokens and the model rows for {rows:,}"
    return [Finding("vocabulary", "broken", seen, "take the tokenizer that belongs to the weights")]


def positions(config: RunConfig, settings: dict[str, Any], chunk: int, told: Words) -> list[Finding]:
    """Whether an episode fits: refused where even the shortest one does not."""
    limit = (settings.get("text_config") or settings).get("max_position_embeddings")
    if not isinstance(limit, int):
        return []
    most = config.student.max_tokens
    whole = need(config.board, most, chunk, told.chars)
    step = "lower board.top_k, board.extract_lines or student.max_tokens, or take a base with more positions"
    if told.least + most > limit:
        seen = f"{limit:,} positions, and an episode of one look-up needs {told.least:,} and {most} for its reply"
        return [Finding("positions", "broken", seen, step)]
    if limit < whole.likely:
        seen = f"{limit:,} positions, and a long episode needs up to {whole.likely:,} ({whole.how}): limit:context"
        return [Finding("positions", "warning", seen, f"lower board.limits.steps, or {step.removeprefix('lower ')}")]
    return [Finding("positions", "fine", f"{limit:,} positions; a long episode usually needs up to {whole.likely:,}")]
