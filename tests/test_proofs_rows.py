"""Proofs on rows, with a tokenizer of 600 tokens: what each number and each refusal says, to the token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_models import FORGETFUL, MARKED, SEARCH, episode, tiny_tokenizer

from agents.errors import ProofError
from agents.files import read_json
from agents.models.rendering import render
from finetune.proofs import PROOFS, Proof, demand, legend, proof, run_proofs
from finetune.proofs_rows import (
    IGNORED,
    LengthEvidence,
    PackedEvidence,
    RowsEvidence,
    prove_length,
    prove_mask,
    prove_packing,
    prove_template,
)
from finetune.rows import Row

PAIRS = (("Paris", "France"), ("Rome", "Italy"))
WAY_OUT = 'set [student] chat_template = "chatml", or [student] transport = "text"'
CALL = "{{ c.function | tojson }}"


def rows_of(*messages: list[dict[str, Any]]) -> list[Row]:
    """Rows numbered 1, 3, 5, ... (lines between them were blank)."""
    return [Row(number=2 * at + 1, messages=tuple(each), tools=(SEARCH,)) for at, each in enumerate(messages)]


def evidence_of(tok: Any, rows: Sequence[Row]) -> RowsEvidence:
    """Rows with the labels that the template's own markers give, as TRL makes them."""
    inputs, labels = [], []
    for row in rows:
        made = tok.apply_chat_template(
            list(row.messages), tools=list(row.tools), return_dict=True, return_assistant_tokens_mask=True
        )
        inputs.append(made["input_ids"])
        trained = zip(made["input_ids"], made["assistant_masks"], strict=True)
        labels.append([token if mask else IGNORED for token, mask in trained])
    return RowsEvidence(tok, rows, inputs, labels, 1024, 1024)


@pytest.fixture(scope="module")
def tok() -> Any:
    return tiny_tokenizer(MARKED)


@pytest.fixture(scope="module")
def honest(tok: Any) -> RowsEvidence:
    return evidence_of(tok, rows_of(*(episode(*pair) for pair in PAIRS)))


def changed(evidence: RowsEvidence, change: Callable[[list[int], list[int]], None]) -> RowsEvidence:
    """The evidence with the second row's tokens and labels changed."""
    inputs, labels = [list(each) for each in evidence.inputs], [list(each) for each in evidence.labels]
    change(inputs[1], labels[1])
    return replace(evidence, inputs=inputs, labels=labels)


def with_template(template: str, *messages: list[dict[str, Any]]) -> RowsEvidence:
    """Honest evidence of a template; one episode unless others are given."""
    made = tiny_tokenizer(template)
    return evidence_of(made, rows_of(*(messages or (episode(*PAIRS[0]),))))


def test_rows_that_fit_pass_and_say_how_long_the_longest_is() -> None:
    assert prove_length(LengthEvidence([1, 4, 9], [30, 50, 40], 50, 50, "sft")) == Proof(
        name="length",
        passed=True,
        detail="the longest row has 50 tokens",
        numbers={"longest": 50, "max_length": 50, "positions": 50},
    )
    unlimited = prove_length(LengthEvidence([1], [70], 80, None, "sft"))
    assert unlimited.passed and unlimited.numbers == {"longest": 70, "max_length": 80}


def test_rows_that_would_be_cut_are_counted_and_the_longest_is_named() -> None:
    found = prove_length(LengthEvidence([1, 4, 9], [51, 49, 60], 50, None, "sft"))
    assert not found.passed and found.name == "length"
    assert found.detail == ("2 of 3 rows would be cut, row 9 has 60 tokens: set [sft] max_length to 60 or leave it out")
    assert found.numbers == {"longest": 60, "max_length": 50, "cut": 2}


def test_a_row_longer_than_the_models_positions_asks_for_shorter_passages_not_for_a_larger_max_length() -> None:
    found = prove_length(LengthEvidence([1, 4], [30, 70], 60, 64, "sft"))
    assert not found.passed and found.name == "length"
    assert found.detail.startswith("row 4 has 70 tokens and the model 64 positions: lower [board] top_k or [board]")
    assert found.numbers == {"longest": 70, "max_length": 60, "positions": 64}


def test_honest_rows_are_served_as_they_are_trained(honest: RowsEvidence) -> None:
    assert prove_template(honest) == Proof(
        name="template",
        passed=True,
        detail="4 turns of 2 rows are served as they are trained",
        numbers={"rows": 2, "turns": 4},
    )


def test_every_token_is_counted_by_the_mask(honest: RowsEvidence) -> None:
    found = prove_mask(honest)
    tokens = sum(len(ids) for ids in honest.inputs)
    trained = sum(label != IGNORED for labels in honest.labels for label in labels)
    assert found == Proof(
        name="mask",
        passed=True,
        detail=f"{trained} of {tokens} tokens are trained, all of 4 assistant turns and nothing besides",
        numbers={"tokens": tokens, "trained": trained, "turns": 4, "spaces": 0},
    )


def test_the_first_token_that_the_trainer_has_otherwise_is_named_with_what_stands_there(honest: RowsEvidence) -> None:
    def change(ids: list[int], labels: list[int]) -> None:
        ids[5] = ids[5] + 1

    found = prove_template(changed(honest, change))
    was, became = (
        honest.tok.decode(list(each[5:13])) for each in (honest.inputs[1], changed(honest, change).inputs[1])
    )
    assert not found.passed and found.name == "template"
    said = f"row 3, token 5: the trainer's tokens are others (served {was!r}, trained {became!r}): give a template"
    assert found.detail.startswith(said) and "chat_template =" in found.detail
    assert found.numbers == {"row": 3, "token": 5}


def test_a_row_cut_at_its_end_is_named_at_the_cut(honest: RowsEvidence) -> None:
    whole = len(honest.inputs[1])
    found = prove_template(changed(honest, lambda ids, labels: ids.__delitem__(slice(-3, None))))
    assert not found.passed and found.numbers == {"row": 3, "token": whole - 3}


def test_a_template_that_rewrites_earlier_turns_is_named_at_the_turn() -> None:
    found = prove_template(with_template(FORGETFUL))
    assert not found.passed
    assert "row 1, message 2, token" in found.detail
    assert ": later turns see it otherwise than written (served" in found.detail and found.name == "template"


def test_a_template_that_opens_a_turn_otherwise_than_it_was_trained_is_named() -> None:
    opening = MARKED.replace("<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\nI think{% endif %}")
    assert opening != MARKED
    found = prove_template(with_template(opening))
    assert not found.passed
    assert "row 1, message 2, token" in found.detail and ": its prompt is served otherwise (served" in found.detail


def test_a_pad_token_that_ends_turns_or_is_none_is_refused(honest: RowsEvidence) -> None:
    for pad in ("<|im_end|>", None):
        tok = tiny_tokenizer(MARKED)
        tok.pad_token = pad
        found = prove_mask(replace(honest, tok=tok))
        assert not found.passed and found.name == "mask"
        assert found.detail == (
            "the pad token is the end-of-turn token, which would then never be learned: set another pad_token"
        )


def test_a_row_without_loss_is_named(honest: RowsEvidence) -> None:
    found = prove_mask(changed(honest, lambda ids, labels: labels.__setitem__(slice(None), [IGNORED] * len(labels))))
    assert (found.name, found.passed) == ("mask", False)
    assert found.detail.startswith("row 3: no token carries loss; ") and "generation markers" in found.detail


def test_a_label_that_is_another_token_is_named(honest: RowsEvidence) -> None:
    at = next(i for i, label in enumerate(honest.labels[1]) if label != IGNORED)
    found = prove_mask(changed(honest, lambda ids, labels: labels.__setitem__(at + 1, ids[at + 1] + 1)))
    assert (found.name, found.passed) == ("mask", False)
    assert found.detail == f"row 3, token {at + 1}: its label is another token"


@pytest.mark.parametrize("trained", [True, False])
def test_one_token_too_many_or_too_few_is_named(honest: RowsEvidence, trained: bool) -> None:
    labels = honest.labels[1]
    at = next(i for i, label in enumerate(labels) if (label == IGNORED) is trained)

    def change(ids: list[int], labels: list[int]) -> None:
        labels[at] = ids[at] if trained else IGNORED

    found = prove_mask(changed(honest, change))
    word = honest.tok.decode([honest.inputs[1][at]])
    how = "trained" if trained else "not trained"
    assert (found.name, found.passed) == ("mask", False)
    step = "mend the generation markers of the template, [student] chat_template"
    assert found.detail == f"row 3, token {at} ({word!r}) is {how}: {step}"


def test_a_line_break_may_fall_on_either_side_of_the_mask() -> None:
    """After each turn a line break, which the markers leave out: 2 in a row of 2 turns."""
    spaced = MARKED.replace("{% endif %}\n{% endfor %}", "{% endif %}{{ '\n' }}{% endfor %}")
    assert spaced != MARKED
    honest = with_template(spaced, *(episode(*pair) for pair in PAIRS))
    found = prove_mask(honest)
    assert found.passed and found.numbers["spaces"] == 4
    ids, labels = honest.inputs[1], honest.labels[1]
    breaks = [at for at, token in enumerate(ids) if not honest.tok.decode([token]).strip()]
    after = [at for at in breaks if labels[at] == IGNORED and labels[at - 1] != IGNORED]
    assert len(after) == 2 < len(breaks)

    def numbers(places: list[int]) -> Proof:
        def change(ids: list[int], labels: list[int]) -> None:
            for at in places:
                labels[at] = ids[at]

        return prove_mask(changed(honest, change))

    assert (numbers(after).passed, numbers(after).numbers["spaces"]) == (True, 2)
    assert (numbers(breaks[:1]).passed, numbers(breaks[:1]).numbers["spaces"]) == (True, 5)


def test_a_template_that_leaves_out_a_call_is_caught_by_the_mask() -> None:
    found = prove_mask(with_template(MARKED.replace(CALL, "{{ c.function.arguments | tojson }}")))
    assert (found.name, found.passed) == ("mask", False)
    assert found.detail == f"row 1, message 2: the call of 'search' is not among the trained tokens: {WAY_OUT}"


def test_a_template_that_leaves_out_a_text_is_caught_by_the_mask_and_its_beginning_is_shown() -> None:
    upper = MARKED.replace("{% generation %}{{ m.content }}", "{% generation %}{{ m.content | upper }}")
    messages = [{"role": "user", "content": "Hm?"}, {"role": "assistant", "content": "word " * 40}]
    found = prove_mask(with_template(upper, messages))
    assert not found.passed
    said = ("word " * 40)[:60]
    assert found.detail == f"row 1, message 1: the text {said!r} is not among the trained tokens: {WAY_OUT}"


def test_a_template_without_an_end_of_turn_is_caught_by_the_mask() -> None:
    endless = MARKED.replace("<|im_end|>{% endgeneration %}", "{% endgeneration %}")
    assert endless != MARKED
    found = prove_mask(with_template(endless))
    assert found.detail == f"row 1, message 2: the end-of-turn token is not among the trained tokens: {WAY_OUT}"


def test_spaces_round_a_text_and_control_tokens_in_it_do_not_matter() -> None:
    stripping = MARKED.replace("{% generation %}{{ m.content }}", "{% generation %}{{ m.content | trim }}")
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Hm?"},
        {"role": "assistant", "content": "  A turn ends with a mark.\n\n  And more.  "},
    ]
    assert prove_mask(with_template(stripping, messages)).passed
    marked = [{**messages[0]}, {**messages[1], "content": "A turn ends with <|im_end|> and goes on"}]
    tok = tiny_tokenizer(MARKED)
    rows = rows_of(marked)
    ids = render(tok, rows[0].messages, rows[0].tools, add_generation_prompt=False)
    opened = len(render(tok, rows[0].messages[:1], rows[0].tools, add_generation_prompt=True))
    labels = [IGNORED] * opened + ids[opened:]
    assert prove_mask(RowsEvidence(tok, rows, [ids], [labels], 1024, None)).passed


def test_a_turn_that_only_calls_may_say_nothing() -> None:
    messages = episode(*PAIRS[0])
    messages[2] = {**messages[2], "content": None}
    template = MARKED.replace("{% generation %}{{ m.content }}", "{% generation %}{{ m.content or '' }}")
    assert prove_mask(with_template(template, messages)).passed


def test_rows_and_tokens_must_be_as_many(honest: RowsEvidence) -> None:
    for fewer in (replace(honest, inputs=honest.inputs[:1]), replace(honest, rows=honest.rows[:1])):
        with pytest.raises(ValueError, match=r"shorter|longer"):
            prove_mask(fewer)
        with pytest.raises(ValueError, match=r"shorter|longer"):
            prove_template(fewer)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        prove_mask(replace(honest, labels=honest.labels[:1]))
    with pytest.raises(ValueError, match=r"shorter|longer"):
        prove_mask(changed(honest, lambda ids, labels: labels.pop()))


@pytest.fixture(scope="module")
def packed(tok: Any) -> PackedEvidence:
    end = tok.eos_token_id
    return PackedEvidence(tok, [[5, 6, end], [7, end]], [[5, 6, end, 7], [end]], 4, 4, "cpt")


def test_packed_documents_are_counted(packed: PackedEvidence) -> None:
    assert prove_packing(packed) == Proof(
        name="packing",
        passed=True,
        detail="5 tokens of 2 documents stand in 2 blocks",
        numbers={"documents": 2, "tokens": 5, "blocks": 2, "max_length": 4},
    )
    assert prove_packing(replace(packed, positions=None)).passed


def test_what_packing_lost_or_made_too_long_is_told(packed: PackedEvidence) -> None:
    lost = prove_packing(replace(packed, blocks=[[5, 6, packed.tok.eos_token_id]]))
    assert (lost.name, lost.passed) == ("packing", False)
    assert lost.detail == "3 tokens are packed where the documents have 5"
    assert lost.numbers == {"documents": 2, "tokens": 5, "blocks": 1, "max_length": 4}
    assert prove_packing(replace(packed, max_length=3, positions=8)).detail == (
        "a block has 4 tokens: set [cpt] max_length to at most 8"
    )
    assert not prove_packing(replace(packed, max_length=8, positions=3)).passed
    assert not prove_packing(replace(packed, max_length=3, positions=None)).passed


def test_documents_that_no_end_token_closes_are_counted(packed: PackedEvidence) -> None:
    end = packed.tok.eos_token_id
    documents = [[5, 6], [7, end], [8]]
    found = prove_packing(replace(packed, documents=documents, blocks=[[5, 6, 7, end], [8]]))
    assert (found.passed, found.detail) == (False, "2 documents are not closed by an end token")


def test_a_proof_is_registered_for_its_stage_and_run_with_its_evidence(honest: RowsEvidence) -> None:
    assert [each.name for each in run_proofs("episodes", honest)] == ["template", "mask"]

    def shown(evidence: str) -> Proof:
        """Something holds.

        What is written further down is for readers of the code.
        """
        return Proof(name="shown", passed=False, detail=evidence)

    try:
        assert proof("adapter", "shown")(shown) is shown
        assert legend()["shown"] == "Something holds."
        assert "shown" not in [name for stage, name in PROOFS if stage != "adapter"]
        PROOFS.pop(("adapter", "merge"))
        assert run_proofs("adapter", "said") == [Proof(name="shown", passed=False, detail="said")]
    finally:
        PROOFS.pop(("adapter", "shown"), None)
        from finetune.proofs_student import prove_merge

        PROOFS["adapter", "merge"] = prove_merge


def test_all_failed_proofs_are_told_and_all_proofs_are_written(tmp_path: Path) -> None:
    found = [
        Proof(name="a", passed=False, detail="row 3: broken", numbers={"row": 3}),
        Proof(name="b", passed=True, detail="fine"),
        Proof(name="c", passed=False, detail="torn"),
    ]
    with pytest.raises(ProofError, match=r"^a proof: row 3: broken; c proof: torn$"):
        demand(found, tmp_path / "proofs.json")
    assert read_json(tmp_path / "proofs.json", "proofs") == [each.model_dump() for each in found]
    with pytest.raises(ProofError, match="c proof: torn"):
        demand(found[1:])
    demand(found[1:2])
    demand([])
