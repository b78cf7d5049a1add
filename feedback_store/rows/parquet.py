"""Write rows to Parquet files and read them again; each file holds one kind of row."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from feedback_store.optional_packages import optional_package
from feedback_store.rows.demonstrations import DemonstrationRow, PromptRow
from feedback_store.rows.pairs import PairSide, PreferenceRow
from feedback_store.rows.thumbs import UnpairedRow

ROWS_AT_ONCE = 1_000  # in one row group
CLASSES = {
    "unpaired": UnpairedRow,
    "preference": PreferenceRow,
    "demonstration": DemonstrationRow,
    "prompt": PromptRow,
}


def write(path: Path, kind: str, rows: Iterator[dict[str, Any]]) -> int:
    """Write rows, given as dictionaries, and flush them to the disk. Returns the number of rows.

    Raises OSError, MissingDependency.
    """
    arrow, parquet = _pyarrow()
    schema = arrow.schema(_columns(arrow, kind))
    number = 0
    with path.open("wb") as file:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            while batch := list(islice(rows, ROWS_AT_ONCE)):
                writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
                number += len(batch)
        file.flush()
        os.fsync(file.fileno())
    return number


def read(path: Path, kind: str) -> Iterator[Any]:
    """Yield the rows of a file, reading a batch at a time. Raises MissingDependency."""
    with _pyarrow()[1].ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_AT_ONCE):
            for values in batch.to_pylist():
                yield _from_plain(kind, values)


def plain(row: Any) -> dict[str, Any]:
    """A row as a dictionary of plain values."""
    # Not dataclasses.asdict, which copies each token id separately.
    return {name: vars(value) if isinstance(value, PairSide) else value for name, value in vars(row).items()}


def check_installed() -> None:
    """Raises MissingDependency if pyarrow is not installed."""
    _pyarrow()


def _columns(arrow: Any, kind: str) -> list[tuple[str, Any]]:
    text, yes_no, number = arrow.string(), arrow.bool_(), arrow.int64()
    ids = arrow.list_(number)
    side = arrow.struct([("reply_id", text), ("thought", text), ("answer", text), ("completion_ids", ids)])
    shared = [
        ("messages", arrow.list_(arrow.struct([("role", text), ("content", text)]))),
        ("think", yes_no),
        ("prompt_ids", ids),
        ("rater", text),
    ]
    return (
        shared
        + {
            "unpaired": [
                ("reply_id", text),
                ("thought", text),
                ("answer", text),
                ("completion_ids", ids),
                ("label", yes_no),
                ("votes", number),
                ("version", text),
                ("finish_reason", text),
            ],
            "preference": [("chosen", side), ("rejected", side), ("source", text), ("votes", number)],
            "demonstration": [("thought", text), ("answer", text), ("source", text), ("reply_id", text)],
            "prompt": [("message_id", text)],
        }[kind]
    )


def _from_plain(kind: str, values: dict[str, Any]) -> Any:
    if kind == "preference":
        values = values | {side: PairSide(**values[side]) for side in ("chosen", "rejected")}
    return CLASSES[kind](**values)


def _pyarrow() -> tuple[Any, Any]:
    """The modules `pyarrow` and `pyarrow.parquet`. Raises MissingDependency."""
    purpose, install = "Snapshots", "-r requirements-train.txt"
    return optional_package("pyarrow", purpose, install), optional_package(
        "pyarrow.parquet", purpose, install
    )
