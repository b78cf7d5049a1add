"""Open-Assistant: message trees; where replies to one prompt are ranked, every pair of ranks is a choice.

Ranks are made from many people's orders, so a tree counts as one rater.
"""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from feedback_store.importers.parsing.fields import content, filled, label, mapping, moment, whole
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import (
    ImportedComparison,
    ImportedConversation,
    ImportedMessage,
    Unusable,
    parents_first,
)
from feedback_store.records import Role

ROLES: dict[object, Role] = {"prompter": "user", "assistant": "assistant"}
MOST_RANKED = 8  # replies to one prompt: each adds as many pairs as stand above it


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Raises: Unusable."""
    key = filled(row.get("message_tree_id"), "message_tree_id")
    turns: list[ImportedMessage] = []
    ranked: dict[str | None, dict[int, str]] = {}
    waiting: list[tuple[str | None, object]] = [(None, row.get("prompt"))]
    while waiting:
        parent, found = waiting.pop()
        message = mapping(found, "a message")
        if message.get("deleted") is True:
            continue
        one = _turn(message, parent)
        turns.append(one)
        rank = whole(message.get("rank"))
        if one.role == "assistant" and rank is not None:
            ranked.setdefault(parent, {})[rank] = one.key
        replies = message.get("replies") or []
        if not isinstance(replies, list):
            raise Unusable("replies is no list")
        waiting.extend((one.key, reply) for reply in reversed(replies))
    if len({one.key for one in turns}) < len(turns):
        raise Unusable("two messages with one id")
    turns = parents_first(turns)
    kept = {one.key for one in turns}
    choices = [
        ImportedComparison(better, worse, key)
        for ranks in ranked.values()
        for (_, better), (_, worse) in combinations(sorted(ranks.items())[:MOST_RANKED], 2)
        if better in kept and worse in kept
    ]
    if not turns:
        raise Unusable("a tree without messages")
    return ImportedConversation(key, key, tuple(turns), tuple(choices), at=turns[0].at)


def _turn(message: dict[str, Any], parent: str | None) -> ImportedMessage:
    who = message.get("role")
    if not isinstance(who, str) or who not in ROLES:
        raise Unusable("a role that the store does not know")
    return ImportedMessage(
        key=filled(message.get("message_id"), "message_id"),
        parent=parent,
        role=ROLES[who],
        content=content(message.get("text"), "a message"),
        model=label(message.get("model_name")),
        at=moment(message.get("created_date")),
    )
