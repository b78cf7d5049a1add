"""Rows of feedback: from the store as it is now, or from a snapshot of it."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from feedback_store import FeedbackStore
from feedback_store.rows import snapshot
from feedback_store.rows.demonstrations import iter_demonstrations, iter_prompts
from feedback_store.rows.pairs import iter_preferences
from feedback_store.rows.rules import DEFAULT_RULES, RowWithVotes
from feedback_store.rows.thumbs import iter_unpaired

RowKind = Literal["unpaired", "preference", "demonstration", "prompt"]
"""Thumbs on single replies; pairs of replies; corrected answers; prompts without any reply."""


@dataclass(frozen=True)
class FeedbackRows:
    """Rows of one kind, and how many the store's rules left out."""

    rows: list[Any]
    left_out: dict[str, int]
    """Number of rows that each rule (docs/explanation.md, "From votes to rows") removed."""

    def left_out_text(self, read: int | None = None) -> str:
        """The counts as the end of a sentence about rows; empty if no row was left out.

        `read`: how many of the rows the model's template accepted; all of them if left out.
        """
        counts = ", ".join(f"{count} by {rule}" for rule, count in sorted(self.left_out.items()))
        refused = 0 if read is None else len(self.rows) - read
        return (f"; left out by the store's rules: {counts}" if counts else "") + (
            f"; {refused} that the model's template refuses" if refused else ""
        )


def feedback_rows(home: Path, snapshot_folder: Path | None, kind: RowKind) -> FeedbackRows:
    """Rows of the snapshot in `snapshot_folder`, or of the store in `home` as it is now if that is None."""
    if snapshot_folder is not None:
        loaded = snapshot.load(snapshot_folder)
        return FeedbackRows(list(loaded.rows(kind)), loaded.manifest["left_out"].get(kind, {}))
    makers: dict[str, Callable[..., Iterator[RowWithVotes[Any]]]] = {
        "unpaired": iter_unpaired,
        "preference": iter_preferences,
        "demonstration": iter_demonstrations,
        "prompt": iter_prompts,
    }
    left_out: Counter[str] = Counter()
    with FeedbackStore.open_home(home, create=False) as store:
        made = makers[kind](store, None, DEFAULT_RULES, left_out)
        return FeedbackRows([item.row for item in made], dict(left_out))
