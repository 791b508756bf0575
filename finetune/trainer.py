"""One training with a trainer of TRL's: quiet on stdout, resumable, its curve written as it goes.

Checkpoints lie in `OUT.partial/`, beside a fingerprint of data, base and settings; the same training started again goes
on from the last whole checkpoint, another one starts clean. bf16 is used only where the device has it (TRL's default of
bf16 on a CPU is twelve times slower, measured).
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging as transformers_logging

from agents.bars import bars_off
from agents.errors import StageError, need
from agents.files import read_json, write_json
from agents.models.engine import default_device, load_model
from agents.models.weights import Weights
from agents.text import first_line

from .memory import kept_memory
from .merge import merged
from .settings import TrainConfig


@dataclass
class Opened:
    """A base ready to be trained."""

    model: Any
    parameters: int
    positions: int | None
    name: str
    """How an adapter names it: empty where the base had to be merged and must be saved with the adapter."""


@dataclass(frozen=True)
class Ran:
    """How a training went."""

    model: Any
    steps: int
    resumed_from: int
    seconds: float
    curve: tuple[dict[str, float], ...]


def open_base(base: str, weights: Weights, config: TrainConfig) -> Opened:
    """Open what is trained on: an adapter as base is merged into its own base first.

    Raises:
        SeatError: no model there.
        MissingExtra: method qlora without bitsandbytes.
    """
    device = default_device()
    if config.method == "qlora":
        need("bitsandbytes", "qlora")
        model = _open_quantised(weights, device)
    else:
        half = device.type == "cuda" and config.method == "lora" and torch.cuda.is_bf16_supported()
        dtype = "bfloat16" if half else "float32"
        model = merged(base, dtype=dtype) if weights.adapter is not None else load_model(weights.base, device, dtype)
    text = model.config.get_text_config()
    positions = getattr(text, "max_position_embeddings", None)
    # counted by shape: a packed 4-bit weight has fewer numbers than it stands for
    count = sum(parameter.numel() for parameter in model.parameters()) * (2 if config.method == "qlora" else 1)
    return Opened(model, count, positions, "" if weights.adapter is not None else weights.base)


def _open_quantised(weights: Weights, device: torch.device) -> Any:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    if weights.adapter is not None:
        raise StageError(
            'method = "qlora" cannot start from an adapter: merge it first (`retort merge`), or set method = "lora", '
            'or [cpt] method = "full"'
        )
    settings: dict[str, Any] = {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": torch.bfloat16 if device.type == "cuda" else torch.float32,
    }
    quantisation = BitsAndBytesConfig(**settings)  # type: ignore[no-untyped-call]
    return AutoModelForCausalLM.from_pretrained(
        weights.base, quantization_config=quantisation, device_map={"": str(device)}
    )


def adapter_config(config: TrainConfig) -> Any:
    """PEFT's config for the adapter; None for full training."""
    if config.method == "full":
        return None
    from peft import LoraConfig

    target = config.target if isinstance(config.target, str) else list(config.target)
    return LoraConfig(
        r=config.r, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=target, task_type="CAUSAL_LM"
    )


class Curve(TrainerCallback):
    """Writes losses.jsonl line by line and moves the progress bar on stderr."""

    def __init__(self, file: Path, desc: str) -> None:
        self.file, self.desc = file, desc
        self.lines: list[dict[str, float]] = []
        self.bar: Any = None
        self.began = time.monotonic()
        self.before = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep what an earlier process wrote up to the checkpoint."""
        if self.file.exists():
            old = [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines() if line.strip()]
            self.lines = [line for line in old if line["step"] <= state.global_step]
        self.file.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
        self.before = self.lines[-1]["seconds"] if self.lines else 0.0
        self.began = time.monotonic()
        self.bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            desc=self.desc,
            unit="step",
            disable=bars_off(),
            file=sys.stderr,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One optimiser step."""
        self.bar.update(1)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """One point of the curve."""
        if not logs or "loss" not in logs:
            return
        line = {
            "step": state.global_step,
            "loss": float(logs["loss"]),
            "lr": float(logs.get("learning_rate", 0.0)),
            "seconds": round(self.before + time.monotonic() - self.began, 3),
            "tokens": int(logs.get("num_tokens", 0)),
        }
        # of preference training: the margin between both sides, and how often it is on the right one
        line |= {key.partition("/")[2]: float(value) for key, value in logs.items() if key.startswith("rewards/")}
        self.lines.append(line)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        self.bar.set_postfix_str(f"loss {line['loss']:.3f}")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar.close()


@contextmanager
def layers_named(section: str, config: TrainConfig) -> Iterator[None]:
    """Turns PEFT's and TRL's refusal of an adapter's layers into a StageError that names the key."""
    layers = [config.target] if isinstance(config.target, str) else config.target
    step = 'set it to "all-linear", or name linear layers of the model, lm_head not among them'
    if config.method != "full" and "lm_head" in layers:
        raise StageError(f"an adapter on the head cannot be trained, [{section}] target = {config.target!r}: {step}")
    try:
        yield
    except ValueError as error:
        text = first_line(error)
        if config.method == "full" or "arget" not in text:
            raise
        raise StageError(
            f"no adapter can be put on the layers of [{section}] target = {config.target!r} ({text}): {step}"
        ) from error


@contextmanager
def memory_named(section: str) -> Iterator[None]:
    """Turns too little memory into a StageError that names the keys that make it less."""
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise StageError(
            f"the training does not fit into memory: halve [{section}] batch and double [{section}] accumulate, or set "
            f'[{section}] method = "lora"'
        ) from error


def partial_folder(out: Path, fingerprint: str) -> Path:
    """`OUT.partial/`, emptied when it belongs to another training."""
    folder = out.parent / f"{out.name}.partial"
    mark = folder / "fingerprint.json"
    if not mark.exists() or read_json(mark, "train") != fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_json(mark, fingerprint)
    return folder


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole and has steps to come; trainer_state.json is the last file that one gets.

    One that was saved at the last step is passed over: resumed there, transformers 5.23 makes a step more, at another
    learning rate each time that it is killed and resumed again.
    """
    whole = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json") if _unfinished(path)]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _unfinished(state: Path) -> bool:
    try:
        stated = json.loads(state.read_text(encoding="utf-8"))
        return int(stated["global_step"]) < int(stated["max_steps"])
    except (ValueError, KeyError, TypeError):
        return False


def build_trainer(
    opened: Opened,
    tok: Any,
    dataset: Any,
    config: TrainConfig,
    folder: Path,
    *,
    seed: int,
    rows: int,
    desc: str,
    options: dict[str, Any],
    classes: tuple[Any, Any],
) -> Any:
    """TRL's trainer with the settings of `config`.

    Args:
        options: go to the trainer's arguments besides.
        classes: the trainer, and the class of its arguments.
    """
    device = default_device()
    gpu = device.type == "cuda"
    per_epoch = max(1, math.ceil(rows / (config.batch * config.accumulate)))
    steps = config.max_steps or math.ceil(per_epoch * config.epochs)
    kind, arguments = classes
    args = arguments(
        output_dir=str(folder),
        per_device_train_batch_size=config.batch,
        gradient_accumulation_steps=config.accumulate,
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        learning_rate=config.rate(opened.parameters),
        lr_scheduler_type=config.scheduler,
        warmup_steps=round(config.warmup * steps),
        weight_decay=config.weight_decay,
        seed=seed,
        data_seed=seed,
        bf16=gpu and torch.cuda.is_bf16_supported(),
        use_cpu=not gpu,
        activation_checkpointing=gpu,
        dataloader_pin_memory=gpu,
        logging_steps=max(1, steps // 200),
        save_strategy="steps",
        save_steps=config.save_every,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        **options,
    )
    with quiet_libraries():
        trainer = kind(
            model=opened.model,
            args=args,
            train_dataset=dataset,
            processing_class=tok,
            peft_config=adapter_config(config),
            callbacks=[Curve(folder / "losses.jsonl", desc)],
        )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout
    return trainer


def run_trainer(trainer: Any, folder: Path) -> Ran:
    """Train, from the last whole checkpoint in `folder` where there is one."""
    checkpoint = last_checkpoint(folder)
    resumed = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
    for broken in folder.glob("checkpoint-*"):
        if not (broken / "trainer_state.json").exists():
            shutil.rmtree(broken)
    began = time.monotonic()
    with quiet_libraries(), kept_memory():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    curve = next(each for each in trainer.callback_handler.callbacks if isinstance(each, Curve))
    return Ran(trainer.model, trainer.state.global_step, resumed, time.monotonic() - began, tuple(curve.lines))


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Without the bars and remarks of datasets and transformers; ours is the one bar."""
    import datasets

    bars = datasets.utils.are_progress_bars_disabled()
    own, level = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            # PEFT 0.21 asks transformers 5.23 for a property under its old name
            warnings.filterwarnings("ignore", message=".is_gradient_checkpointing. is", category=FutureWarning)
            yield
    finally:
        if not bars:
            datasets.enable_progress_bars()
        if own:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        transformers_logging.set_verbosity(level)
