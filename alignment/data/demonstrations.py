"""Demonstrations: questions with good answers, from the store or from a file, as tokens of which the answer counts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from alignment.data.dataset import conversation, demonstrations, held_out, read_json_lines
from alignment.errors import DataError
from feedback_store import FeedbackStore
from feedback_store import rows as feedback
from feedback_store.database.home import has_store


def from_store(home: Path) -> list[dict[str, Any]]:
    """Answers that people wrote, in place of the model's. Raises DataError where there are none."""
    if not has_store(home):
        raise DataError("There are no demonstrations. Name a JSON Lines file with --demonstrations.")
    with FeedbackStore.open_home(home, create=False) as store:
        written = feedback.demonstrations(store)
    if not written:
        raise DataError(
            "There are no demonstrations. Name a JSON Lines file with --demonstrations, or correct some answers."
        )
    return [
        {
            "messages": row.messages,
            "think": row.think,
            "thought": row.thought,
            "answer": row.answer,
            "answer_only": row.think and not row.thought,
        }
        for row in written
    ]


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON Lines file. Raises DataError with the line that is none, or where there are none."""
    rows = []
    for number, row in read_json_lines(path, "demonstrations"):
        try:
            rows.append(_row(row))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}, line {number}: expected JSON with messages, think, thought and answer ({error!r})."
            ) from error
    if not rows:
        raise DataError(f"{path} holds no demonstrations.")
    return rows


def _row(row: dict[str, Any]) -> dict[str, Any]:
    thought, answer = row["thought"] or "", row["answer"]
    if not isinstance(thought, str) or not isinstance(answer, str):
        raise ValueError("thought and answer must be texts")
    messages = conversation(row["messages"])
    return {"messages": messages, "think": bool(row["think"]), "thought": thought, "answer": answer}


@dataclass(frozen=True)
class Sorted:
    """Rows to train on, rows to evaluate on, and how many of those given were left out."""

    training: Dataset
    held_out: Dataset
    too_long: int
    empty: int
    repeated: int


def sort(rows: Sequence[dict[str, Any]], tokenizer: Any, window: int) -> Sorted:
    """Set aside what is held out, and leave out what cannot teach: too long for `window`, no answer, said before.

    Nothing is ever cut. Raises DataError where no row is left to train on.
    """
    answered = [row for row in rows if row["answer"].strip()]
    distinct = list({json.dumps(row, sort_keys=True): row for row in answered}.values())
    sides = [[row for row in distinct if held_out(row["messages"]) is side] for side in (False, True)]
    (training, too_long), (aside, also) = (demonstrations(side, tokenizer, window) for side in sides)
    found = Sorted(training, aside, too_long + also, len(rows) - len(answered), len(answered) - len(distinct))
    if not len(training):
        raise DataError(
            f"None of the {len(rows)} rows can be trained on: {found.too_long} are longer than the context window of "
            f"{window} tokens, {found.empty} have no answer, {len(aside)} are held out for evaluation."
        )
    return found
