"""HF chat-ui: the Parquet export, one conversation a row; a message's `score` is a thumb. Nobody is named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.importers.parsing.fields import branch, label, listing, moment, whole
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import ImportedConversation, ImportedRating, Unusable, content_key


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Raises: Unusable."""
    messages = listing(row.get("messages"), "messages")
    # An assistant's empty first message is how chat-ui marks the root of its tree.
    if isinstance(messages[0], dict) and messages[0].get("from") != "user" and not messages[0].get("content"):
        messages = messages[1:]
    turns = branch(messages, model=label(row.get("model")))
    created, updated = moment(row.get("created_at")), moment(row.get("updated_at"))
    # When it began and how: the row grows with the conversation, and stays the same one.
    key = content_key(created.isoformat() if created else None, turns[0].key)
    votes = []
    for one, message in zip(turns, messages, strict=True):
        value = whole(message.get("score"))
        if value in (None, 0):
            continue
        if value not in (1, -1) or one.role != "assistant":
            raise Unusable("a score that is no thumb on a reply")
        votes.append(ImportedRating(one.key, key, value, at=updated))
    return ImportedConversation(
        key=key,
        rater=key,
        turns=tuple(turns),
        signals=tuple(votes),
        title=label(row.get("title")),
        at=created,
    )
