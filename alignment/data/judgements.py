"""Judgements: pairs and thumbs in one form, as token ids that a reward model learns from."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from alignment.data.batches import pad_right
from alignment.data.splits import is_held_out
from alignment.data.token_pairs import TokenPair, resolve_contradictions
from alignment.errors import DataError
from alignment.training.batching.micro_batches import rounded_up


@dataclass(frozen=True)
class JudgedCompletion:
    """One judgement: a completion that was preferred to another, or was liked or disliked by itself."""

    messages: list[dict[str, str]]
    prompt_length: int
    """In tokens."""
    first: list[int]
    """Token ids of prompt and completion; of a pair, the preferred one."""
    second: list[int] | None
    """Token ids of prompt and the rejected completion; None for a thumb."""
    sign: int
    """-1 for a thumb down, else 1."""


def judgement_of_pair(pair: TokenPair) -> JudgedCompletion:
    """A pair as a judgement."""
    prompt_ids = pair.prompt_ids
    first, second = prompt_ids + pair.chosen_ids, prompt_ids + pair.rejected_ids
    return JudgedCompletion(pair.messages, len(prompt_ids), first, second, sign=1)


def judgement_of_thumb(row: Any) -> JudgedCompletion:
    """An `UnpairedRow` as a judgement."""
    ids = [*row.prompt_ids, *row.completion_ids]
    return JudgedCompletion(row.messages, len(row.prompt_ids), ids, None, sign=1 if row.label else -1)


@dataclass(frozen=True)
class SortedJudgements:
    """Judgements to train on and to evaluate on, and how many were left out and why."""

    training: list[JudgedCompletion]
    held_out: list[JudgedCompletion]
    too_long: int
    tied: int
    repeated: int
    left_out: str = ""
    """What the store's rules left out, as text."""

    def counts(self) -> dict[str, int]:
        """Numbers of rows for the manifest."""
        thumbs = [row.sign for row in self.training if row.second is None]
        return {
            "pairs": len(self.training) - len(thumbs),
            "thumbs_up": thumbs.count(1),
            "thumbs_down": thumbs.count(-1),
            "held_out": len(self.held_out),
            "too_long": self.too_long,
            "tied": self.tied,
            "repeated": self.repeated,
        }


def sort_judgements(rows: Sequence[JudgedCompletion], window: int, left_out: str = "") -> SortedJudgements:
    """Separate held-out judgements, and leave out those longer than `window` tokens, tied, or repeated.

    See `resolve_contradictions`. `left_out`: what the store's rules left out, as text. Raises DataError if
    there is nothing to learn from: no judgements, or thumbs of one kind and no pair.
    """
    if not rows:
        raise DataError(
            f"There are no judgements yet{left_out}. Give thumbs, or compare answers, and run this again; or name a "
            "file with --pairs."
        )
    resolved = resolve_contradictions(
        rows,
        _key,
        _opposite_key,
        is_empty=lambda row: row.first == row.second,
        fits=lambda row: max(len(row.first), len(row.second or [])) <= window,
    )
    training = [row for row in resolved.kept if not is_held_out(row.messages)]
    held_out = [row for row in resolved.kept if is_held_out(row.messages)]
    if not training:
        raise DataError(
            f"None of the {len(rows)} judgements can be trained on: {resolved.tied} are tied, "
            f"{resolved.too_long} are longer than the context window of {window} tokens, {len(held_out)} held out."
        )
    if all(row.second is None for row in training) and len({row.sign for row in training}) == 1:
        present, missing = ("up", "down") if training[0].sign > 0 else ("down", "up")
        raise DataError(
            f"All {len(training)} judgements are thumbs {present}. A reward model learns from the difference: give "
            f"thumbs {missing} to some answers too, and run this again."
        )
    return SortedJudgements(training, held_out, resolved.too_long, resolved.tied, resolved.repeated, left_out)


def _key(row: JudgedCompletion) -> Hashable:
    return tuple(row.first), tuple(row.second or ()), row.sign


def _opposite_key(row: JudgedCompletion) -> Hashable:
    if row.second is None:
        return tuple(row.first), (), -row.sign
    return tuple(row.second), tuple(row.first), row.sign


@dataclass
class JudgementCollator:
    """Judgements → a padded batch: first all first completions, then the second ones of the pairs."""

    pad: int

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """`items`: {"judged": JudgedCompletion}. `paired` has the row of each second completion's first one.

        `input_ids` and `attention_mask` are int64 [judgements + pairs, longest, rounded up], `sign` float32
        [judgements], `paired` int64 [pairs].
        """
        rows = [item["judged"] for item in items]
        paired = [index for index, row in enumerate(rows) if row.second is not None]
        completions = [row.first for row in rows] + [rows[index].second for index in paired]
        ids, mask = pad_right(completions, self.pad, rounded_up(max(map(len, completions))))
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "sign": torch.tensor([float(row.sign) for row in rows]),
            "paired": torch.tensor(paired, dtype=torch.long),
        }
