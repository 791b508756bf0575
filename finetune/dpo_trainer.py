"""TRL's DPO trainer on tokens that are made already, with a reference that is read once before the first step."""

from __future__ import annotations

from typing import Any

import torch
from trl.trainer.dpo_trainer import DPOTrainer


class PairTrainer(DPOTrainer):
    """TRL's trainer for rows of `prompt_ids`, `chosen_ids` and `rejected_ids`."""

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        """The rows as they are: rendered here they would be tokens of another template's."""
        return dataset

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        """The log-probabilities of the model before, as two columns; in memory, where TRL keeps them in a file."""
        chosen: list[float] = []
        rejected: list[float] = []
        model: Any = self.model
        was, _ = model.training, model.eval()
        for start in range(0, len(dataset), batch_size):
            rows = [dataset[at] for at in range(start, min(start + batch_size, len(dataset)))]
            one, two = self.compute_ref_log_probs(model, self.collated(rows))  # type: ignore[no-untyped-call]
            chosen += one.float().tolist()
            rejected += two.float().tolist()
        model.train(was)
        return dataset.add_column("ref_chosen_logps", chosen).add_column("ref_rejected_logps", rejected)

    def collated(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Rows as one batch on the device."""
        batch = self.data_collator(rows)
        return {name: value.to(self.accelerator.device) for name, value in batch.items()}

    def log_probabilities(self, row: dict[str, Any]) -> tuple[float, float, float, float]:
        """Of one pair as the loss counts them: chosen and rejected turn, and both by the reference.

        Read from what the loss logs, so that it is the very sum that is trained.
        """
        model: Any = self.model
        was, _ = model.training, model.eval()
        try:
            with torch.no_grad(), self.compute_loss_context_manager():
                self._metrics["eval"].clear()
                self.compute_loss(model, self.collated([row]))  # type: ignore[no-untyped-call]
                metrics = {key: value[-1] for key, value in self._metrics["eval"].items()}
        finally:
            self._metrics["eval"].clear()
            model.train(was)
        chosen, rejected = metrics["logps/chosen"], metrics["logps/rejected"]
        gained = [metrics[f"rewards/{side}"] / self.beta for side in ("chosen", "rejected")]
        return chosen, rejected, chosen - gained[0], rejected - gained[1]
