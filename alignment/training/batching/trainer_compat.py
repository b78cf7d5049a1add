"""What training uses of transformers' Trainer beyond its public interface: the order of training rows."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers.trainer_pt_utils import get_length_grouped_indices
from trl import SFTTrainer

from alignment.training.batching.micro_batches import Batch, MicroBatches, take_rows


class LengthGroupedTrainer(MicroBatches, SFTTrainer):
    """TRL's SFT trainer with rows of similar length in a batch, so that little is padded.

    The library's own sampler of this kind draws from the process's random state, so that a resumed run would see the
    rows in another order than an uninterrupted one; and its groups depend on the number of processes.
    """

    def _get_train_sampler(self, train_dataset: Any = None) -> "LengthGroupedSampler":
        batch_size = self.args.per_device_train_batch_size * self.args.world_size
        lengths = [len(ids) for ids in self.train_dataset["input_ids"]]
        return LengthGroupedSampler(lengths, batch_size, self.args.seed)

    def row_lengths(self, batch: Batch) -> list[int]:
        """The tokens of each row. A batch of packs has no mask: its padding counts as a row."""
        if "attention_mask" not in batch:
            return [batch["input_ids"].shape[1]] * len(batch["input_ids"])
        return super().row_lengths(batch)

    def micro_batch(self, batch: Batch, rows: Sequence[int]) -> Batch:
        """Some rows of a batch, or some packs, which are not cut."""
        if "attention_mask" not in batch:
            return take_rows(batch, rows, len(batch["input_ids"]))
        return super().micro_batch(batch, rows)

    def weight(self, batch: Batch) -> float:
        """The number of supervised tokens: the loss is their mean."""
        return float((batch["labels"][:, 1:] != -100).sum())


class LengthGroupedSampler(torch.utils.data.Sampler[int]):
    """Row numbers grouped by row length, in an order that depends on seed and epoch alone."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader at the beginning of each epoch."""
        self.epoch = epoch
