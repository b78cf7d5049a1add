"""Any CSV, JSON or Parquet file, by a mapping from what a row means to its columns; also Phoenix's annotations so.

`prompt` with `chosen` and `rejected` is a comparison, with `answer` and `rating` a thumb, with `answer` alone a
demonstration, and by itself a prompt. A column in an object is named by its path, such as `data.prompt`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from feedback_store.errors import ImportFailed
from feedback_store.importers.datasets.training_rows import (
    demonstration,
    preference_of,
    prompt_of,
    prompt_only,
    reply_to,
    unpaired,
)
from feedback_store.importers.parsing.fields import label, moment, remarks, thumb_of
from feedback_store.importers.parsing.files import Item, each, table_rows
from feedback_store.importers.parsing.items import ImportedConversation, ImportedRating, Unusable
from feedback_store.importers.parsing.json_stream import parsed

COLUMNS = ("prompt", "system", "answer", "rating", "comment", "chosen", "rejected", "user", "time", "model")
MOST_NAMED = 12
"""Columns that are named where one is missing."""
PHOENIX = {
    "prompt": "attributes.input.value",
    "answer": "attributes.output.value",
    "rating": "annotation.label",
    "comment": "annotation.explanation",
}


def columns_of(maps: Sequence[str]) -> dict[str, str]:
    """Parse texts such as `prompt=question,answer=reply`. Raises: ImportFailed for what is no mapping."""
    columns: dict[str, str] = {}
    for pair in (pair for text in maps for pair in re.split(rf",(?=(?:{'|'.join(COLUMNS)})=)", text)):
        meaning, equals, column = pair.partition("=")
        if meaning not in COLUMNS or not equals or not column:
            raise ImportFailed(
                f"The mapping {pair!r} is not of the form MEANING=COLUMN. Meanings are {', '.join(COLUMNS)}."
            )
        columns[meaning] = column
    if "prompt" not in columns or ("chosen" in columns) != ("rejected" in columns):
        raise ImportFailed("A mapping names the prompt, and chosen and rejected only together.")
    if "rating" in columns and "answer" not in columns:
        raise ImportFailed("A mapping with a rating also names the answer that was rated.")
    return columns


def reader(columns: dict[str, str]) -> Callable[[Path], Iterator[Item]]:
    """A function that reads a file by a mapping."""
    return lambda path: each(table_rows(path), partial(conversation, columns=columns))


read_phoenix = reader(PHOENIX)


def conversation(row: dict[str, Any], columns: dict[str, str]) -> ImportedConversation:
    """Convert one row. Raises: Unusable."""
    fields = {meaning: _field(row, column) for meaning, column in columns.items()}
    missing = [
        columns[name] for name in ("prompt", "answer", "chosen", "rejected") if fields.get(name, "") is None
    ]
    if missing:
        there = ", ".join(list(row)[:MOST_NAMED])
        raise Unusable(f"no column {missing[0]} among {there}")
    prompt = prompt_of(messages_in(fields["prompt"]), fields.get("system"))
    if "chosen" in fields:
        converted = preference_of(prompt, message_in(fields["chosen"]), message_in(fields["rejected"]))
    elif "answer" in fields:
        reply = replace(reply_to(prompt, message_in(fields["answer"])), model=label(fields.get("model")))
        if "rating" in fields:
            value = thumb_of(fields["rating"])
            if value is None:
                raise Unusable(f"{columns['rating']} is neither up nor down")
            converted = unpaired(prompt, reply, value > 0)
        else:
            converted = demonstration(prompt, reply)
    else:
        converted = prompt_only(prompt)
    return _by(converted, fields)


def messages_in(value: object) -> object:
    """A prompt that may be JSON: a list of messages, or an object that has one in `messages`; else the text itself."""
    inner = _json(value)
    if isinstance(inner, dict) and isinstance(inner.get("messages"), list):
        return inner["messages"]
    if isinstance(inner, list) and inner and all(isinstance(item, dict) and "role" in item for item in inner):
        return inner
    return value


def message_in(value: object) -> object:
    """A reply that may be JSON: a message, or an OpenAI response with one; else the text itself."""
    inner = _json(value)
    if isinstance(inner, dict) and isinstance(inner.get("choices"), list) and len(inner["choices"]) == 1:
        choice = inner["choices"][0]
        inner = choice.get("message") if isinstance(choice, dict) else None
    return inner if isinstance(inner, dict) and inner.get("role") == "assistant" else value


def _by(converted: ImportedConversation, fields: dict[str, Any]) -> ImportedConversation:
    """The conversation with the person, the time and the comment of its row."""
    rater, at = label(fields.get("user")) or converted.rater, moment(fields.get("time"))
    signals = []
    for signal in converted.signals:
        own = replace(signal, rater=rater, at=at)
        is_rating = isinstance(own, ImportedRating)
        signals.append(replace(own, **remarks([], fields.get("comment"))) if is_rating else own)
    return replace(converted, rater=rater, signals=tuple(signals), at=at)


def _field(row: dict[str, Any], column: str) -> Any:
    value: Any = row
    if column in row:
        return row[column]
    for name in column.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _json(value: object) -> object:
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return parsed(value)
    except Unusable:
        return value
