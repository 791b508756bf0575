"""The loss of training on a CPU: TRL's own number and gradients, with logits made of trained positions alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tiny_models import sft_file, tiny_model

from agents.models.rendering import load_tokenizer
from agents.models.weights import find_weights
from finetune.rows import episodes_dataset, read_episodes
from finetune.settings import TrainConfig
from finetune.sft import Sft
from finetune.trainer import build_trainer, open_base


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loss")
    tiny_model(folder / "base")
    sft_file(folder)
    return folder


def trainer_of(home: Path, tmp_path: Path, config: TrainConfig) -> Any:
    base = str(home / "base")
    tok = load_tokenizer(base, training=True)
    opened = open_base(base, find_weights(base), config)
    dataset = episodes_dataset(read_episodes(home / "sft.jsonl"), tok)
    options = {"assistant_only_loss": True, "packing": False, "max_length": 1024}
    return build_trainer(
        opened, tok, dataset, config, tmp_path, seed=0, rows=3, desc="x", options=options, classes=Sft("sft").trainer()
    )


def batch_of(trainer: Any) -> dict[str, Any]:
    """The three episodes as one padded batch."""
    return dict(trainer.data_collator([trainer.train_dataset[at] for at in range(3)]))


def loss_and_gradients(trainer: Any, compute: Any, batch: dict[str, Any], items: Any) -> tuple[float, dict[str, Any]]:
    trainer.model.train()
    trainer.model.zero_grad()
    loss = compute(trainer.model, dict(batch), num_items_in_batch=items)
    loss.backward()
    grads = {n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None}
    return float(loss.detach()), grads


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("items", [None, 300])
def test_loss_and_gradients_are_those_of_trl(home: Path, tmp_path: Path, method: Any, items: int | None) -> None:
    from trl.trainer.sft_trainer import SFTTrainer

    trainer = trainer_of(home, tmp_path, TrainConfig(method=method, batch=3, r=4))
    batch = batch_of(trainer)
    lengths = batch["attention_mask"].sum(-1).tolist()
    assert len(set(lengths)) > 1, "the batch must hold padding"
    stock = partial(SFTTrainer.compute_loss, trainer)
    theirs, wanted = loss_and_gradients(trainer, stock, batch, items)
    ours, found = loss_and_gradients(trainer, trainer.compute_loss, batch, items)
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert set(found) == set(wanted)
    assert max(float((found[name] - wanted[name]).abs().max()) for name in wanted) < 1e-5
    assert trainer._metrics["train"]["num_tokens"][-1] == 2 * sum(lengths)


def test_only_trained_positions_meet_the_vocabulary(home: Path, tmp_path: Path) -> None:
    import torch

    trainer = trainer_of(home, tmp_path, TrainConfig(method="full", batch=3))
    batch = batch_of(trainer)
    trainer.model.train()
    trained = int((batch["labels"][:, 1:] != -100).sum())
    vocabulary = trainer.model.config.vocab_size
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as record:
        trainer.compute_loss(trainer.model, dict(batch))
    rows = [
        shapes[0][0]
        for event in record.events()
        if event.name == "aten::mm" and len(shapes := event.input_shapes) > 1 and shapes[1][-1:] == [vocabulary]
    ]
    assert sum(rows) == trained < batch["labels"].numel()


def test_many_positions_are_worked_in_blocks() -> None:
    import torch

    from finetune.loss import summed_loss

    torch.manual_seed(0)
    hidden = torch.randn(50, 8, requires_grad=True)
    weight, bias = torch.randn(20, 8, requires_grad=True), torch.randn(20, requires_grad=True)
    targets = torch.randint(0, 20, (50,))
    whole = torch.nn.functional.cross_entropy(hidden @ weight.T + bias, targets, reduction="sum")
    wanted = torch.autograd.grad(whole, (hidden, weight, bias))
    parts = summed_loss(hidden, weight, bias, targets, block=7 * 20)
    found = torch.autograd.grad(parts * 3, (hidden, weight, bias))
    assert float(parts.detach()) == pytest.approx(float(whole.detach()), rel=1e-6)
    for one, two in zip(found, wanted, strict=True):
        assert torch.allclose(one, two * 3, atol=1e-4)
    frozen = weight.detach()
    assert torch.autograd.grad(summed_loss(hidden, frozen, None, targets), hidden)[0].shape == hidden.shape


def test_a_head_that_scales_its_logits_keeps_trl_s_loss(home: Path, tmp_path: Path) -> None:
    trainer = trainer_of(home, tmp_path, TrainConfig(method="full", batch=3))
    batch = batch_of(trainer)
    trainer.model.train()
    assert trainer.lean()
    before = float(trainer.compute_loss(trainer.model, dict(batch)).detach())
    trainer.model.config.final_logit_softcapping = 1.0
    assert not trainer.lean()
    assert float(trainer.compute_loss(trainer.model, dict(batch)).detach()) == pytest.approx(before, abs=1e-5)


def test_padding_on_the_left_keeps_its_mask() -> None:
    import torch

    from finetune.loss import padded_right

    assert padded_right(torch.tensor([[1, 1, 0], [1, 1, 1]]))
    assert not padded_right(torch.tensor([[0, 1, 1], [1, 1, 1]]))


def test_memory_is_kept_between_steps_and_given_back_after() -> None:
    import platform

    import torch

    from finetune.memory import kept_memory, resident

    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library than glibc")
    with kept_memory():
        before = faults()
        for _ in range(40):
            torch.ones(9 << 20)  # 36 MiB, which glibc would map afresh each time
        assert faults() - before < 20 * (36 << 20) / 4096
        high = resident()
    assert resident() < high - (16 << 20)


def faults() -> int:
    """Pages of memory that this process has asked for."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
