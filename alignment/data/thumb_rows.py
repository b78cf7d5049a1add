"""Thumbs: rated replies as token ids that KTO learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

from datasets import Dataset

from alignment.data.splits import is_held_out
from alignment.errors import DataError
from feedback_store.rows import UnpairedRow


@dataclass(frozen=True)
class SortedThumbs:
    """Rated replies to train on and to evaluate on, and how many were left out and why."""

    training: list[UnpairedRow]
    held_out: list[UnpairedRow]
    too_long: int
    """Number of rows left out because they are longer than the context window, held-out ones among them."""
    incomplete: int
    """Number of rows left out because the reply is empty or failed, held-out ones among them."""
    left_out: str = ""
    """What the store's rules left out, as text."""

    @property
    def up(self) -> int:
        """Number of thumbs up to train on."""
        return sum(row.label for row in self.training)

    @property
    def down(self) -> int:
        """Number of thumbs down to train on."""
        return len(self.training) - self.up

    def counts(self) -> dict[str, int]:
        """Numbers of rows for the manifest."""
        return {
            "thumbs_up": self.up,
            "thumbs_down": self.down,
            "held_out": len(self.held_out),
            "too_long": self.too_long,
            "incomplete": self.incomplete,
        }


def sort_thumbs(rows: Sequence[UnpairedRow], window: int, left_out: str = "") -> SortedThumbs:
    """Separate held-out rows, and leave out rows that are empty, failed, or longer than `window` tokens.

    No row is cut. `left_out`: what the store's rules left out, as text. Raises DataError if there is nothing
    to learn from: no thumbs, or thumbs of one kind.
    """
    if not rows:
        raise DataError(
            f"There are no ratings yet{left_out}. Chat, give thumbs up and thumbs down to answers, and run this again."
        )
    complete = [row for row in rows if _is_complete(row)]
    fitting = [row for row in complete if _length(row) <= window]
    training = [row for row in fitting if not is_held_out(row.messages)]
    held_out = [row for row in fitting if is_held_out(row.messages)]
    too_long, incomplete = len(complete) - len(fitting), len(rows) - len(complete)
    if not training:
        raise DataError(
            f"None of the {len(rows)} rated replies can be trained on: {incomplete} are empty or failed, {too_long} "
            f"are longer than {window} tokens, {len(held_out)} are held out for evaluation. Rate more answers, and run "
            "this again."
        )
    up = sum(row.label for row in training)
    if up in (0, len(training)):
        present, missing = ("up", "down") if up else ("down", "up")
        raise DataError(
            f"All {len(training)} rated replies have thumbs {present}"
            f"{f' ({len(held_out)} more are held out for evaluation)' if held_out else ''}. KTO learns from the "
            f"difference: give thumbs {missing} to some answers too, and run this again."
        )
    return SortedThumbs(training, held_out, too_long, incomplete, left_out)


def _is_complete(row: UnpairedRow) -> bool:
    return bool(row.completion_ids) and row.finish_reason != "error"


def _length(row: UnpairedRow) -> int:
    return len(row.prompt_ids) + len(row.completion_ids)


def thumb_columns(rows: Sequence[UnpairedRow]) -> Dataset:
    """Rated replies in the columns that TRL's KTO trainer reads once rows are tokenized."""
    return Dataset.from_dict(
        {
            "prompt_ids": [row.prompt_ids for row in rows],
            "completion_ids": [row.completion_ids for row in rows],
            "label": [row.label for row in rows],
        }
    )
