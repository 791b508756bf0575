"""What all trainings have in common: open the base, prove the rows, train, stage the student, prove it, publish it.

A method (methods.py) says what its rows are and which trainer takes them; everything that must be the same for all
stands here.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from agents.context import Transport
from agents.files import write_json, write_jsonl
from agents.models.rendering import load_tokenizer, stop_ids
from agents.models.templates import template_text
from agents.models.weights import find_weights
from graphs.trajectory import digest

from .memory import release
from .methods import Job, Method
from .proofs import Proof, demand, run_proofs
from .proofs_student import StudentEvidence, read
from .settings import TrainConfig, TrainingResult
from .student import base_name, declare_stops, staged, versions, write_adapter, write_seat
from .trainer import (
    build_trainer,
    last_checkpoint,
    layers_named,
    memory_named,
    open_base,
    partial_folder,
    quiet_libraries,
    run_trainer,
)

R = TypeVar("R")


def fingerprint(
    base: str, data: Path, config: TrainConfig, seed: int, transport: Transport = "native", method: str = ""
) -> str:
    """Changes when anything does that a training depends on."""
    template = template_text(config.chat_template) if config.chat_template is not None else None
    content = hashlib.sha256(data.read_bytes()).hexdigest()
    weights = find_weights(base)
    own = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in _adapter_files(weights.adapter)]
    return digest(weights.signature(), own, content, config.model_dump(), seed, transport, template, method)


def train(method: Method[Any, R], job: Job[Any], rows: R) -> TrainingResult:
    """Run one training to a published student; raises as `Method.train` says."""
    base, out, config = job.base, job.out, job.config
    weights = find_weights(base)
    tok = load_tokenizer(weights.tokenizer_path, chat_template=config.chat_template, training=True)
    folder = partial_folder(out, fingerprint(base, job.data, config, job.seed, job.transport, method.name))
    try:
        opened = open_base(base, weights, config)
        made = method.prepare(rows, tok, opened.positions, job)
        prompts = method.prompts(made.rows, tok)
        before = read(opened.model.eval(), prompts) if config.method == "full" else None
        with layers_named(method.name, config):
            trainer = build_trainer(
                opened,
                tok,
                made.dataset,
                config,
                folder,
                seed=job.seed,
                rows=made.number,
                desc=f"{method.name.upper()} {out.name}",
                options={"max_length": made.max_length, **made.options},
                classes=method.trainer(),
            )
        proofs = [*made.proofs, *method.prove(made, trainer, tok, opened.positions)]
        demand(proofs)
    except BaseException:
        if last_checkpoint(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    tokens, trained = method.counts(trainer.train_dataset)
    with memory_named(method.name):
        ran = run_trainer(trainer, folder)
    model, stops = ran.model.eval(), stop_ids(tok)
    after = read(model, prompts) if config.method != "qlora" else None
    steps, resumed, seconds, curve = ran.steps, ran.resumed_from, ran.seconds, ran.curve
    with staged(out) as student:
        with quiet_libraries():
            if config.method == "full":
                declare_stops(model, stops, tok.pad_token_id)
                model.save_pretrained(student)
            else:
                _save_adapter(model, student, base, out, opened.name)
            tok.save_pretrained(student)
        del model, trainer, opened, ran  # with the optimiser's state: the proofs open the student afresh
        release()
        evidence = StudentEvidence(student, prompts, stops, tok.pad_token_id, after, before, method.name)
        with quiet_libraries():
            proofs += _prove_student(evidence, config)
        demand(proofs, student / "proofs.json")
        write_seat(student, trained=method.name, method=config.method, base=base, transport=job.transport)
        write_jsonl(student / "losses.jsonl", curve)
        losses = [line["loss"] for line in curve]
        result = TrainingResult(
            out=out,
            method=config.method,
            base=base,
            rows=made.number,
            tokens=tokens,
            trained_tokens=trained,
            max_length=made.max_length,
            steps=steps,
            resumed_from=resumed,
            seconds=round(seconds, 3),
            first_loss=losses[0] if losses else None,
            last_loss=losses[-1] if losses else None,
            proofs=tuple(proofs),
        )
        record = result.model_dump(mode="json", exclude={"out", "proofs"})
        more = {"kind": method.name, "seed": job.seed, "config": config.model_dump(mode="json"), "versions": versions()}
        write_json(student / "training.json", {**record, **more})
    shutil.rmtree(folder, ignore_errors=True)
    return result


def _save_adapter(model: Any, student: Path, base: str, out: Path, opened: str) -> None:
    """Save the adapter; a base that was an adapter itself goes, merged, into the folder `base` within."""
    if opened:
        write_adapter(model, student, base_name(base, find_weights(base), out))
        return
    from .merge import merged

    write_adapter(model, student, "base")
    merged(base).save_pretrained(student / "base")


def _prove_student(evidence: StudentEvidence, config: TrainConfig) -> list[Proof]:
    try:
        proofs = run_proofs("student", evidence)
        if config.method != "full":
            proofs += run_proofs("adapter", evidence)  # the last ones: they merge in place
        return proofs
    finally:
        evidence.close()


def _adapter_files(adapter: Path | None) -> Sequence[Path]:
    return sorted(adapter.glob("*.safetensors")) if adapter is not None else []
