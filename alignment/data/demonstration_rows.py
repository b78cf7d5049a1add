"""Demonstrations: prompts with good answers, from the store or from a file, as token ids for SFT."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from alignment.data.feedback_rows import feedback_rows
from alignment.data.json_lines import parse_messages, read_json_lines
from alignment.data.splits import is_held_out
from alignment.errors import DataError
from assistant.serving import prompt
from feedback_store.database.store_location import has_store

Row = dict[str, Any]
"""{"messages", "think", "thought", "answer"}; in rows of the store also "answer_only", and "prompt_ids" as served."""


def demonstrations_of_store(home: Path, snapshot: Path | None = None) -> list[Row]:
    """People's corrections of answers, of the store or of a snapshot. Raises DataError if there are none."""
    if snapshot is None and not has_store(home):
        raise DataError("There are no demonstrations. Name a JSON Lines file with --demonstrations.")
    corrections = feedback_rows(home, snapshot, "demonstration").rows
    if not corrections:
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
            "prompt_ids": list(row.prompt_ids),
        }
        for row in corrections
    ]


def read_demonstrations(path: Path) -> list[Row]:
    """Rows of a JSON Lines file. Raises DataError that names a bad line, or says that there are no rows."""
    rows = []
    for number, row in read_json_lines(path, "demonstrations"):
        try:
            rows.append(_parse(row))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}, line {number}: expected JSON with messages, think, thought and answer ({error!r})."
            ) from error
    if not rows:
        raise DataError(f"{path} holds no demonstrations.")
    return rows


def _parse(row: Row) -> Row:
    thought, answer = row["thought"] or "", row["answer"]
    if not isinstance(thought, str) or not isinstance(answer, str):
        raise ValueError("thought and answer must be strings")
    messages = parse_messages(row["messages"])
    return {"messages": messages, "think": bool(row["think"]), "thought": thought, "answer": answer}


@dataclass(frozen=True)
class SortedDemonstrations:
    """Token ids to train on and to evaluate on, and how many rows were left out and why."""

    training: Dataset
    held_out: Dataset
    too_long: int
    empty: int
    repeated: int

    def counts(self) -> dict[str, int]:
        """Numbers of rows for the manifest."""
        return {
            "demonstrations": len(self.training),
            "held_out": len(self.held_out),
            "too_long": self.too_long,
            "empty": self.empty,
            "repeated": self.repeated,
        }


def sort_demonstrations(rows: Sequence[Row], tokenizer: Any, window: int) -> SortedDemonstrations:
    """Separate held-out rows, and leave out rows longer than `window` tokens, without an answer, or repeated.

    No row is cut. Raises DataError if no row is left to train on.
    """
    answered = [row for row in rows if row["answer"].strip()]
    distinct = list({json.dumps(row, sort_keys=True): row for row in answered}.values())
    training, too_long = tokenize_demonstrations(
        [row for row in distinct if not is_held_out(row["messages"])], tokenizer, window
    )
    held_out, held_out_too_long = tokenize_demonstrations(
        [row for row in distinct if is_held_out(row["messages"])], tokenizer, window
    )
    too_long += held_out_too_long
    empty = len(rows) - len(answered)
    if not len(training):
        raise DataError(
            f"None of the {len(rows)} rows can be trained on: {too_long} are longer than the context window of "
            f"{window} tokens, {empty} have no answer, {len(held_out)} are held out for evaluation."
        )
    return SortedDemonstrations(training, held_out, too_long, empty, len(answered) - len(distinct))


def tokenize_demonstrations(rows: Iterable[Row], tokenizer: Any, max_length: int) -> tuple[Dataset, int]:
    """Rows → columns `input_ids` and `labels`; and the number of rows longer than `max_length` tokens.

    Only the completion is supervised: the prompt's labels are -100. In a row with "answer_only" the thought is not
    supervised either: a person corrected the answer and wrote no thought. A row that is too long is left out whole,
    never cut in the middle of an answer.
    """
    columns: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    too_long = 0
    for row in rows:
        # A long conversation was trimmed before it was served: rendered whole, it would be another prompt.
        prompt_ids = row.get("prompt_ids") or prompt.render(tokenizer, row["messages"], row["think"])
        completion_ids = prompt.completion(tokenizer, row["thought"], row["answer"], row["think"])
        if len(prompt_ids) + len(completion_ids) > max_length:
            too_long += 1
            continue
        unsupervised = len(prompt_ids)
        if row.get("answer_only"):
            unsupervised += length_before_answer(tokenizer, completion_ids, row["answer"])
        ids = prompt_ids + completion_ids
        columns["input_ids"].append(ids)
        columns["labels"].append([-100] * unsupervised + ids[unsupervised:])
    return Dataset.from_dict(columns), too_long


def length_before_answer(tokenizer: Any, completion_ids: list[int], answer: str) -> int:
    """Number of tokens of a completion before its answer: its thought, which may be empty, and its tags.

    A template that opens the thought in the prompt leaves the completion only its end, so no fixed text is looked for.
    """
    return max(0, len(completion_ids) - len(prompt.completion(tokenizer, "", answer, False)))
