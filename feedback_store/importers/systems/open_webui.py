"""Open WebUI: `feedback-history-export-*.json`, an array of ratings, each with a snapshot of its chat.

Kept of a chat: the messages up to the rated reply, and the reply's siblings. In an arena the vote is also a
blind choice between the rated reply and each sibling that another model wrote.
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
    turn,
)


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Raises: Unusable."""
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
        raise Unusable("the rated message is no reply")
    siblings = list(_siblings(messages, rated_id, path[-2]))

    rater = filled(row.get("user_id"), "user_id")
    at = moment(row.get("updated_at")) or moment(row.get("created_at"))
    score = whole(mapping(data.get("details") or {}, "data.details").get("rating"))
    tags = data.get("tags") if isinstance(data.get("tags"), list) else []
    scored = [f"score {score} of 10"] if score is not None and 0 <= score <= 10 else []
    said = remarks([data.get("reason"), *(tags or []), *scored], data.get("comment"))
    signals: list[ImportedRating | ImportedComparison] = [
        ImportedRating(rated.key, rater, value, at=at, **said)
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


def _path(messages: dict[str, Any], rated_id: str) -> list[str]:
    """The ids from the root down to the rated message."""
    path: list[str] = []
    seen: set[str] = set()
    name: object = rated_id
    while name is not None:
        if not isinstance(name, str) or name not in messages:
            raise Unusable("a message that is not in the chat")
        if name in seen:
            raise Unusable("messages that are their own parents")
        seen.add(name)
        path.append(name)
        name = mapping(messages[name], "a message").get("parentId")
    return path[::-1]


def _turn(parent: ImportedMessage | None, name: str, message: object) -> ImportedMessage:
    found = mapping(message, "a message")
    who = role(found.get("role"))
    body = content(found.get("content"), "a message")
    thought = None
    if who == "assistant":
        if parent is None or parent.role != "user":
            raise Unusable("a reply that answers no user's message")
        thought, body = split_thought(body)
    return turn(
        parent,
        who,
        body,
        name=name,
        thought=thought,
        model=label(found.get("model")),
        at=moment(found.get("timestamp")),
    )


def _siblings(messages: dict[str, Any], rated_id: str, parent: ImportedMessage) -> Iterator[ImportedMessage]:
    above = messages[mapping(messages[rated_id])["parentId"]]
    names = above.get("childrenIds")
    for name in (
        dict.fromkeys(one for one in names if isinstance(one, str)) if isinstance(names, list) else ()
    ):
        if name == rated_id:
            continue
        try:
            sibling = _turn(parent, name, messages.get(name))
        except Unusable:  # a sibling that failed or holds a picture: the vote is none the worse
            continue
        if sibling.role == "assistant" and sibling.content.strip():
            yield sibling
