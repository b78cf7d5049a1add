"""Gradio's chat flagging: `log.csv` with the messages as JSON, the index of the flagged message, the flag, the time.

The header names five columns, but the rows of some releases have four, so columns are read by position. Where no
user is named, equal branches count as those of one rater. Each row is the new flag of a message: the last one stands,
and one that is neither Like nor Dislike, such as the empty flag of an undo, withdraws the thumb before it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from feedback_store.importers.parsing.fields import content, mapping, moment, role, split_thought, text, whole
from feedback_store.importers.parsing.files import Item, csv_rows
from feedback_store.importers.parsing.items import (
    ImportedConversation,
    ImportedMessage,
    ImportedRating,
    Unusable,
    turn,
)
from feedback_store.importers.parsing.json_stream import parsed
from feedback_store.importers.parsing.text_only import TOOL, check_text_only

TOOL_TITLE = re.compile(
    r"\btool|\N{HAMMER AND WRENCH}", re.I
)  # how Gradio's guides and agents title the call of a tool
VALUES = {"Like": 1, "Dislike": -1}


def read(path: Path) -> Iterator[Item]:
    for _, record in csv_rows(path):
        try:
            yield conversation(record)
        except Unusable as reason:
            yield reason


def conversation(record: list[str]) -> ImportedConversation:
    """Convert one record of the file. Raises: Unusable."""
    if len(record) < 4:
        raise Unusable("fewer than four columns")
    value = VALUES.get(record[2], 0)
    # Gradio puts a quote before a cell that a spreadsheet could interpret as a formula.
    messages = parsed(record[0].removeprefix("'"))
    index = parsed(record[1].removeprefix("'"))
    flagged = whole(index[0] if isinstance(index, list) and index else index)
    if not isinstance(messages, list) or flagged is None or not 0 <= flagged < len(messages):
        raise Unusable("an index that is not that of a message")
    turns = _branch(messages[: flagged + 1])
    if turns[-1].role != "assistant":
        raise Unusable("a flag that is not on a reply")
    key = turns[-1].key
    rater = (record[3] if len(record) > 4 else "").strip() or key
    at = moment(record[-1])
    rating = ImportedRating(key, text(rater, "a user"), value, at=at)
    return ImportedConversation(key, rater, tuple(turns), (rating,), at=at, only_if_known=not value)


def _branch(messages: list[object]) -> list[ImportedMessage]:
    turns: list[ImportedMessage] = []
    thought = None
    for item in messages:
        message = mapping(item, "a message")
        message_role = role(message.get("role"))
        body = content(message.get("content"), "a message")
        metadata = message.get("metadata")
        check_text_only(message, body)
        if (
            message_role == "assistant"
            and isinstance(metadata, dict)
            and TOOL_TITLE.search(str(metadata.get("title")))
        ):
            raise Unusable(TOOL)
        if message_role == "assistant" and isinstance(metadata, dict) and metadata.get("title"):
            thought = body  # Gradio shows a thought as a titled message before its reply
            continue
        embedded_thought = None
        if message_role == "assistant":
            if not turns or turns[-1].role != "user":
                raise Unusable("a reply that does not follow a user message")
            embedded_thought, body = split_thought(body)
        turns.append(
            turn(turns[-1] if turns else None, message_role, body, thought=thought or embedded_thought)
        )
        thought = None
    if thought is not None or not turns:
        raise Unusable("a flag that is not on a reply")
    return turns
