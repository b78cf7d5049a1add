"""Rows packed together, several to a sequence, each of which attends to itself alone: no padding between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from trl import pack_dataset


def packed(rows: Dataset, window: int) -> Dataset:
    """Columns `input_ids`, `labels` → the same with `seq_lengths`, in packs of at most `window` tokens.

    Best fit decreasing (Ding et al. 2024, "Fewer Truncations Improve Language Modeling"). No row is cut: none is longer
    than `window`.
    """
    return pack_dataset(rows, window, strategy="bfd")


def alone(rows: Dataset) -> Dataset:
    """Each row as a pack of its own, for looks at held-out rows: they are counted by rows."""
    return rows.map(lambda row: {"seq_lengths": [len(row["input_ids"])]}) if len(rows) else rows


@dataclass
class PackCollator:
    """Packs → a batch whose positions begin anew with each row, by which the model keeps the rows apart."""

    pad: int
    multiple: int = 32
    """Lengths are rounded up to it, so that fewer shapes occur."""

    def __call__(self, packs: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """`input_ids`, `labels` and `position_ids`, all [packs, longest]; padding is a row of its own."""
        longest = max(len(one["input_ids"]) for one in packs)
        width = -(-longest // self.multiple) * self.multiple
        batch: dict[str, list[list[int]]] = {"input_ids": [], "labels": [], "position_ids": []}
        for one in packs:
            left = width - len(one["input_ids"])
            batch["input_ids"].append([*one["input_ids"], *[self.pad] * left])
            batch["labels"].append([*_first_unsupervised(one), *[-100] * left])
            batch["position_ids"].append(
                [place for length in [*one["seq_lengths"], left] for place in range(length)]
            )
        return {name: torch.tensor(rows) for name, rows in batch.items()}


def _first_unsupervised(pack: dict[str, Any]) -> list[int]:
    """Labels, of which a row's first is none: it would be learned as what follows the row before."""
    labels, place = list(pack["labels"]), 0
    for length in pack["seq_lengths"]:
        labels[place] = -100
        place += length
    return labels
