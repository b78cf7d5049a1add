"""Raw text for pretraining: documents of files become token ids in blocks of equal length."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alignment.errors import DataError

DOCUMENTS_AT_ONCE = 1000
"""Documents that are tokenized together."""


class Blocks(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Token ids cut into blocks of equal length for next-token prediction; labels equal inputs."""

    def __init__(self, ids: np.ndarray, length: int) -> None:
        """`ids`: one dimension, integers. An incomplete last block is dropped."""
        self.ids = ids[: len(ids) // length * length].reshape(-1, length)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        block = torch.from_numpy(self.ids[index].astype(np.int64))
        return {"input_ids": block, "labels": block}


def join_documents(texts: Iterable[str], tokenizer: Any, end: int) -> np.ndarray:
    """Tokenize documents and join them, with the token `end` after each. One dimension, int32."""
    ids: list[int] = []
    batch: list[str] = []

    def flush() -> None:
        for document in tokenizer(batch, add_special_tokens=False).input_ids if batch else []:
            ids.extend(document)
            ids.append(end)
        batch.clear()

    for text in texts:
        batch.append(text)
        if len(batch) == DOCUMENTS_AT_ONCE:
            flush()
    flush()
    return np.asarray(ids, dtype=np.int32)


def read_texts(paths: Sequence[Path]) -> Iterator[str]:
    """Documents of text files, of folders of them, and of JSON Lines with a field "text".

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
                        yield _text(json.loads(line))
                    except (ValueError, KeyError, TypeError) as error:
                        raise DataError(f'{file}, line {number}: expected {{"text": …}} as JSON.') from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 text ({error.reason} at byte {error.start}). Convert it first."
        ) from error


def _text(row: dict[str, Any]) -> str:
    if not isinstance(row["text"], str):
        raise TypeError("text must be a string")
    return row["text"]


@dataclass
class DistinctTexts:
    """Documents without exact repetitions: a text that is read twice is learned by heart.

    Lee et al. 2022, "Deduplicating Training Data Makes Language Models Better". Reads `texts` once.
    """

    texts: Iterable[str]
    repeated: int = 0
    """Number of documents left out so far."""

    def __iter__(self) -> Iterator[str]:
        seen: set[bytes] = set()
        for text in self.texts:
            digest = hashlib.sha256(text.encode()).digest()
            if digest in seen:
                self.repeated += 1
            else:
                seen.add(digest)
                yield text


@dataclass(frozen=True)
class SortedText:
    """Token ids to train on and to evaluate on, one dimension each, and how many documents were left out."""

    training: np.ndarray
    held_out: np.ndarray
    repeated: int

    def counts(self) -> dict[str, int]:
        """Numbers of tokens and documents for the manifest."""
        return {
            "tokens": len(self.training),
            "held_out": len(self.held_out),
            "repeated_documents": self.repeated,
        }


def sort_texts(paths: Sequence[Path], tokenizer: Any, block_length: int) -> SortedText:
    """Tokenize the documents of `paths`, leave out repeated ones, and separate the last hundredth, in whole blocks.

    A text of less than 100 blocks has nothing held out. Raises DataError for text that cannot be read.
    """
    texts = DistinctTexts(read_texts(paths))
    ids = join_documents(texts, tokenizer, tokenizer.eos_token_id)
    held_out = len(ids) // block_length // 100 * block_length
    return SortedText(ids[: len(ids) - held_out], ids[len(ids) - held_out :], texts.repeated)
