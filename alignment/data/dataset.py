"""Text and rows become what trainers read. `assistant.serving.prompt` renders prompts."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import torch
from datasets import Dataset

from alignment.errors import DataError
from assistant.serving import prompt
from feedback_store import rows as feedback

Item = TypeVar("Item")


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
                        yield _text(json.loads(line))
                    except (ValueError, KeyError, TypeError) as error:
                        raise DataError(f'{file}, line {number}: expected {{"text": …}} as JSON.') from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 text ({error.reason} at byte {error.start}). Convert it first."
        ) from error


def _text(row: dict[str, Any]) -> str:
    if not isinstance(row["text"], str):
        raise TypeError("text is no string")
    return row["text"]


@dataclass
class Distinct:
    """Documents without those that were given before, word for word: seen twice, a text is learned by heart.

    Lee et al. 2022, "Deduplicating Training Data Makes Language Models Better". Goes through `texts` once.
    """

    texts: Iterable[str]
    repeated: int = 0
    """How many were left out."""

    def __iter__(self) -> Iterator[str]:
        seen: set[bytes] = set()
        for text in self.texts:
            digest = hashlib.sha256(text.encode()).digest()
            if digest in seen:
                self.repeated += 1
            else:
                seen.add(digest)
                yield text


def conversation(turns: Any) -> list[dict[str, str]]:
    """`turns` as messages with role and content. Raises ValueError where they are none, or the last one is empty."""
    if not isinstance(turns, list) or not turns:
        raise ValueError("messages is no list of turns")
    messages = []
    for turn in turns:
        role, content = turn["role"], turn["content"]
        if not isinstance(role, str) or not isinstance(content, str):
            raise ValueError("a turn's role and content must be texts")
        messages.append({"role": role, "content": content})
    if not messages[-1]["content"].strip():
        raise ValueError("the last message is empty")
    return messages


def demonstrations(rows: Iterable[dict[str, Any]], tokenizer: Any, max_length: int) -> tuple[Dataset, int]:
    """Rows {"messages", "think", "thought", "answer"} → columns `input_ids`, `labels`; rows too long.

    Only the completion is supervised: the prompt's labels are -100. Of a row with "answer_only" the thought is not
    supervised either: somebody corrected the answer and wrote no steps. A row longer than `max_length` tokens
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
        unsupervised = len(asked) + (_opening(tokenizer, said) if row.get("answer_only") else 0)
        whole = asked + said
        columns["input_ids"].append(whole)
        columns["labels"].append([-100] * unsupervised + whole[unsupervised:])
    return Dataset.from_dict(columns), too_long


def _opening(tokenizer: Any, said: list[int]) -> int:
    # How many tokens of a completion are an empty thought.
    empty = f"{prompt.THINK_OPEN}\n\n{prompt.THINK_CLOSE}\n\n"
    tokens = tokenizer(empty, add_special_tokens=False).input_ids
    same = [one == other for one, other in zip(tokens, said, strict=False)]
    return same.index(False) if False in same else len(same)


def rows_hash(rows: Iterable[dict[str, Any]]) -> str:
    """SHA-256 of rows in order, the same for the same content."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, ensure_ascii=False, sort_keys=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def read_json_lines(path: Path, what: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbered objects of a JSON Lines file, from 1. Raises DataError with the line that is no JSON object."""
    try:
        # Not splitlines(): a text may hold other line ends, which JSON leaves as they are.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"The {what} {path} cannot be read: {reason}.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: expected JSON ({error}).") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: expected a JSON object.")
        yield number, row


def held_out(messages: Sequence[dict[str, str]]) -> bool:
    """Whether rows with this prompt are kept away from training: the store's own split, for files too."""
    return feedback.held_out(SimpleNamespace(messages=messages))


def half(messages: Sequence[dict[str, str]]) -> str:
    """ "a" or "b", by the prompt: two models trained on one half each have seen no prompt in common."""
    text = feedback.normal_prompt(messages)
    # Another hash than the held-out split's, so that each half holds out a tenth of its own.
    return "ab"[hashlib.sha256(f"half:{text}".encode()).digest()[0] % 2]


def standing(
    found: Sequence[Item],
    key: Callable[[Item], Hashable],
    opposite: Callable[[Item], Hashable],
    says_nothing: Callable[[Item], bool],
    fits: Callable[[Item], bool],
) -> tuple[list[Item], int, int, int]:
    """Judgements that stand, each once, and how many are too long, tied and repeated.

    Two that contradict each other equally often are tied; else the more frequent one stands. `key` tells which
    judgements are the same, `opposite` is the key of the one that contradicts it.
    """
    votes = Counter(map(key, found))
    kept: dict[Hashable, Item] = {}
    too_long = tied = repeated = 0
    for one in found:
        same, against = key(one), votes[opposite(one)]
        if says_nothing(one) or against == votes[same]:
            tied += 1
        elif not fits(one):
            too_long += 1
        elif same in kept or against > votes[same]:
            repeated += 1
        else:
            kept[same] = one
    return list(kept.values()), too_long, tied, repeated
