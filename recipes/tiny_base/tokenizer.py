"""Trains the tokenizer of the tiny base: one word, one spelling in tokens, wherever it stands.

A small model reads by copying tokens, so the value after `maxsplit=` in a signature must be the very tokens it has to
write after `Answer: `. The usual byte-level BPE has two tokens for one word, with and without the space before it,
and breaks that. Here spaces never belong to a word: the single space between two ASCII words is dropped and put back
by the decoder, any other space is a token of its own (or goes with the comma, colon or full stop before it), and
continuations carry `##`. Numbers are whole tokens up to three digits (longer ones are cut from the left in threes);
other punctuation stands alone, but for runs of dashes, underscores and backticks. Decoding gives back every text
exactly (tested).

The merges are learnt from the docstrings of installed, permissively licensed packages (`PACKAGES`), never from a
manual that an exam is made of: with the pinned packages of constraints.txt the result is the same file, byte for
byte.
"""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.errors import StageError
from agents.install import install_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

PACKAGES = (
    "accelerate",
    "langchain_core",
    "langgraph",
    "networkx",
    "numpy",
    "pandas",
    "peft",
    "scipy",
    "transformers",
    "trl",
)
"""Where the merges come from: Apache-2.0, MIT and BSD-3-Clause packages that the demo installs."""
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
MARKS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
VOCABULARY = 4096
"""Size with everything: 9 marks, 512 byte tokens, 1,110 numerals, the rest words and pieces of words."""
GAP = r"(?<=[A-Za-z]) (?=[A-Za-z])"
PIECES = r"[A-Za-z]+|[0-9]{1,3}|[,.:;] (?=[^ ])|-+|_+|`+| +|\n|[^\sA-Za-z0-9]|\s"
RESPONSE_TEMPLATE: dict[str, Any] = {
    "defaults": {"role": "assistant"},
    "start_anchor": f"{START}assistant\n",
    "fields": {
        "reasoning_content": {"open": "<think>", "close_pattern": r"</think>\s*", "content": "text"},
        "tool_calls": {
            "open": "<tool_call>",
            "close_pattern": r"</tool_call>\s*",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close_pattern": r"<\|im_end\|>\s*", "content": "text"},
    },
}
"""How a rendered assistant turn becomes a message again; read by `PreTrainedTokenizer.parse_response`."""


def docstrings(packages: tuple[str, ...] = PACKAGES) -> Iterator[str]:
    """Every docstring of the packages, in a fixed order; StageError for a package that is not installed."""
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise StageError(
                f"the tokenizer's text comes from {name!r}, which is not installed: {install_line('train')}"
            )
        for path in sorted(Path(spec.submodule_search_locations[0]).rglob("*.py")):
            if "tests" not in path.parts:
                yield from _of_file(path)


def _of_file(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text


def train(texts: Iterator[str], size: int = VOCABULARY) -> Tokenizer:
    """A tokenizer of `size` tokens from `texts`, marks and numerals included."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    byte_alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    draft = Tokenizer(models.BPE(continuing_subword_prefix="##"))
    draft.pre_tokenizer = _pre_tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=size,  # more than there is room for; the rarest are given back below
        special_tokens=[PAD, START, END],
        initial_alphabet=byte_alphabet,
        continuing_subword_prefix="##",
        show_progress=False,
    )
    draft.train_from_iterator((_without_digits(text) for text in texts), trainer)
    model = json.loads(draft.to_str())["model"]
    merges = [(left, right) for left, right in model["merges"]]
    digits = [str(digit) for digit in range(10)]
    pairs = [a + b for a in digits for b in digits]
    merges += [(pair[0], f"##{pair[1]}") for pair in pairs]
    merges += [(pair, f"##{digit}") for pair in pairs for digit in digits]
    numerals = pairs + [pair + digit for pair in pairs for digit in digits]
    head = [PAD, START, END, *byte_alphabet, *(f"##{byte}" for byte in byte_alphabet)]
    words = list(dict.fromkeys(left + right.removeprefix("##") for left, right in model["merges"]))
    room = size - len(MARKS) - len(head) - len(numerals)
    dropped = set(words[room:])
    merges = [pair for pair in merges if not {*pair, pair[0] + pair[1].removeprefix("##")} & dropped]
    vocabulary = [*head, *words[:room], *numerals]
    ids = {token: number for number, token in enumerate(vocabulary)}
    return _finish(ids, merges)


def _without_digits(text: str) -> str:
    return "".join(" " if letter.isdigit() else letter for letter in text)


def _pre_tokenizer() -> Any:
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(GAP), behavior="removed"),
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _finish(ids: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models

    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges, continuing_subword_prefix="##"))
    tokenizer.pre_tokenizer = _pre_tokenizer()
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix="##", cleanup=False),  # puts a space before every token that starts something
            decoders.Fuse(),
            decoders.Replace(Regex("^##"), ""),
            decoders.Replace(Regex("(?<![A-Za-z]) | (?![A-Za-z])"), ""),  # and keeps it between two words only
            decoders.Replace(" ", "\u0120"),
            decoders.ByteLevel(),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in (PAD, START, END)])
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in MARKS])
    return tokenizer


def wrap(tokenizer: Tokenizer, chat_template: str) -> PreTrainedTokenizerFast:
    """The transformers tokenizer with its marks, chat template and response template."""
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[START],
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
        padding_side="left",
    )
    wrapped.chat_template = chat_template
    wrapped.response_template = RESPONSE_TEMPLATE
    return wrapped
