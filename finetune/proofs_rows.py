"""Proofs on the rows, before a step is trained: lengths, template, mask; and the packing of plain text.

The mask is checked against serving, not against itself: what a served model would have to write at each turn is the
row's tokens between that turn's prompt and the prompt's end with the turn in it, and exactly those must carry loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.models.rendering import escape_special_tokens, render, stop_ids, turn_end

from .proofs import Proof, proof
from .rows import IGNORED, Row, spans

WAY_OUT = 'set [student] chat_template = "chatml", or [student] transport = "text"'


@dataclass(frozen=True)
class RowsEvidence:
    """What is about to be trained: `inputs` and `labels` are TRL's, one list of tokens a row."""

    tok: Any
    rows: Sequence[Row]
    inputs: Sequence[Sequence[int]]
    labels: Sequence[Sequence[int]]
    max_length: int
    positions: int | None
    spans: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Line number -> `spans` of the row, once the template proof has rendered it: rendering is what proofs take."""


@dataclass(frozen=True)
class LengthEvidence:
    """Rendered lengths of all rows, before TRL may cut them."""

    numbers: Sequence[int]
    """Line numbers of the rows."""
    lengths: Sequence[int]
    max_length: int
    positions: int | None
    section: str
    """Of run.toml: whose keys a failed proof names."""


@dataclass(frozen=True)
class PackedEvidence:
    """Plain text about to be trained: token ids of each document as written, and of each packed block."""

    tok: Any
    documents: Sequence[Sequence[int]]
    blocks: Sequence[Sequence[int]]
    max_length: int
    positions: int | None
    section: str
    """Of run.toml: whose keys a failed proof names."""


def prove_length(evidence: LengthEvidence) -> Proof:
    """Nothing is cut: the longest row fits max_length and the model's positions."""
    longest = max(evidence.lengths)
    at = evidence.numbers[list(evidence.lengths).index(longest)]
    numbers: dict[str, float | int | str] = {"longest": longest, "max_length": evidence.max_length}
    if evidence.positions is not None:
        numbers["positions"] = evidence.positions
    if evidence.positions is not None and longest > evidence.positions:
        detail = (
            f"row {at} has {longest} tokens and the model {evidence.positions} positions: lower [board] top_k or "
            "[board] extract_lines, or take a [student] base with more positions"
        )
        return Proof(name="length", passed=False, detail=detail, numbers=numbers)
    over = sum(length > evidence.max_length for length in evidence.lengths)
    if over:
        detail = (
            f"{over} of {len(evidence.lengths)} rows would be cut, row {at} has {longest} tokens: set "
            f"[{evidence.section}] max_length to {longest} or leave it out"
        )
        return Proof(name="length", passed=False, detail=detail, numbers={**numbers, "cut": over})
    return Proof(name="length", passed=True, detail=f"the longest row has {longest} tokens", numbers=numbers)


@proof("episodes", "template")
def prove_template(evidence: RowsEvidence) -> Proof:
    """At every turn, what serving renders is, token for token, the beginning of what is trained."""
    turns = 0
    for row, trained in zip(evidence.rows, evidence.inputs, strict=True):
        ids = list(trained)
        whole = render(evidence.tok, row.messages, row.tools, add_generation_prompt=False)
        if whole != ids:
            at = _differ(whole, ids)
            return _failed("template", evidence.tok, row, None, at, whole, ids, "the trainer's tokens are others")
        places = []
        for turn in row.turns:
            for end, opened in ((turn, True), (turn + 1, False)):
                served = whole  # the last turn is the whole row
                if opened or end < len(row.messages):
                    served = render(evidence.tok, row.messages[:end], row.tools, add_generation_prompt=opened)
                places.append(len(served))
                if ids[: len(served)] != served:
                    at = _differ(served, ids)
                    what = "its prompt is served otherwise" if opened else "later turns see it otherwise than written"
                    return _failed("template", evidence.tok, row, turn, at, served, ids, what)
            turns += 1
        evidence.spans[row.number] = list(zip(places[::2], places[1::2], strict=True))
    detail = f"{turns} turns of {len(evidence.rows)} rows are served as they are trained"
    return Proof(name="template", passed=True, detail=detail, numbers={"rows": len(evidence.rows), "turns": turns})


@proof("episodes", "mask")
def prove_mask(evidence: RowsEvidence) -> Proof:
    """Exactly the assistant's trained turns carry loss, thought, call and end-of-turn token; nothing else does."""
    stops = stop_ids(evidence.tok)
    pad = evidence.tok.pad_token_id
    if pad is None or pad == turn_end(evidence.tok):
        detail = "the pad token is the end-of-turn token, which would then never be learned: set another pad_token"
        return Proof(name="mask", passed=False, detail=detail)
    trained = spaces = turns = 0
    for row, ids, labels in zip(evidence.rows, evidence.inputs, evidence.labels, strict=True):
        carries = [label != IGNORED for label in labels]
        if not any(carries):
            detail = f"row {row.number}: no token carries loss; is a turn within the template's generation markers?"
            return Proof(name="mask", passed=False, detail=detail)
        wrong = next((at for at, label in enumerate(labels) if label not in (IGNORED, ids[at])), None)
        if wrong is not None:
            detail = f"row {row.number}, token {wrong}: its label is another token"
            return Proof(name="mask", passed=False, detail=detail)
        expected = [False] * len(ids)
        found = evidence.spans.get(row.number) or spans(row, evidence.tok)
        for turn, (start, end) in zip(row.turns, found, strict=True):
            if turn not in row.trained:
                continue
            expected[start:end] = [True] * len(expected[start:end])
            missing = _missing(evidence.tok, row.messages[turn], ids[start:end], stops)
            if missing:
                detail = f"row {row.number}, message {turn}: {missing} is not among the trained tokens: {WAY_OUT}"
                return Proof(name="mask", passed=False, detail=detail)
        for at, (want, have) in enumerate(zip(expected, carries, strict=True)):
            if want != have:
                word = evidence.tok.decode([ids[at]])
                if not word.strip():
                    spaces += 1  # templates differ in which side of the mask a line break falls
                    continue
                detail = f"row {row.number}, token {at} ({word!r}) is {'trained' if have else 'not trained'}"
                return Proof(
                    name="mask",
                    passed=False,
                    detail=detail + ": mend the generation markers of the template, [student] chat_template",
                )
        trained += sum(carries)
        turns += len(row.trained)
    total = sum(len(ids) for ids in evidence.inputs)
    left_out = sum(len(row.turns) - len(row.trained) for row in evidence.rows)
    detail = f"{trained} of {total} tokens are trained, all of {turns} assistant turns and nothing besides"
    numbers: dict[str, float | int | str] = {"tokens": total, "trained": trained, "turns": turns, "spaces": spaces}
    if left_out:
        detail += f"; {left_out} turns that were sent back are not trained"
        numbers["untrained_turns"] = left_out
    return Proof(name="mask", passed=True, detail=detail, numbers=numbers)


@proof("texts", "packing")
def prove_packing(evidence: PackedEvidence) -> Proof:
    """Every token of every document is trained once, in order, each document closed by the end token."""
    wanted = [token for document in evidence.documents for token in document]
    packed = [token for block in evidence.blocks for token in block]
    numbers: dict[str, float | int | str] = {"documents": len(evidence.documents), "tokens": len(wanted)}
    numbers |= {"blocks": len(evidence.blocks), "max_length": evidence.max_length}
    longest = max(len(block) for block in evidence.blocks)
    open_ended = sum(document[-1] not in stop_ids(evidence.tok) for document in evidence.documents)
    if packed != wanted:
        detail = f"{len(packed)} tokens are packed where the documents have {len(wanted)}"
    elif longest > evidence.max_length or (evidence.positions is not None and longest > evidence.positions):
        detail = f"a block has {longest} tokens: set [{evidence.section}] max_length to at most {evidence.positions}"
    elif open_ended:
        detail = f"{open_ended} documents are not closed by an end token"
    else:
        detail = f"{len(wanted)} tokens of {len(evidence.documents)} documents stand in {len(evidence.blocks)} blocks"
        return Proof(name="packing", passed=True, detail=detail, numbers=numbers)
    return Proof(name="packing", passed=False, detail=detail, numbers=numbers)


def _missing(tok: Any, message: dict[str, Any], span: Sequence[int], stops: Sequence[int]) -> str | None:
    """What of a turn is not in its tokens: its text, a call, or the end-of-turn token."""
    text = tok.decode(list(span))
    content = escape_special_tokens(tok, message.get("content") or "").strip()
    # through the tokenizer, and without spaces: some tokenizers normalise text, most templates strip it
    stated = tok.decode(tok(content, add_special_tokens=False)["input_ids"])
    if "".join(stated.split()) not in "".join(text.split()):
        return f"the text {content[:60]!r}"
    for call in message.get("tool_calls") or []:
        if call["function"]["name"] not in text:
            return f"the call of {call['function']['name']!r}"
    solid = [token for token in span if tok.decode([token]).strip()]
    if not solid or solid[-1] not in stops:
        return "the end-of-turn token"
    return None


def _differ(left: Sequence[int], right: Sequence[int]) -> int:
    """First place where two token lists differ."""
    pairs = zip(left, right, strict=False)
    return next((at for at, (one, two) in enumerate(pairs) if one != two), min(len(left), len(right)))


def _failed(
    name: str, tok: Any, row: Row, turn: int | None, at: int, served: Sequence[int], trained: Sequence[int], what: str
) -> Proof:
    place = f"row {row.number}" + (f", message {turn}" if turn is not None else "") + f", token {at}"
    near = f"served {tok.decode(list(served[at : at + 8]))!r}, trained {tok.decode(list(trained[at : at + 8]))!r}"
    step = 'give a template that keeps earlier turns as they were: [student] chat_template = "chatml", or a Jinja file'
    detail = f"{place}: {what} ({near}): {step}"
    return Proof(name=name, passed=False, detail=detail, numbers={"row": row.number, "token": at})
