"""The tiny base: a reader of 1.4 M parameters that ships with the project, and the recipe that made it from nothing.

It can read and copy, and has seen no tool call, no exam and no page of any manual. `WEIGHTS` is the shipped model
folder; its README.md says what was trained, for how long, and what was measured.
"""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).with_name("weights")
"""A folder for transformers' `from_pretrained`: weights, configuration, tokenizer, chat and response template."""

__all__ = ["WEIGHTS"]
