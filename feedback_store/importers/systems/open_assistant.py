"""Open-Assistant: message trees, nested or flat. The ranks of sibling replies become comparisons of every two of them.

A row of the flat form is one message. Consecutive rows of one tree are read together, so that siblings meet.
"""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, cast

from feedback_store.importers.parsing.fields import content, filled, label, mapping, moment, whole
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import (
    ImportedComparison,
    ImportedConversation,
    ImportedMessage,
    Unusable,
    tree,
)
from feedback_store.importers.parsing.json_stream import Row
from feedback_store.importers.parsing.text_only import check_text_only
from feedback_store.records import Role

ROLES: dict[object, Role] = {"prompter": "user", "assistant": "assistant"}
MOST_RANKED = 8  # replies to one prompt; the number of pairs grows with the square
LONGEST_TREE = 2_000  # messages of a flat tree that are read together


def read(path: Path) -> Iterator[Item]:
    return each(_trees(rows(path)), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one tree. Raises: Unusable."""
    key = filled(row.get("message_tree_id"), "message_tree_id")
    messages = row["messages"] if "messages" in row else list(_nested(row.get("prompt")))
    turns, left_out = tree(messages, _turn)
    if not turns:
        raise Unusable(left_out[0] if left_out else "a tree without messages")
    kept = {turn.key for turn in turns}
    ranked: dict[object, dict[int, str]] = {}
    for message in messages:
        name, rank = message.get("message_id"), whole(message.get("rank"))
        if isinstance(name, str) and name in kept and rank is not None and message.get("role") == "assistant":
            ranked.setdefault(message.get("parent_id"), {})[rank] = name
    comparisons = [
        ImportedComparison(better, worse, key)
        for ranks in ranked.values()
        for (_, better), (_, worse) in combinations(sorted(ranks.items())[:MOST_RANKED], 2)
    ]
    return ImportedConversation(
        key, key, tuple(turns), tuple(comparisons), at=turns[0].at, left_out=tuple(left_out)
    )


def _trees(flat: Iterator[Row]) -> Iterator[Row]:
    """Join consecutive rows that are messages of one tree; pass on any other row as it is."""

    messages: list[dict[str, Any]] = []
    number = 0
    for number, value in flat:
        is_message = isinstance(value, dict) and "prompt" not in value and "message_tree_id" in value
        row = cast(dict[str, Any], value)
        tree_id = row["message_tree_id"] if is_message else None
        if messages and (tree_id != messages[0]["message_tree_id"] or len(messages) >= LONGEST_TREE):
            yield number, {"message_tree_id": messages[0]["message_tree_id"], "messages": messages}
            messages = []
        if is_message:
            messages.append(row)
        else:
            yield number, value
    if messages:
        yield number, {"message_tree_id": messages[0]["message_tree_id"], "messages": messages}


def _nested(root: object) -> Iterator[dict[str, Any]]:
    """Iterate over the messages of a tree in which answers are nested as `replies`, each with its `parent_id`."""
    waiting: list[tuple[object, object]] = [(None, root)]
    while waiting:
        parent, node = waiting.pop()
        message = mapping(node, "a message") | {"parent_id": parent}
        replies = message.get("replies") or []
        if not isinstance(replies, list):
            raise Unusable("replies is not a list")
        yield message
        waiting.extend((message.get("message_id"), reply) for reply in reversed(replies))


def _turn(message: dict[str, Any]) -> ImportedMessage | None:
    if message.get("deleted") is True:
        return None
    role, parent = message.get("role"), message.get("parent_id")
    if not isinstance(role, str) or role not in ROLES:
        raise Unusable("unknown role")
    check_text_only(message)
    return ImportedMessage(
        key=filled(message.get("message_id"), "message_id"),
        parent=None if parent is None else filled(parent, "parent_id"),
        role=ROLES[role],
        content=content(message.get("text"), "a message"),
        model=label(message.get("model_name")),
        at=moment(message.get("created_date")),
    )
