"""FeeL: conversations in which a reply may have a `rating`, and an edited reply `rejected` and `chosen` texts.

The log repeats a conversation each time it grows or is rated. All its rows become one tree.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.importers.parsing.fields import branch, filled, label, listing, moment, text, whole
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import (
    ImportedConversation,
    ImportedCorrection,
    ImportedMessage,
    ImportedRating,
    Signal,
    Unusable,
    turn,
)


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one row. Raises: Unusable."""
    messages = listing(row.get("conversation"), "conversation")
    left_out: list[str] = []
    turns = branch(messages, left_out=left_out)
    key = filled(row.get("conversation_id"), "conversation_id")
    rater = label(row.get("session_id")) or key
    at = moment(row.get("timestamp"))
    signals: list[Signal] = []
    originals: list[ImportedMessage] = []
    for number, (imported, message) in enumerate(zip(turns, messages, strict=False)):
        value = whole(message.get("rating"))
        if imported.role != "assistant":
            continue
        if value in (1, 0, -1):
            signals.append(ImportedRating(imported.key, rater, value, at=at))
        elif value is not None:
            raise Unusable("a rating that is neither 1, 0 nor -1")
        chosen, rejected = (text(message.get(name) or "", name) for name in ("chosen", "rejected"))
        if chosen.strip() and rejected.strip() and chosen != rejected:
            original = turn(turns[number - 1], "assistant", rejected)
            originals.append(original)
            signals.append(ImportedCorrection(original.key, rater, chosen, at=at))
    return ImportedConversation(
        key, rater, (*turns, *originals), tuple(signals), at=at, left_out=tuple(left_out)
    )
