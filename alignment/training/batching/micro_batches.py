"""Micro-batches: a batch goes through the model in parts that fit into memory, and their gradients add up to its own.

A part's loss is weighted by its share of the batch's rows (or of its supervised tokens, where the loss is their mean),
so that an update does not depend on how its batch was split.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, distributed

Batch = dict[str, Any]

WIDTHS = 32
"""Widths of batches that are trained on are multiples of this, so that few occur. On a CPU, oneDNN compiles a kernel
for each shape of a product and keeps it, which takes time and memory for each new width."""


def rounded_up(width: int) -> int:
    """The next multiple of WIDTHS."""
    return -(-width // WIDTHS) * WIDTHS


def split_rows(lengths: Sequence[int], tokens_at_once: int) -> list[list[int]]:
    """Numbers of the rows of each micro-batch: rows of like length, of at most `tokens_at_once` tokens with padding.

    The longest rows come first: what does not fit into memory then fails at once. A row that is longer than that is a
    micro-batch of its own.
    """
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if not groups or (len(groups[-1]) + 1) * lengths[groups[-1][0]] > tokens_at_once:
            groups.append([])
        groups[-1].append(row)
    return groups


def split_further(groups: list[list[int]], count: int) -> list[list[int]]:
    """The same rows in `count` groups, or as many as there are rows: the largest groups are halved."""
    groups = list(groups)
    while len(groups) < count:
        largest = max(range(len(groups)), key=lambda number: len(groups[number]))
        group = groups[largest]
        if len(group) == 1:
            break
        groups[largest : largest + 1] = [group[: len(group) // 2], group[len(group) // 2 :]]
    return groups


def take_rows(batch: Batch, rows: Sequence[int], count: int) -> Batch:
    """The given ones of a batch's `count` rows, as they are; a tensor may hold several blocks of all rows."""
    taken = {}
    for name, value in batch.items():
        if isinstance(value, Tensor) and value.dim() and len(value) and len(value) % count == 0:
            blocks = range(0, len(value), count)
            value = value[[block + row for block in blocks for row in rows]]
        taken[name] = value
    return taken


def without_padding(batch: Batch, mask: str, columns: Sequence[str]) -> Batch:
    """The batch without the last columns that are padding in all rows, as `batch[mask]` says.

    `columns`: the tensors that are cut, of the mask's shape. The width is rounded up as far as the batch goes.
    """
    width = rounded_up(int(batch[mask].sum(dim=1).max()))
    return {**batch, **{name: batch[name][:, :width] for name in columns if name in batch}}


class MicroBatches:
    """A mixin for a Trainer: each batch goes through the model in micro-batches of at most `tokens_at_once` tokens.

    `compute_loss` is called on micro-batches. A trainer says by `row_lengths`, `micro_batch` and `weight` what a row of
    its batches is.
    """

    accelerator: Accelerator

    def __init__(self, *args: Any, tokens_at_once: int, **options: Any) -> None:
        """`options`: Trainer's."""
        self.tokens_at_once = tokens_at_once
        super().__init__(*args, **options)

    def row_lengths(self, batch: Batch) -> list[int]:
        """The tokens of each row of a batch."""
        return [int(length) for length in batch["attention_mask"].sum(dim=1)]

    def micro_batch(self, batch: Batch, rows: Sequence[int]) -> Batch:
        """Some rows of a batch, with little padding."""
        part = take_rows(batch, rows, len(batch["input_ids"]))
        return without_padding(
            part, "attention_mask", ("input_ids", "attention_mask", "completion_mask", "labels")
        )

    def weight(self, batch: Batch) -> float:
        """What the mean loss of a batch counts in the mean over several."""
        return float(len(self.row_lengths(batch)))

    def whole_batch(self, model: Any, batch: Batch) -> Batch:
        """The batch with what must be computed of all its rows together, before it is split."""
        return batch

    def micro_batches(self, batch: Batch) -> list[Batch]:
        """The parts of a batch. Several processes have equally many, because they exchange values in each."""
        groups = self.row_groups(batch)
        return [self.micro_batch(batch, rows) for rows in groups]

    def row_groups(self, batch: Batch) -> list[list[int]]:
        """The rows of each part of a batch."""
        groups = split_rows(self.row_lengths(batch), self.tokens_at_once)
        if self.accelerator.num_processes > 1:
            count = torch.tensor(len(groups), device=self.accelerator.device)
            distributed.all_reduce(count, distributed.ReduceOp.MAX)
            groups = split_further(groups, int(count))
        return groups

    def in_parts(self, compute: Callable[[Batch], tuple[Tensor, ...]], batch: Batch) -> tuple[Tensor, ...]:
        """What `compute` returns for each row of a batch, in its order, if it is computed part by part."""
        groups = self.row_groups(batch)
        order = torch.tensor([row for rows in groups for row in rows]).argsort()
        columns = zip(*(compute(self.micro_batch(batch, rows)) for rows in groups), strict=True)
        return tuple(torch.cat(column)[order.to(column[0].device)] for column in columns)

    def training_step(self, model: Any, inputs: Batch, num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward of a batch; its loss. In place of Trainer's."""
        trainer: Any = self
        model.train()
        batch = self.whole_batch(model, trainer._prepare_inputs(inputs))
        parts = self.micro_batches(batch)
        weights = [self.weight(part) for part in parts]
        total = torch.zeros((), device=self.accelerator.device)
        for number, (part, weight) in enumerate(zip(parts, weights, strict=True)):
            last = number == len(parts) - 1
            # Processes exchange gradients once an update, at its last part.
            self.accelerator.sync_gradients = last
            with nullcontext() if last else self.accelerator.no_sync(model):
                with trainer.compute_loss_context_manager():
                    loss = trainer.compute_loss(model, part, num_items_in_batch=num_items_in_batch)
                # A loss that was divided by the items of the whole batch is a sum already.
                if num_items_in_batch is None:
                    loss = loss * (weight / max(sum(weights), 1.0))
                self.accelerator.backward(loss)
            total += loss.detach()
        return total

    def prediction_step(
        self, model: Any, inputs: Batch, prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor, None, None]:
        """The loss of a held-out batch. In place of Trainer's."""
        trainer: Any = self
        with torch.no_grad():
            batch = self.whole_batch(model, trainer._prepare_inputs(inputs))
            parts = self.micro_batches(batch)
            weights = [self.weight(part) for part in parts]
            total = torch.zeros((), device=self.accelerator.device)
            for part, weight in zip(parts, weights, strict=True):
                with trainer.compute_loss_context_manager():
                    total += trainer.compute_loss(model, part) * (weight / max(sum(weights), 1.0))
        return total, None, None
