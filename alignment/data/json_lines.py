"""Rows of JSON Lines files: reading them, checking their messages, and their hash."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from alignment.errors import DataError


def read_json_lines(path: Path, content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects of a JSON Lines file with their line numbers, from 1.

    `content` names what the file holds, for the error. Raises DataError that names the line that is no JSON object.
    """
    try:
        # Not splitlines(): a text may hold other line ends, which JSON leaves as they are.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"The {content} {path} cannot be read: {reason}.") from error
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


def parse_messages(value: Any) -> list[dict[str, str]]:
    """`value` as messages with role and content.

    Raises ValueError, KeyError or TypeError if it is no list of messages, or the last message is empty.
    """
    if not isinstance(value, list) or not value:
        raise ValueError("messages must be a list that is not empty")
    messages = []
    for message in value:
        role, content = message["role"], message["content"]
        if not isinstance(role, str) or not isinstance(content, str):
            raise ValueError("role and content of a message must be strings")
        messages.append({"role": role, "content": content})
    if not messages[-1]["content"].strip():
        raise ValueError("the last message is empty")
    return messages


def rows_hash(rows: Iterable[dict[str, Any]]) -> str:
    """SHA-256 of rows in order, as hexadecimal; it depends on their content alone."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, ensure_ascii=False, sort_keys=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()
