"""The tiny base: it loads, it copies, its tokenizer spells a value the same way everywhere, its recipe runs."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from agents.models.bases import tiny_base  # noqa: E402
from recipes.tiny_base.copying import copy_row  # noqa: E402
from recipes.tiny_base.drills import KINDS, Document, drill  # noqa: E402
from recipes.tiny_base.recipe import Recipe, batch, letters, loss_of, make, make_model  # noqa: E402

WEIGHTS = tiny_base()
MARKS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search the manual.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}
EPISODE: list[dict[str, Any]] = [
    {"role": "system", "content": "Answer from the manual."},
    {"role": "user", "content": "What is the default of `b` of `f.g`?\nA) None\nB) -1"},
    {
        "role": "assistant",
        "content": "I look up b of f.g.",
        "tool_calls": [{"type": "function", "function": {"name": "search", "arguments": {"query": 'f.g "b" <é>'}}}],
    },
    {"role": "tool", "content": "[1] f.g\nf.g(a, b=-1)"},
    {"role": "assistant", "content": "The manual says so.\nQuote: b=-1\nAnswer: -1"},
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(WEIGHTS)


@pytest.fixture(scope="module")
def model() -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def pieces(tokenizer: Any) -> list[str]:
    return letters(tokenizer)


def test_is_a_small_qwen3(model: Any) -> None:
    assert model.config.model_type == "qwen3"
    assert 700_000 <= sum(value.numel() for value in model.parameters()) <= 1_600_000
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert (WEIGHTS / "model.safetensors").stat().st_size < 4_000_000


def test_copies_random_sequences(model: Any, tokenizer: Any) -> None:
    rng = random.Random(5)
    right = total = 0
    for _ in range(8):
        stretch = rng.sample(range(len(tokenizer)), 24)
        ids = stretch + rng.choices(range(len(tokenizer)), k=7) + stretch
        with torch.no_grad():
            guess = model(torch.tensor([ids])).logits[0].argmax(-1).tolist()
        right += sum(guess[n - 1] == ids[n] for n in range(32, 55))
        total += 23
    assert right / total > 0.9


def test_reads_drills_it_never_saw(model: Any, tokenizer: Any, pieces: list[str]) -> None:
    with torch.no_grad():
        _, right = loss_of(model, batch(tokenizer, pieces, Recipe(seed=987_654), 1001), tokenizer.pad_token_id)
    assert right > 0.8


@pytest.mark.parametrize(
    "value", ["-1", "None", "7.64.1", "rsplit", "<path>", "http", "'utf-8'", "65536", "--alt-svc", "()"]
)
def test_a_value_is_spelt_the_same_everywhere(tokenizer: Any, value: str) -> None:
    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    spelt = ids(value)
    for before, after in (
        ("maxsplit=", ")"),
        ("Answer: ", "\n"),
        ("B) ", "\n"),
        ("`", "`"),
        ("is ", "\n"),
        ("(", ", x"),
    ):
        whole = ids(before + value + after)
        assert any(whole[n : n + len(spelt)] == spelt for n in range(len(whole))), f"{before}{value}{after}"


def test_numerals_are_single_tokens(tokenizer: Any) -> None:
    assert all(len(tokenizer(str(n), add_special_tokens=False)["input_ids"]) == 1 for n in range(1000))


def test_text_survives_the_tokenizer(tokenizer: Any) -> None:
    rng = random.Random(1)
    texts = ["".join(rng.choices(string.printable + " " * 30 + "éß漢😀", k=80)) for _ in range(200)]
    texts += [
        "## A heading\n\n  two  spaces, `a b`  ",
        "x = {'a': 1}  # ## no",
        "".join(MARKS),
        "fooBar x86_64 1,000 a.b c. d",
    ]
    for text in texts:
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_marks_are_single_tokens_and_pad_is_not_eos(tokenizer: Any) -> None:
    assert all(len(tokenizer(mark, add_special_tokens=False)["input_ids"]) == 1 for mark in MARKS)
    assert not set(MARKS) & set(tokenizer.all_special_tokens)
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")


def test_what_is_served_is_a_prefix_of_what_is_trained(tokenizer: Any) -> None:
    whole = tokenizer.apply_chat_template(EPISODE, tools=[SEARCH], return_dict=False)
    for turn in (2, 4):
        prompt = tokenizer.apply_chat_template(
            EPISODE[:turn], tools=[SEARCH], add_generation_prompt=True, return_dict=False
        )
        assert whole[: len(prompt)] == prompt
        end = whole.index(tokenizer.eos_token_id, len(prompt)) + 1
        parsed = tokenizer.parse_response(whole[len(prompt) : end], prefix=prompt, tools=[SEARCH])
        assert parsed["content"].rstrip("\n") == EPISODE[turn]["content"]
        assert parsed.get("tool_calls") == EPISODE[turn].get("tool_calls")


def test_the_loss_falls_on_assistant_turns_and_their_ends_alone(tokenizer: Any) -> None:
    row = tokenizer.apply_chat_template(EPISODE, tools=[SEARCH], return_dict=True, return_assistant_tokens_mask=True)
    text = tokenizer.decode([n for n, mine in zip(row["input_ids"], row["assistant_masks"], strict=True) if mine])
    call = json.dumps({"name": "search", "arguments": {"query": 'f.g "b" <é>'}}, ensure_ascii=False)
    assert text == (
        f"I look up b of f.g.\n<tool_call>\n{call}\n</tool_call><|im_end|>"
        "The manual says so.\nQuote: b=-1\nAnswer: -1<|im_end|>"
    )


def test_trl_accepts_the_template_as_it_is(tokenizer: Any) -> None:
    utils = pytest.importorskip("trl.chat_template_utils")
    assert utils.supports_tool_calling(tokenizer)
    assert utils.is_chat_template_prefix_preserving(tokenizer)
    assert utils.is_chat_template_stop_token_trained(tokenizer)
    assert utils.get_training_chat_template(tokenizer) is None


def test_broken_calls_are_told_apart(tokenizer: Any) -> None:
    with pytest.raises(ValueError):
        tokenizer.parse_response('<tool_call>\n{"name": "search", \n</tool_call><|im_end|>', prefix="")
    assert tokenizer.parse_response("No call.<|im_end|>", prefix="")["content"] == "No call."


@pytest.mark.parametrize("kind", sorted(set(KINDS)))
def test_drills_can_be_answered_from_their_pages(pieces: list[str], kind: str) -> None:
    for seed in range(30):
        document = Document(random.Random(seed), pieces, 1)
        document.pages_first = False
        getattr(document, f"_{kind}")()
        text = "".join(part for part, _ in document.spans)
        known = [part for part, flag in document.spans if flag]
        assert known, text
        answer = known[-1].strip()
        before = text[: text.rindex(answer)]
        assert all(part in before for part in answer.split(document.joint)), text


def test_drills_are_fresh_repeatable_and_not_in_our_formats(pieces: list[str]) -> None:
    texts = ["".join(part for part, _ in drill(random.Random(seed), pieces, 900)) for seed in range(200)]
    again = "".join(part for part, _ in drill(random.Random(7), pieces, 900))
    assert again == texts[7]
    assert len(set(texts)) == 200
    for text in texts:
        assert not any(
            mark in text for mark in (*MARKS, "<|im_start|>", '"arguments"', "\nQuote: ", "\nAnswer: ", "\nA) ")
        )


def test_copy_rows_mark_what_can_be_known() -> None:
    for seed in range(50):
        ids, marked = copy_row(random.Random(seed), 4096, 128)
        assert len(ids) == 128
        assert marked
        for place in marked:
            before = [n for n in range(1, place) if ids[n] == ids[place] and ids[n - 1] == ids[place - 1]]
            assert before, (seed, place)


def test_every_id_is_drawn_while_copying() -> None:
    rng = random.Random(0)
    seen: set[int] = set()
    for _ in range(800):
        seen.update(copy_row(rng, 4096, 256)[0])
    assert len(seen) == 4096


def test_the_recipe_runs_and_repeats_itself(tmp_path: Path, tokenizer: Any) -> None:
    recipe = Recipe(steps=3, tokens=512, copying=1, lengths=((128, 1),))
    first = make(recipe, tmp_path / "a", tokenizer)
    second = make(recipe, tmp_path / "b", tokenizer)
    assert first == second
    made = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "a")
    assert made.config.vocab_size == len(tokenizer)
    assert json.loads((tmp_path / "a" / "training.json").read_text())["step"] == 3
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()


def test_the_sketched_start_copies_already(tokenizer: Any) -> None:
    torch.manual_seed(3)
    fresh = make_model(tokenizer, Recipe())
    rows = [copy_row(random.Random(seed), len(tokenizer), 96) for seed in range(12)]
    with torch.no_grad():
        _, right = loss_of(fresh, rows, tokenizer.pad_token_id)
    assert right > 0.5
