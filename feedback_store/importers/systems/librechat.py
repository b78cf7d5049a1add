"""LibreChat: an exported conversation (`messages`, flat or nested), or the `messages` collection row by row.

Messages are identified by their ids in LibreChat. The rows of the collection must be in the order in which they
were written, as `mongoexport` outputs them: a parent before its answers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.importers.parsing.fields import (
    filled,
    label,
    mapping,
    moment,
    remarks,
    split_thought,
    text,
)
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import (
    ImportedConversation,
    ImportedMessage,
    ImportedRating,
    Unusable,
    tree,
)
from feedback_store.importers.parsing.text_only import check_text_only, kind_of_block

NO_PARENT = "00000000-0000-0000-0000-000000000000"
VALUES = {"thumbsUp": 1, "thumbsDown": -1}


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one row. Raises: Unusable."""
    if "messages" not in row:
        return _conversation(filled(row.get("conversationId"), "conversationId"), [row], row)
    messages = list(_flat(row["messages"]))
    if not messages:
        raise Unusable("messages is not a list, or is empty")
    key = label(row.get("conversationId")) or label(messages[0].get("conversationId"))
    return _conversation(filled(key, "conversationId"), messages, row)


def _conversation(key: str, messages: list[dict[str, Any]], outer: dict[str, Any]) -> ImportedConversation:
    rater = label(outer.get("user")) or label(messages[0].get("user")) or key
    # A row of the collection is one message, whose parent was imported before.
    turns, left_out = tree(messages, _turn) if len(messages) > 1 else ([_turn(messages[0])], [])
    kept = {turn.key for turn in turns}
    ratings = [
        rating
        for message in messages
        if str(message.get("messageId")) in kept and (rating := _rating(message, rater))
    ]
    return ImportedConversation(
        key=key,
        rater=rater,
        turns=tuple(turns),
        signals=tuple(ratings),
        title=label(outer.get("title")),
        at=moment(messages[0].get("createdAt")),
        left_out=tuple(left_out),
    )


def _flat(messages: object) -> Iterator[dict[str, Any]]:
    """Iterate over the messages of a list in which answers may be nested as `children`."""
    waiting = list(reversed(messages)) if isinstance(messages, list) else []
    while waiting:
        message = mapping(waiting.pop(), "a message")
        yield message
        children = message.get("children")
        if isinstance(children, list):
            waiting.extend(reversed(children))


def _turn(message: dict[str, Any]) -> ImportedMessage:
    parent = message.get("parentMessageId")
    by_user = message.get("isCreatedByUser")
    if not isinstance(by_user, bool):
        raise Unusable("a message that does not say who wrote it")
    check_text_only(message, message.get("text"))
    thought, body = _thought_and_text(message)
    if not by_user and thought is None:
        thought, body = split_thought(body)
    return ImportedMessage(
        key=filled(message.get("messageId"), "messageId"),
        parent=None if parent in (None, "", NO_PARENT) else text(parent, "parentMessageId"),
        role="user" if by_user else "assistant",
        content=body,
        thought=None if by_user else thought,
        model="" if by_user else label(message.get("model")),
        think=not by_user and thought is not None,
        at=moment(message.get("createdAt")),
    )


def _thought_and_text(message: dict[str, Any]) -> tuple[str | None, str]:
    """Return (thought, text), from the parts in `content` if there are any, else from `text`."""
    parts = message.get("content")
    if not isinstance(parts, list) or not parts:
        return None, text(message.get("text"), "a message")
    texts: dict[str, list[str]] = {"think": [], "text": []}
    for part in parts:
        kind = mapping(part, "a part").get("type")
        if not isinstance(kind, str) or kind not in texts:
            raise Unusable(kind_of_block(part) or "a message with a part that is not text")
        inner = part.get(kind)
        texts[kind].append(text(inner.get("value") if isinstance(inner, dict) else inner, "a message"))
    return "\n".join(texts["think"]) or None, "\n".join(texts["text"])


def _rating(message: dict[str, Any], rater: str) -> ImportedRating | None:
    if not message.get("feedback"):
        return None
    feedback = mapping(message["feedback"], "feedback")
    thumb = feedback.get("rating")
    value = VALUES.get(thumb) if isinstance(thumb, str) else None
    if value is None:
        raise Unusable("a rating that is neither thumbsUp nor thumbsDown")
    tag = feedback.get("tag")
    key = tag.get("key") if isinstance(tag, dict) else tag
    return ImportedRating(
        reply=text(message.get("messageId"), "messageId"),
        rater=label(message.get("user")) or rater,
        value=value,
        at=moment(message.get("updatedAt")) or moment(message.get("createdAt")),
        **remarks([key], feedback.get("text")),
    )
