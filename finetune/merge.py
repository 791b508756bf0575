"""Merging: an adapter put into its base's weights, for servers that take no adapters and for training on top of it.

The base is opened in 16 or 32 bits, never in 4: a merge into quantised weights drifts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.errors import FolderError, SeatError
from agents.folders import absolute, made_folder, refuse_foreign
from agents.models.rendering import load_tokenizer, stop_ids
from agents.models.weights import find_weights

from .student import declare_stops


def merged(name: str, *, dtype: str | None = None, device: str | None = None) -> Any:
    """The full model that `name` stands for, with its adapter, if it is one, merged; raises SeatError."""
    import torch

    from agents.models.engine import default_device, load_model, put_on

    weights = find_weights(name)
    model = load_model(weights.base, torch.device(device) if device else default_device(), dtype)
    if weights.adapter is None:
        return model
    return merged_in_place(put_on(model, weights.adapter))


def merged_in_place(adapted: Any) -> Any:
    """The full model that a model with an adapter becomes, in its place; raises SeatError where it cannot be merged."""
    if not hasattr(adapted.base_model, "merge_and_unload"):
        kind = next(iter(adapted.peft_config.values())).peft_type
        raise SeatError(f"an adapter of type {kind!s} cannot be merged: serve it as it is")
    whole: Any = adapted.merge_and_unload(safe_merge=True)
    return whole.eval()


def merge(adapter: str, out: Path) -> Path:
    """Write the adapter in folder `adapter`, merged, as a full model with its tokenizer to the folder `out`.

    Args:
        out: a folder that is not there, an empty one, or one that an earlier merge made and nobody changed.

    Raises:
        SeatError: `adapter` is no adapter, or cannot be merged.
        FolderError: `out` holds anything else, or lies in the adapter's folder. Nothing of it is changed.
    """
    weights = find_weights(adapter)
    if weights.adapter is None:
        raise SeatError(f"{adapter!r} is a full model already: there is nothing to merge")
    refuse_foreign(out, "merge")  # before minutes of work
    if weights.adapter is not None and absolute(weights.adapter) in (absolute(out), *absolute(out).parents):
        raise FolderError(f"{str(out)!r} lies in the adapter's own folder: give one beside it")
    tok = load_tokenizer(weights.tokenizer_path)
    model = merged(adapter)
    declare_stops(model, stop_ids(tok), tok.pad_token_id)
    with made_folder(out, "merge") as folder:
        model.save_pretrained(folder)
        tok.save_pretrained(folder)
    return out
