"""Pairs of turns for the tests of DPO: right and wrong searches and answers over the tiny models' capitals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny_models import PAIRS, SEARCH, episode


def pair_rows() -> list[dict[str, Any]]:
    """A pair at the first turn and one at the last turn of each episode, as data/dpo.jsonl has them."""
    rows = []
    for at, (city, country) in enumerate(PAIRS):
        whole = episode(city, country)
        early = {"role": "assistant", "content": "I know this one.\nAnswer: Atlantis"}
        other = {"role": "assistant", "content": f"The manual shows it.\nQuote: {city} is the capital\nAnswer: Oslo"}
        for turn, worse in ((2, early), (4, other)):
            rows.append(
                {
                    "messages": whole[:turn],
                    "tools": json.dumps([SEARCH]),
                    "chosen": whole[turn],
                    "rejected": worse,
                    "key": f"k{at}",
                    "rejected_key": f"r{at}-{turn}",
                    "task_id": f"t{at}",
                    "turn": turn,
                    "reason": "wrong",
                }
            )
    return rows


def dpo_file(folder: Path) -> Path:
    """A data/dpo.jsonl of six pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dpo.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in pair_rows()), encoding="utf-8")
    return path
