"""Gradio's chat flagging: `log.csv` with the messages as JSON, the flagged message's index, the flag, the time.

The header names five columns and rows have four: they are read by position. Nobody is named, so that equal
branches count as one person's.
"""

from collections.abc import Iterator
from pathlib import Path

from feedback_store.importers.parsing.fields import content, mapping, moment, role, split_thought, whole
from feedback_store.importers.parsing.files import Item, csv_rows, parsed
from feedback_store.importers.parsing.items import (
    ImportedConversation,
    ImportedMessage,
    ImportedRating,
    Unusable,
    turn,
)

VALUES = {"Like": 1, "Dislike": -1}


def read(path: Path) -> Iterator[Item]:
    for _, record in csv_rows(path):
        try:
            yield conversation(record)
        except Unusable as reason:
            yield reason


def conversation(record: list[str]) -> ImportedConversation:
    """Raises: Unusable."""
    if len(record) < 4:
        raise Unusable("fewer than four columns")
    value = VALUES.get(record[2])
    if value is None:
        raise Unusable("a flag that is neither Like nor Dislike")
    # Gradio writes a quote before what a spreadsheet might take for a formula.
    messages = parsed(record[0].removeprefix("'"))
    index = parsed(record[1].removeprefix("'"))
    flagged = whole(index[0] if isinstance(index, list) and index else index)
    if not isinstance(messages, list) or flagged is None or not 0 <= flagged < len(messages):
        raise Unusable("an index of no message")
    turns = _branch(messages[: flagged + 1])
    if turns[-1].role != "assistant":
        raise Unusable("a flag on no reply")
    key = turns[-1].key
    at = moment(record[-1])
    return ImportedConversation(key, key, tuple(turns), (ImportedRating(key, key, value, at=at),), at=at)


def _branch(messages: list[object]) -> list[ImportedMessage]:
    turns: list[ImportedMessage] = []
    thought = None
    for said in messages:
        message = mapping(said, "a message")
        who = role(message.get("role"))
        body = content(message.get("content"), "a message")
        metadata = message.get("metadata")
        if who == "assistant" and isinstance(metadata, dict) and metadata.get("title"):
            thought = body  # shown folded, under a title, before the reply that it led to
            continue
        within = None
        if who == "assistant":
            if not turns or turns[-1].role != "user":
                raise Unusable("a reply that answers no user's message")
            within, body = split_thought(body)
        turns.append(turn(turns[-1] if turns else None, who, body, thought=thought or within))
        thought = None
    if thought is not None or not turns:
        raise Unusable("a flag on no reply")
    return turns
