"""Pairs in the style of hh-rlhf: `chosen` and `rejected`, one text each, with turns marked by who speaks.

What both share up to the last reply is the prompt. A pair counts as one rater's, since nobody is named.
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
    content_key,
    turn,
)
from feedback_store.records import Role

MARK = re.compile(r"\n\n(Human|Assistant): ?")
ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Raises: Unusable."""
    chosen, rejected = (_turns(filled(row.get(name), name)) for name in ("chosen", "rejected"))
    if chosen[-1].key == rejected[-1].key:
        raise Unusable("chosen and rejected are the same")
    if chosen[-1].parent != rejected[-1].parent:
        raise Unusable("chosen and rejected answer different prompts")
    key = content_key(chosen[-1].key, rejected[-1].key)
    return ImportedConversation(
        key, key, (*chosen, rejected[-1]), (ImportedComparison(chosen[-1].key, rejected[-1].key, key),)
    )


def _turns(said: str) -> list[ImportedMessage]:
    before, *pieces = MARK.split(said if said.startswith("\n\n") else "\n\n" + said)
    if before.strip() or not pieces:
        raise Unusable("a text without Human and Assistant")
    turns: list[ImportedMessage] = []
    for speaker, body in zip(pieces[::2], pieces[1::2], strict=True):
        who = ROLES[speaker]
        if who == "assistant" and (not turns or turns[-1].role != "user"):
            raise Unusable("a reply that answers no user's message")
        turns.append(turn(turns[-1] if turns else None, who, body.strip()))
    if turns[-1].role != "assistant" or not turns[-1].content:
        raise Unusable("a text that does not end with a reply")
    return turns
