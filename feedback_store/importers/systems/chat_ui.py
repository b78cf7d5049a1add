"""HF chat-ui: the Parquet export with one conversation in each row, in which the `score` of a message is a thumb.

The export names no people, so each conversation counts as one rater.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.importers.parsing.fields import branch, label, listing, moment, whole
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import ImportedConversation, ImportedRating, Unusable, content_key


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one row. Raises: Unusable."""
    messages = listing(row.get("messages"), "messages")
    # Chat-ui marks the root of a tree with an empty message of the assistant.
    if isinstance(messages[0], dict) and messages[0].get("from") != "user" and not messages[0].get("content"):
        messages = messages[1:]
    left_out: list[str] = []
    turns = branch(messages, model=label(row.get("model")), left_out=left_out)
    created, updated = moment(row.get("created_at")), moment(row.get("updated_at"))
    # The time and the first message identify the conversation: they stay the same when it grows.
    key = content_key(created.isoformat() if created else None, turns[0].key)
    ratings = []
    for turn, message in zip(turns, messages, strict=False):
        value = whole(message.get("score"))
        if value is None or (value == 0 and turn.role != "assistant"):
            continue
        if value not in (1, 0, -1) or turn.role != "assistant":
            raise Unusable("a score that is not a thumb on a reply")
        ratings.append(ImportedRating(turn.key, key, value, at=updated))
    return ImportedConversation(
        key=key,
        rater=key,
        turns=tuple(turns),
        signals=tuple(ratings),
        title=label(row.get("title")),
        at=created,
        left_out=tuple(left_out),
    )
