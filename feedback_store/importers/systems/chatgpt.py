"""ChatGPT's export: the ZIP archive, or its `conversations.json`, with the ratings of `message_feedback.json`.

A conversation is a tree of messages. Messages that nobody sees, such as an empty system message, are passed over, and
thoughts go to the reply after them. Beside an unpacked `conversations.json`, the `message_feedback.json` is read too.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from feedback_store.importers.parsing.fields import (
    content,
    filled,
    label,
    listing,
    mapping,
    moment,
    remarks,
    role,
    thumb_of,
)
from feedback_store.importers.parsing.files import Item, archive_rows, each, members, rows
from feedback_store.importers.parsing.items import (
    ImportedConversation,
    ImportedMessage,
    ImportedRating,
    Unusable,
    tree,
)
from feedback_store.importers.parsing.json_stream import parsed
from feedback_store.importers.parsing.text_only import FILE, SOURCES, TOOL, check_text_only

CONVERSATIONS = r"conversations(-\d+)?\.json"
FEEDBACK = r"message_feedback\.json"
NO_THUMB = "a rating that is neither up nor down"
# Content that is no message of its own: thoughts, and what is sent along with every message.
UNSEEN = ("thoughts", "reasoning_recap", "user_editable_context", "model_editable_context")
KINDS = {
    "multimodal_text": FILE,
    "code": TOOL,
    "execution_output": TOOL,
    "tether_quote": SOURCES,
    "tether_browsing_display": SOURCES,
}


def read(path: Path) -> Iterator[Item]:
    feedback, unusable = _feedback(path)
    unread = set(feedback)
    for item in each(archive_rows(path, CONVERSATIONS), partial(conversation, feedback=feedback)):
        if isinstance(item, ImportedConversation):
            unread -= {turn.key for turn in item.turns if turn.role == "assistant"}
        yield item
    # Last, so that the numbers before are those of conversations.
    yield from unusable
    for _ in unread:
        yield Unusable("a rating of a message that is not here, or was left out")


def conversation(
    row: dict[str, Any], feedback: dict[str, dict[str, Any]] | None = None
) -> ImportedConversation:
    """Convert one row; `feedback` has the ratings by the id of their message. Raises: Unusable."""
    nodes = mapping(row.get("mapping"), "mapping")
    key = filled(row.get("conversation_id", row.get("id")), "conversation_id")
    turns, left_out = tree(nodes, partial(_turn, nodes))
    ratings = feedback or {}
    rated = [(turn, ratings[turn.key]) for turn in turns if turn.role == "assistant" and turn.key in ratings]
    signals = [_rating(turn.key, fields, key) for turn, fields in rated]
    left_out += [NO_THUMB] * signals.count(None)
    return ImportedConversation(
        key=key,
        rater=next((label(rating.get("user_id")) for _, rating in rated), "") or key,
        turns=tuple(turns),
        signals=tuple(filter(None, signals)),
        title=label(row.get("title")),
        at=moment(row.get("create_time")),
        left_out=tuple(left_out),
    )


def _turn(nodes: dict[str, Any], name: str) -> ImportedMessage | None:
    node = mapping(nodes[name], "a node")
    message = _seen(node)
    if message is None:
        return None
    parent, thoughts = _above(nodes, node)
    message_role = role(mapping(message.get("author"), "author").get("role"))
    metadata = mapping(message.get("metadata") or {}, "metadata")
    check_text_only(message)
    check_text_only(metadata)
    references = metadata.get("content_references")
    if isinstance(references, list) and any("web" in str(item) for item in references):
        raise Unusable(SOURCES)
    if message.get("recipient", "all") != "all":
        raise Unusable(TOOL)
    body = mapping(message.get("content"), "content")
    kind = body.get("content_type")
    if kind != "text":
        raise Unusable(KINDS.get(str(kind), "a message has a part that is not text"))
    return ImportedMessage(
        key=filled(name, "a message's id"),
        parent=parent,
        role=message_role,
        content=content(listing(body.get("parts"), "parts"), "a message"),
        thought=thoughts or None,
        model=label(metadata.get("model_slug")),
        think=bool(thoughts),
        at=moment(message.get("create_time")),
    )


def _seen(node: dict[str, Any]) -> dict[str, Any] | None:
    """The message of a node, unless nobody sees it."""
    message = node.get("message")
    if not isinstance(message, dict):
        return None
    body, metadata = message.get("content"), message.get("metadata")
    kind = body.get("content_type") if isinstance(body, dict) else None
    hidden = isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation")
    author = message.get("author")
    by_user = isinstance(author, dict) and author.get("role") == "user"
    parts = body.get("parts") if isinstance(body, dict) else None
    empty = kind == "text" and isinstance(parts, list) and not any(parts)
    return None if hidden or kind in UNSEEN or (empty and not by_user) else message


def _above(nodes: dict[str, Any], node: dict[str, Any]) -> tuple[str | None, str]:
    """The nearest message above a node that is seen, and the thoughts between. Raises: Unusable."""
    thoughts: list[str] = []
    passed: set[str] = set()
    name = node.get("parent")
    while name is not None:
        if not isinstance(name, str) or name not in nodes or name in passed:
            raise Unusable("a message whose parent is missing")
        passed.add(name)
        above = mapping(nodes[name], "a node")
        if _seen(above) is not None:
            break
        thoughts = [*_thoughts(above), *thoughts]
        name = above.get("parent")
    return name, "\n".join(thoughts)


def _thoughts(node: dict[str, Any]) -> Iterator[str]:
    body = node["message"].get("content") if isinstance(node.get("message"), dict) else None
    thoughts = body.get("thoughts") if isinstance(body, dict) else None
    for thought in thoughts if isinstance(thoughts, list) else []:
        if isinstance(thought, dict) and label(thought.get("content")):
            yield label(thought["content"])


def _rating(reply: str, fields: dict[str, Any], rater: str) -> ImportedRating | None:
    value = thumb_of(fields.get("rating"))
    if value is None:
        return None
    try:
        details = (
            parsed(fields["content"]) if isinstance(fields.get("content"), str) else fields.get("content")
        )
    except Unusable:
        details = None
    details = details if isinstance(details, dict) else {}
    tags = details.get("tags") if isinstance(details.get("tags"), list) else []
    at = moment(fields.get("update_time")) or moment(fields.get("create_time"))
    return ImportedRating(
        reply, label(fields.get("user_id")) or rater, value, at=at, **remarks(tags or [], details.get("text"))
    )


def _feedback(path: Path) -> tuple[dict[str, dict[str, Any]], list[Unusable]]:
    """The rows of `message_feedback.json` by the id of their message, and what is no such row; both may be empty."""
    beside = path.with_name(re.sub(r"conversations(-\d+)?", "message_feedback", path.name))
    if inner := members(path, FEEDBACK):
        found = rows(path, inner[0])
    elif beside != path and beside.is_file():
        found = rows(beside)
    else:
        return {}, []
    by_message: dict[str, dict[str, Any]] = {}
    unusable = []
    for _, row in found:
        if isinstance(row, dict) and isinstance(row.get("id"), str):
            by_message[row["id"]] = row
        else:
            unusable.append(
                row if isinstance(row, Unusable) else Unusable("a rating without the id of its message")
            )
    return by_message, unusable
