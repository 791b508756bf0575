"""The loss of SFT and CPT on a CPU: TRL's own number, of logits made for trained positions alone.

TRL's fused head scores every position of a row where there is no Triton, in some ten passes over the logits: 39 % of a
CPU step of the tiny base, whose rows train one token in four. Padding stands on the right, where causal attention never
looks back from, so its mask is left out, and the attention kernel does half of the work.
Together with finetune/memory.py 2,050 -> 3,790 tokens a CPU second (1.4 M parameters, rows of 480 tokens, one thread).
"""

from __future__ import annotations

from typing import Any

import torch
from trl.trainer.sft_trainer import SFTTrainer

BLOCK = 1 << 25
"""Logits held at a time: 128 MiB of float32."""
SCALES = ("logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")
"""Entries of a model's config that multiply the product with the head."""


class _SummedLoss(torch.autograd.Function):
    """Negative log-likelihood, summed; gradients are made with the logits, so that these are held a block at a time."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any, bias: Any, targets: Any, block: int) -> Any:
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        to_hidden = torch.empty_like(hidden) if wants_hidden else None
        to_weight = torch.zeros_like(weight) if wants_weight else None
        to_bias = torch.zeros_like(bias) if wants_bias else None
        total = hidden.new_zeros(())
        rows = max(1, block // weight.shape[0])
        for at in range(0, hidden.shape[0], rows):
            part, labels = hidden[at : at + rows], targets[at : at + rows, None]
            logits = part @ weight.t()
            if bias is not None:
                logits += bias
            spread = torch.log_softmax(logits, -1)
            total -= spread.gather(1, labels).sum()
            if not (wants_hidden or wants_weight or wants_bias):
                continue
            slope = spread.exp_().scatter_add_(1, labels, spread.new_full((), -1.0).expand(labels.shape))
            if to_hidden is not None:
                torch.mm(slope, weight, out=to_hidden[at : at + rows])
            if to_weight is not None:
                to_weight.addmm_(slope.t(), part)
            if to_bias is not None:
                to_bias += slope.sum(0)
        ctx.save_for_backward(to_hidden, to_weight, to_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> Any:
        return *(None if slope is None else slope * outer[0] for slope in ctx.saved_tensors), None, None


def summed_loss(hidden: Any, weight: Any, bias: Any, targets: Any, *, block: int = BLOCK) -> Any:
    """Negative log-likelihood of `targets` under softmax(hidden @ weight.T + bias), summed over positions.

    Args:
        hidden: (positions, width), float32.
        weight: (vocabulary, width).
        bias: (vocabulary,) or None.
        targets: (positions,) token ids.
        block: logits held at a time.
    """
    return _SummedLoss.apply(hidden, weight, bias, targets, block)  # type: ignore[no-untyped-call]


def padded_right(mask: Any) -> bool:
    """Whether each row of an attention mask is ones followed by zeros."""
    return bool((mask[:, 1:] <= mask[:, :-1]).all())


class LeanTrainer(SFTTrainer):
    """TRL's trainer, with its loss computed for trained positions alone where that is the same number."""

    def lean(self) -> bool:
        """Whether the head is a plain float32 product on a CPU; otherwise TRL's own loss is used."""
        bare = self._bare()
        config, head = bare.config.get_text_config(), bare.get_output_embeddings()
        return (
            type(head) is torch.nn.Linear
            and head.weight.device.type == "cpu"
            and head.weight.dtype == torch.float32
            and self.accelerator.num_processes == 1
            and getattr(self.args, "loss_type", None) == "nll"
            and not self.args.bf16
            and not self.aux_loss_enabled
            and getattr(config, "final_logit_softcapping", None) is None
            and all(getattr(config, name, None) in (None, 1) for name in SCALES)
        )

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean negative log-likelihood of the trained tokens of a batch."""
        mask = inputs.get("attention_mask")
        if return_outputs or not model.training or mask is None or not self.lean():
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[no-untyped-call]
        bare = self._bare()
        given = {name: value for name, value in inputs.items() if name not in ("labels", "use_cache")}
        if padded_right(mask):
            del given["attention_mask"]
        hidden = bare.base_model(**given, use_cache=False).last_hidden_state[:, :-1]
        labels = inputs["labels"][:, 1:]
        trained = labels != -100
        head = bare.get_output_embeddings()
        loss = summed_loss(hidden[trained], head.weight, head.bias, labels[trained])
        items = trained.sum() if num_items_in_batch is None else num_items_in_batch
        self._total_train_tokens += int(mask.sum())
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return loss / torch.as_tensor(items).clamp(min=1)

    def _bare(self) -> Any:
        """The model without PEFT's wrapper; adapters stay in its layers."""
        model: Any = self.model
        return model.get_base_model() if hasattr(model, "peft_config") else model
