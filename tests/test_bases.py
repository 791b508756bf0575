"""Third-party bases: each template that is met in the wild goes to a served student, or is refused with a way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import little
import pytest
from tiny_models import BARE, FUSSY, MARKED, PLAIN, SEARCH, episode, sft_file, tiny_model, tiny_tokenizer

from agents.context import Seat
from agents.errors import ProofError, SeatError
from agents.models.hf import open_hf
from agents.models.rendering import load_tokenizer, render, stop_ids, turn_end
from finetune.rows import IGNORED, Row, masked_dataset, read_episodes, spans, spoken
from finetune.sft import SftConfig, sft
from finetune.training import fingerprint
from graphs.episode import Table, play

TINY: dict[str, Any] = {"hidden": 32, "layers": 1}
TRAIN: dict[str, Any] = {"max_steps": 2, "batch": 3, "r": 2}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bases")
    sft_file(folder)
    tiny_model(folder / "bare", template=BARE, positions=4096, **TINY)
    tiny_model(folder / "fussy", template=FUSSY, positions=4096, **TINY)
    tiny_model(folder / "none", template=None, positions=4096, **TINY)
    tiny_model(folder / "eos", template=BARE, eos="<|endoftext|>", positions=4096, **TINY)
    return folder


SERVED = [
    ("bare", "text", None),
    ("bare", "hermes", None),
    ("bare", "native", "chatml"),
    ("fussy", "native", "chatml"),
    ("none", "native", "chatml"),
    ("eos", "text", None),
    ("eos", "native", "chatml"),
]


@pytest.mark.parametrize(("name", "transport", "template"), SERVED)
async def test_a_base_of_any_template_becomes_a_served_student(
    home: Path, tmp_path: Path, kettle: Path, name: str, transport: Any, template: str | None
) -> None:
    config = SftConfig(**TRAIN, chat_template=template)
    done = sft(str(home / name), home / "sft.jsonl", tmp_path / "student", config, seed=0, transport=transport)
    assert all(proof.passed for proof in done.proofs)
    assert 0 < done.trained_tokens < done.tokens
    tok = load_tokenizer(done.out)
    closing = tok.convert_tokens_to_ids("<|im_end|>")
    assert turn_end(tok) == closing
    assert closing in stop_ids(tok)
    assert f'transport = "{transport}"' in (done.out / "seat.toml").read_text()
    seat = Seat(model=f"hf:{done.out}", transport=transport, max_tokens=8)
    trajectory = await play(little.tasks(little.library())[0], Table.from_context(little.context(kettle, seat)))
    assert trajectory.stop


REFUSED = [
    ("bare", "native", None, ProofError, "the call of 'search' is not among the trained tokens"),
    (
        "fussy",
        "text",
        None,
        SeatError,
        r"fussy' raises on system, user.*: System role not supported; set \[student\]",
    ),
    ("none", "text", None, SeatError, r'has no chat template: set \[student\] chat_template = "chatml"'),
]


@pytest.mark.parametrize(("name", "transport", "template", "error", "said"), REFUSED)
def test_a_base_that_cannot_is_refused_with_the_next_step(
    home: Path, tmp_path: Path, name: str, transport: Any, template: str | None, error: type[Exception], said: str
) -> None:
    config = SftConfig(**TRAIN, chat_template=template)
    with pytest.raises(error, match=said):
        sft(str(home / name), home / "sft.jsonl", tmp_path / "student", config, seed=0, transport=transport)


def test_a_bundled_template_needs_its_tokens(tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    inner = tiny_tokenizer(None).backend_tokenizer.to_str()
    other = inner.replace("<|im_end|>", "<|over|>").replace("<|im_start|>", "<|open|>")
    from tokenizers import Tokenizer

    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=Tokenizer.from_str(other), eos_token="<|endoftext|>", pad_token="<|over|>"
    ).save_pretrained(tmp_path)
    with pytest.raises(SeatError, match=r"'<\|im_end\|>' of the template 'chatml' is \d+ tokens"):
        load_tokenizer(tmp_path, chat_template="chatml")
    with pytest.raises(SeatError, match="name a Jinja file, or chatml"):
        load_tokenizer(tmp_path, chat_template="chatlm")


def test_the_bundled_template_keeps_thoughts_beside_calls_and_is_served_as_it_is_trained(home: Path) -> None:
    tok = load_tokenizer(home / "none", chat_template="chatml", training=True)
    messages = episode("Paris", "France")
    messages[2]["reasoning_content"] = "deep"
    whole = render(tok, messages, [SEARCH], False)
    text = tok.decode(whole)
    assert "<think>\ndeep\n</think>\nI look this up.\n<tool_call>\n" in text
    assert '"name": "search"' in text.partition("<|im_end|>")[0]
    assert "<tool_response>\n[1] France" in text
    row = Row(number=1, messages=tuple(messages), tools=(SEARCH,))
    for start, end in spans(row, tok):
        assert whole[:end] == whole[:start] + whole[start:end]
        assert whole[end - 2] == turn_end(tok) or whole[end - 1] == turn_end(tok)


def test_labels_found_by_rendering_are_those_of_generation_markers(home: Path, tmp_path: Path) -> None:
    tiny_tokenizer(MARKED).save_pretrained(tmp_path / "marked")
    tiny_tokenizer(PLAIN).save_pretrained(tmp_path / "plain")
    by_markers, by_rendering = load_tokenizer(tmp_path / "marked"), load_tokenizer(tmp_path / "plain", training=True)
    rows = read_episodes(home / "sft.jsonl")
    for row, found in zip(rows, masked_dataset(rows, by_rendering), strict=True):
        marked = by_markers.apply_chat_template(
            list(row.messages), tools=list(row.tools), return_dict=True, return_assistant_tokens_mask=True
        )
        assert found["input_ids"] == marked["input_ids"]
        masks = zip(found["input_ids"], found["labels"], marked["assistant_masks"], strict=True)
        differing = [by_rendering.decode([token]) for token, label, mask in masks if (label != IGNORED) != bool(mask)]
        assert set(differing) <= {"\n"}  # behind the end of a turn


def test_a_row_of_a_text_transport_is_written_as_it_is_served(home: Path) -> None:
    row = read_episodes(home / "sft.jsonl")[0]
    assert spoken(row, "native") is row
    plain = row.model_copy(update={"tools": ()})
    assert spoken(plain, "text") is plain
    said = spoken(row, "text")
    assert said.tools == ()
    assert [message["role"] for message in said.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert "search: Search the manual" in said.messages[0]["content"]
    assert said.messages[2]["content"].endswith('Action: search\nAction Input: {"query": "capital of France"}')
    assert said.messages[3]["content"].startswith("Observation: [1] France")


def test_another_transport_or_template_is_another_training(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text(MARKED)
    base, data = str(home / "bare"), home / "sft.jsonl"
    config = SftConfig(chat_template=str(own))
    prints = {fingerprint(base, data, SftConfig(), 0), fingerprint(base, data, SftConfig(), 0, "text")}
    prints.add(fingerprint(base, data, config, 0))
    own.write_text(MARKED + " ")
    prints.add(fingerprint(base, data, config, 0))
    assert len(prints) == 4


def test_a_seat_takes_a_template_by_name(home: Path) -> None:
    chat = open_hf(str(home / "none"), chat_template="chatml", max_tokens=4, shared=False)
    try:
        assert "".join(json.dumps(SEARCH).split())[:40] in "".join(_prompt(chat).split())
    finally:
        chat.engine.close()
    with pytest.raises(ValueError, match="chat_template is for hf: seats"):
        Seat(model="openai:m@http://127.0.0.1:1/v1", chat_template="chatml")


def _prompt(chat: Any) -> str:
    from langchain_core.messages import HumanMessage

    reply = chat.bind_tools([SEARCH]).invoke([HumanMessage("x")])
    text: str = chat.tokenizer.decode(reply.response_metadata["prompt_ids"])
    return text
