"""Batches: rows of token ids become tensors, padded to one length or packed several to a sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl import pack_dataset

from alignment.training.batching.micro_batches import rounded_up


def pad_right(rows: Sequence[Sequence[int]], pad: int, width: int = 0) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both int64 [rows, longest, or `width` if that is more], continued with `pad`."""
    width = max(width, *map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask


def pad_left(rows: Sequence[Sequence[int]], pad: int, width: int = 0) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both int64 [rows, longest, or `width` if that is more], preceded by `pad`."""
    width = max(width, *map(len, rows))
    ids = torch.tensor([[*[pad] * (width - len(row)), *row] for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def pack_rows(rows: Dataset, window: int) -> Dataset:
    """Columns `input_ids`, `labels` → the same and `seq_lengths`: packs of at most `window` tokens each.

    Best fit decreasing (Ding et al. 2024, "Fewer Truncations Improve Language Modeling"). No row is cut: none is longer
    than `window`.
    """
    return pack_dataset(rows, window, strategy="bfd")


def one_row_packs(rows: Dataset) -> Dataset:
    """Each row as a pack of its own. Held-out rows are packed so, because their loss is averaged over rows."""
    return rows.map(lambda row: {"seq_lengths": [len(row["input_ids"])]}) if len(rows) else rows


@dataclass
class PackCollator:
    """Packs → a batch in which positions begin at 0 with each row, so that a row attends to itself alone."""

    pad: int

    def __call__(self, packs: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """`input_ids`, `labels` and `position_ids`, all int64 [packs, longest]; the padding counts as a row."""
        width = rounded_up(max(len(pack["input_ids"]) for pack in packs))
        batch: dict[str, list[list[int]]] = {"input_ids": [], "labels": [], "position_ids": []}
        for pack in packs:
            padding = width - len(pack["input_ids"])
            positions = [position for length in [*pack["seq_lengths"], padding] for position in range(length)]
            batch["input_ids"].append([*pack["input_ids"], *[self.pad] * padding])
            batch["labels"].append([*_labels_without_row_starts(pack), *[-100] * padding])
            batch["position_ids"].append(positions)
        return {name: torch.tensor(rows) for name, rows in batch.items()}


def _labels_without_row_starts(pack: dict[str, Any]) -> list[int]:
    """The labels, without those of rows' first tokens: they would be learned as continuing the row before."""
    labels, start = list(pack["labels"]), 0
    for length in pack["seq_lengths"]:
        labels[start] = -100
        start += length
    return labels
