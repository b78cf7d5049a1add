"""Pairs in the format of hh-rlhf: `chosen` and `rejected` texts, each a dialogue with marked speakers.

Everything before the last reply is the prompt, and must be equal in both texts. The rows name no people, so each
pair counts as one rater.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.importers.parsing.fields import filled
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import (
    ImportedComparison,
    ImportedConversation,
    ImportedMessage,
    Unusable,
    as_context,
    content_key,
    turn,
)
from feedback_store.records import Role

MARK = re.compile(r"\n\n(Human|Assistant): ?")
ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one row. Raises: Unusable."""
    chosen, rejected = (_turns(filled(row.get(name), name)) for name in ("chosen", "rejected"))
    if chosen[-1].key == rejected[-1].key:
        raise Unusable("chosen and rejected are the same")
    if chosen[-1].parent != rejected[-1].parent:
        raise Unusable("chosen and rejected answer different prompts")
    key = content_key(chosen[-1].key, rejected[-1].key)
    comparison = ImportedComparison(chosen[-1].key, rejected[-1].key, key)
    turns = (*as_context(chosen[:-1]), chosen[-1], rejected[-1])
    return ImportedConversation(key, key, turns, (comparison,))


def _turns(dialogue: str) -> list[ImportedMessage]:
    before, *pieces = MARK.split(dialogue if dialogue.startswith("\n\n") else "\n\n" + dialogue)
    if before.strip() or not pieces:
        raise Unusable("a text without Human and Assistant")
    turns: list[ImportedMessage] = []
    for speaker, body in zip(pieces[::2], pieces[1::2], strict=True):
        role = ROLES[speaker]
        if role == "assistant" and (not turns or turns[-1].role != "user"):
            raise Unusable("a reply that does not follow a user message")
        turns.append(turn(turns[-1] if turns else None, role, body.strip()))
    if turns[-1].role != "assistant" or not turns[-1].content:
        raise Unusable("a text that does not end with a reply")
    return turns
