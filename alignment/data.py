"""Text and rows become what trainers read. Everything that a model is asked is rendered by `assistant.prompt`."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from alignment.errors import DataError
from assistant import prompt


class Blocks(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Token ids cut into blocks of equal length for next-token prediction; labels equal inputs."""

    def __init__(self, ids: np.ndarray, length: int) -> None:
        """`ids`: one dimension, integers. What is left over at the end is dropped."""
        self.ids = ids[: len(ids) // length * length].reshape(-1, length)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        block = torch.from_numpy(self.ids[index].astype(np.int64))
        return {"input_ids": block, "labels": block}


def pack(texts: Iterable[str], tokenizer: Any, end: int) -> np.ndarray:
    """Tokenize documents and join them, `end` after each. One dimension, int32."""
    pieces: list[int] = []
    batch: list[str] = []

    def flush() -> None:
        for ids in tokenizer(batch, add_special_tokens=False).input_ids if batch else []:
            pieces.extend(ids)
            pieces.append(end)
        batch.clear()

    for text in texts:
        batch.append(text)
        if len(batch) == 1000:
            flush()
    flush()
    return np.asarray(pieces, dtype=np.int32)


def read_texts(paths: Sequence[Path]) -> Iterator[str]:
    """Documents from text files, folders of them, and JSON Lines with a "text" field.

    Raises DataError if a path is missing, unreadable as UTF-8, or holds no text.
    """
    for path in paths:
        if not path.exists():
            raise DataError(f"There is no file or folder {path}. Give the text to train on with --text.")
        files = (
            sorted(p for p in path.rglob("*") if p.suffix in {".txt", ".md", ".jsonl"})
            if path.is_dir()
            else [path]
        )
        if not files:
            raise DataError(f"The folder {path} holds no .txt, .md or .jsonl file.")
        for file in files:
            yield from _read_file(file)


def _read_file(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8") as lines:
            if file.suffix != ".jsonl":
                yield lines.read()
                return
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        yield json.loads(line)["text"]
                    except (ValueError, KeyError, TypeError) as error:
                        raise DataError(f'{file}, line {number}: expected {{"text": …}} as JSON.') from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 text ({error.reason} at byte {error.start}). Convert it first."
        ) from error


def demonstrations(rows: Iterable[dict[str, Any]], tokenizer: Any, max_length: int) -> tuple[Dataset, int]:
    """Rows {"messages", "think", "thought", "answer"} → columns `input_ids`, `labels`; rows too long.

    Only the completion is supervised: the prompt's labels are -100. A row longer than `max_length` tokens
    is left out whole and counted, never cut in the middle of an answer.
    """
    columns: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    too_long = 0
    for row in rows:
        asked = prompt.render(tokenizer, row["messages"], row["think"])
        said = prompt.completion(tokenizer, row["thought"], row["answer"], row["think"])
        if len(asked) + len(said) > max_length:
            too_long += 1
            continue
        columns["input_ids"].append(asked + said)
        columns["labels"].append([-100] * len(asked) + said)
    return Dataset.from_dict(columns), too_long


def rows_hash(rows: Iterable[dict[str, Any]]) -> str:
    """SHA-256 of rows in order, the same for the same content."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, ensure_ascii=False, sort_keys=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()
