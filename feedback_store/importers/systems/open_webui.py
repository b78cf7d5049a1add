"""Open WebUI: `feedback-history-export-*.json`, an array of ratings, or an export of chats.

A rating has a snapshot of its chat, of which the messages up to the rated reply and the siblings of that reply are
imported. In an arena, a rating is also a blind comparison of the rated reply with each sibling that another model
wrote. A chat is imported as a tree, with the `annotation.rating` of its replies.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.importers.parsing.fields import (
    content,
    filled,
    label,
    mapping,
    moment,
    remarks,
    role,
    split_thought,
    thumb,
    whole,
)
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import (
    ImportedComparison,
    ImportedConversation,
    ImportedMessage,
    ImportedRating,
    Unusable,
    tree,
    turn,
)
from feedback_store.importers.parsing.text_only import check_text_only
from feedback_store.records import Role


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one row, a rating or a chat. Raises: Unusable."""
    if "data" not in row and isinstance(row.get("chat"), dict):
        return _chat(row)
    data, meta = mapping(row.get("data"), "data"), mapping(row.get("meta"), "meta")
    value = thumb(data.get("rating"))
    if not isinstance(row.get("snapshot"), dict):
        raise Unusable("no snapshot of the chat")
    outer = mapping(row["snapshot"].get("chat"), "snapshot.chat")
    chat = mapping(outer.get("chat"), "snapshot.chat.chat")
    messages = mapping(mapping(chat.get("history"), "history").get("messages"), "history.messages")
    rated_id = filled(meta.get("message_id"), "meta.message_id")

    path: list[ImportedMessage] = []
    for name in _path(messages, rated_id):
        path.append(_turn(path[-1] if path else None, name, messages[name]))
    rated = path[-1]
    if rated.role != "assistant":
        raise Unusable("the rated message is not a reply")
    siblings = list(_siblings(messages, rated_id, path[-2]))

    rater = filled(row.get("user_id"), "user_id")
    at = moment(row.get("updated_at")) or moment(row.get("created_at"))
    signals: list[ImportedRating | ImportedComparison] = [
        ImportedRating(rated.key, rater, value, at=at, **_remarks(data))
    ]
    if meta.get("arena") is True:
        for sibling in siblings:
            if sibling.model != rated.model:
                chosen, rejected = (rated, sibling) if value > 0 else (sibling, rated)
                signals.append(ImportedComparison(chosen.key, rejected.key, rater, blind=True, at=at))
    return ImportedConversation(
        key=label(meta.get("chat_id")) or label(outer.get("id")) or path[0].key,
        rater=label(outer.get("user_id")) or rater,
        turns=(*path, *siblings),
        signals=tuple(signals),
        title=label(outer.get("title")),
        at=moment(outer.get("created_at")) or at,
    )


def _chat(row: dict[str, Any]) -> ImportedConversation:
    messages = mapping(mapping(row["chat"].get("history"), "history").get("messages"), "history.messages")
    key = filled(row.get("id"), "id")
    rater = label(row.get("user_id")) or key
    turns, left_out = tree(messages.items(), _node)
    ratings = []
    for message in turns:
        annotation = mapping(mapping(messages[message.key]).get("annotation") or {}, "annotation")
        value = whole(annotation.get("rating"))
        if message.role == "assistant" and value in (1, 0, -1):
            ratings.append(
                ImportedRating(
                    message.key, rater, value, at=moment(row.get("updated_at")), **_remarks(annotation)
                )
            )
    return ImportedConversation(
        key=key,
        rater=rater,
        turns=tuple(turns),
        signals=tuple(ratings),
        title=label(row.get("title")),
        at=moment(row.get("created_at")),
        left_out=tuple(left_out),
    )


def _node(item: tuple[str, object]) -> ImportedMessage:
    """A message of a chat, under its id in Open WebUI."""
    name, message = item
    fields = mapping(message, "a message")
    parent = fields.get("parentId")
    message_role, thought, body = _content(fields)
    return ImportedMessage(
        key=filled(name, "a message's id"),
        parent=None if parent is None else filled(parent, "parentId"),
        role=message_role,
        content=body,
        thought=thought,
        model=label(fields.get("model")),
        think=thought is not None,
        at=moment(fields.get("timestamp")),
    )


def _remarks(data: dict[str, Any]) -> dict[str, Any]:
    """The reasons and the comment of a rating."""
    details, tags = data.get("details"), data.get("tags")
    score = whole(details.get("rating")) if isinstance(details, dict) else None
    score_reasons = [f"score {score} of 10"] if score is not None and 0 <= score <= 10 else []
    own_tags = tags if isinstance(tags, list) else []
    return remarks([data.get("reason"), *own_tags, *score_reasons], data.get("comment"))


def _path(messages: dict[str, Any], rated_id: str) -> list[str]:
    """The ids of the messages from the root to the rated message. Raises: Unusable."""
    path: list[str] = []
    seen: set[str] = set()
    name: object = rated_id
    while name is not None:
        if not isinstance(name, str) or name not in messages:
            raise Unusable("a message that is not in the chat")
        if name in seen:
            raise Unusable("messages whose parents form a cycle")
        seen.add(name)
        path.append(name)
        name = mapping(messages[name], "a message").get("parentId")
    return path[::-1]


def _turn(parent: ImportedMessage | None, name: str, message: object) -> ImportedMessage:
    fields = mapping(message, "a message")
    message_role, thought, body = _content(fields)
    if message_role == "assistant" and (parent is None or parent.role != "user"):
        raise Unusable("a reply that does not follow a user message")
    return turn(
        parent,
        message_role,
        body,
        name=name,
        thought=thought,
        model=label(fields.get("model")),
        at=moment(fields.get("timestamp")),
    )


def _content(message: dict[str, Any]) -> tuple[Role, str | None, str]:
    """The role, the thought and the text of a message. Raises: Unusable."""
    message_role = role(message.get("role"))
    check_text_only(message, message.get("content"))
    body = content(message.get("content"), "a message")
    thought, body = split_thought(body) if message_role == "assistant" else (None, body)
    return message_role, thought, body


def _siblings(messages: dict[str, Any], rated_id: str, parent: ImportedMessage) -> Iterator[ImportedMessage]:
    parent_message = messages[mapping(messages[rated_id])["parentId"]]
    names = parent_message.get("childrenIds")
    unique = dict.fromkeys(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()
    for name in unique:
        if name == rated_id:
            continue
        try:
            sibling = _turn(parent, name, messages.get(name))
        except Unusable:  # a failed sibling, or one with an image, does not affect the rating
            continue
        if sibling.role == "assistant" and sibling.content.strip():
            yield sibling
