"""Open-Assistant: message trees. Where replies to one prompt are ranked, each pair of them becomes a comparison.

A rank combines the orders of many people, so each tree counts as one rater.
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
MOST_RANKED = 8  # replies to one prompt; the number of pairs grows with the square


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one row. Raises: Unusable."""
    key = filled(row.get("message_tree_id"), "message_tree_id")
    turns: list[ImportedMessage] = []
    ranked: dict[str | None, dict[int, str]] = {}
    waiting: list[tuple[str | None, object]] = [(None, row.get("prompt"))]
    while waiting:
        parent, node = waiting.pop()
        message = mapping(node, "a message")
        if message.get("deleted") is True:
            continue
        turn = _turn(message, parent)
        turns.append(turn)
        rank = whole(message.get("rank"))
        if turn.role == "assistant" and rank is not None:
            ranked.setdefault(parent, {})[rank] = turn.key
        replies = message.get("replies") or []
        if not isinstance(replies, list):
            raise Unusable("replies is not a list")
        waiting.extend((turn.key, reply) for reply in reversed(replies))
    if len({turn.key for turn in turns}) < len(turns):
        raise Unusable("two messages with the same id")
    turns = parents_first(turns)
    kept = {turn.key for turn in turns}
    comparisons = [
        ImportedComparison(better, worse, key)
        for ranks in ranked.values()
        for (_, better), (_, worse) in combinations(sorted(ranks.items())[:MOST_RANKED], 2)
        if better in kept and worse in kept
    ]
    if not turns:
        raise Unusable("a tree without messages")
    return ImportedConversation(key, key, tuple(turns), tuple(comparisons), at=turns[0].at)


def _turn(message: dict[str, Any], parent: str | None) -> ImportedMessage:
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise Unusable("unknown role")
    return ImportedMessage(
        key=filled(message.get("message_id"), "message_id"),
        parent=parent,
        role=ROLES[role],
        content=content(message.get("text"), "a message"),
        model=label(message.get("model_name")),
        at=moment(message.get("created_date")),
    )
