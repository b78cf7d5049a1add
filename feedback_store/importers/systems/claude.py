"""Claude.ai's export: the ZIP archive, or its `conversations.json`. It has no ratings, so that it gives prompts.

Messages name their parents in newer exports; in older ones each answers the one before.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.importers.parsing.fields import filled, label, listing, mapping, moment, role, text
from feedback_store.importers.parsing.files import Item, archive_rows, each
from feedback_store.importers.parsing.items import ImportedConversation, ImportedMessage, Unusable, tree
from feedback_store.importers.parsing.text_only import check_text_only, kind_of_block

NO_PARENT = "00000000-0000-4000-8000-000000000000"


def read(path: Path) -> Iterator[Item]:
    return each(archive_rows(path, r"conversations\.json"), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one row. Raises: Unusable."""
    key = filled(row.get("uuid"), "uuid")
    account = row.get("account")
    rater = label(account.get("uuid")) if isinstance(account, dict) else ""
    messages = [
        mapping(message, "a message") for message in listing(row.get("chat_messages"), "chat_messages")
    ]
    before = [None, *(message.get("uuid") for message in messages)]
    linked = [
        message if message.get("parent_message_uuid") else message | {"parent_message_uuid": parent}
        for message, parent in zip(messages, before, strict=False)
    ]
    turns, left_out = tree(linked, _turn)
    return ImportedConversation(
        key=key,
        rater=rater or key,
        turns=tuple(turns),
        title=label(row.get("name")),
        at=moment(row.get("created_at")),
        left_out=tuple(left_out),
    )


def _turn(message: dict[str, Any]) -> ImportedMessage:
    check_text_only(message)
    message_role = role(message.get("sender"))
    parent = message.get("parent_message_uuid")
    thought, body = _thought_and_text(message)
    return ImportedMessage(
        key=filled(message.get("uuid"), "uuid"),
        parent=None if parent in (None, NO_PARENT) else text(parent, "parent_message_uuid"),
        role=message_role,
        content=body,
        thought=thought if message_role == "assistant" else None,
        think=message_role == "assistant" and thought is not None,
        at=moment(message.get("created_at")),
    )


def _thought_and_text(message: dict[str, Any]) -> tuple[str | None, str]:
    parts = message.get("content")
    if not isinstance(parts, list) or not parts:
        return None, text(message.get("text"), "a message")
    texts: dict[str, list[str]] = {"thinking": [], "text": []}
    for part in parts:
        kind = mapping(part, "a part").get("type")
        if kind not in ("thinking", "text"):
            raise Unusable(kind_of_block(part) or "a message has a part that is not text")
        check_text_only(part)
        texts[kind].append(text(part.get(kind), "a message"))
    return "\n".join(texts["thinking"]) or None, "\n".join(texts["text"])
