"""An SFT trainer that learns its rows and holds the answers of its anchors where they are."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alignment.corrections.anchors import Anchor, divergence
from alignment.data.prompts import drawn
from alignment.training.batching.micro_batches import Batch, split_rows
from alignment.training.batching.trainer_compat import LengthGroupedTrainer


class AnchoredTrainer(LengthGroupedTrainer):
    """SFT whose loss adds `anchor_weight` times the KL divergence from the parent at anchors, some in each update."""

    def __init__(
        self,
        *args: Any,
        anchors: Sequence[Anchor],
        anchor_weight: float,
        anchors_an_update: int,
        **options: Any,
    ) -> None:
        """`options`: LengthGroupedTrainer's."""
        self.anchors = anchors
        self.anchor_weight = anchor_weight
        self.anchors_an_update = anchors_an_update
        super().__init__(*args, **options)

    def training_step(self, model: Any, inputs: Batch, num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward of a batch and of this update's anchors; the sum of both losses."""
        kept = self._backward_of_anchors(model)
        return super().training_step(model, inputs, num_items_in_batch) + kept

    def _backward_of_anchors(self, model: Any) -> Tensor:
        model.train()
        processes = self.accelerator.num_processes
        # The processes' gradients are averaged, so that each takes anchors of its own.
        place = self.state.global_step * processes + self.accelerator.process_index
        chosen = drawn(self.anchors, place, self.anchors_an_update, f"anchors {self.args.seed}")
        total = torch.zeros((), device=self.accelerator.device)
        lengths = [len(anchor.prompt_ids) + len(anchor.completion_ids) for anchor in chosen]
        tokens = sum(len(anchor.completion_ids) for anchor in chosen)
        for group in split_rows(lengths, self.tokens_at_once):
            part = [chosen[number] for number in group]
            share = sum(len(anchor.completion_ids) for anchor in part) / max(tokens, 1)
            with self.accelerator.no_sync(model):
                with self.compute_loss_context_manager():
                    loss = self.anchor_weight * share * divergence(model, part)
                self.accelerator.backward(loss)
            total += loss.detach()
        return total
