"""A conversation as a file: Markdown to read, JSON to take elsewhere and import again.

Anybody can have written the file that is imported. So its replies count as no version's, their tokens are rendered
again by the template, and ratings are not exported: a rating counts once, in the home where it was given.
"""

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from assistant.errors import ConversationFileError, PromptError
from assistant.serving import prompt
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer
from feedback_store import Conversation, FeedbackStore, InvalidMessage, Message, NewReply

FORMAT = "thumbtune-conversation"
IMPORTED = "imported"
"""Stands for the version of a reply that was imported from a file."""
MAX_MESSAGES = 1_000
MAX_CHARACTERS = 2_000_000


def as_markdown(title: str, path: Sequence[Message], names: dict[str, str]) -> str:
    """The shown path as Markdown. `names`: titles for "system", "user", "assistant" and "thought"."""
    parts = [f"# {title}"]
    for message in path:
        version = f" ({message.reply.version})" if message.reply else ""
        parts.append(f"## {names[message.role]}{version}")
        if message.thought:
            quoted = "\n".join(f"> {line}" for line in message.thought.splitlines())
            parts.append(f"**{names['thought']}**\n\n{quoted}")
        parts.append(message.content)
    return "\n\n".join(parts) + "\n"


def as_json(conversation: Conversation, tree: Sequence[Message]) -> str:
    """The whole tree, every branch, with the settings and the seed of each reply."""
    return json.dumps(
        {
            "format": FORMAT,
            "title": conversation.title,
            "head": conversation.head,
            "messages": [_content(message) for message in tree],
        },
        ensure_ascii=False,
        indent=1,
    )


def from_json(store: FeedbackStore, tokenizer: Tokenizer, text: str, rater: str) -> str:
    """Store what `as_json` wrote as a new conversation of `rater`; its id.

    Raises ConversationFileError, before anything is stored, if the file was not saved here, is damaged or too large.
    """
    title, head, messages = _read(text)
    prompts = _prompts(tokenizer, messages)
    conversation = store.new_conversation(rater)
    try:
        new_ids: dict[str, str] = {}
        for message, prompt_ids in zip(messages, prompts, strict=True):
            parent = new_ids.get(message["parent"] or "")
            if message["role"] == "assistant":
                new_id = new_ids[message["id"]] = uuid4().hex
                store.add_reply(_reply(tokenizer, message, prompt_ids, new_id, conversation, parent or ""))
            else:
                added = store.add_message(conversation, parent, message["role"], message["content"])
                new_ids[message["id"]] = added.id
    except InvalidMessage as error:
        store.forget_conversation(conversation)
        raise _damaged(str(error)) from error
    store.set_head(conversation, new_ids.get(head or ""))
    if title.strip():
        store.rename(conversation, title.strip()[:200])
    return conversation


def _content(message: Message) -> dict[str, Any]:
    content: dict[str, Any] = {
        "id": message.id,
        "parent": message.parent_id,
        "role": message.role,
        "content": message.content,
        "created_at": message.created_at.isoformat(),
    }
    if message.reply:
        reply = message.reply
        content |= {
            "thought": reply.thought,
            "think": reply.think,
            "version": reply.version,
            "sampling": reply.sampling,
            "seed": reply.seed,
            "finish_reason": reply.finish_reason,
        }
    return content


def _read(text: str) -> tuple[str, str | None, list[dict[str, Any]]]:
    """Title, head and messages, checked. Raises ConversationFileError."""
    if len(text) > MAX_CHARACTERS:
        raise ConversationFileError(
            "too_large", f"This file is too large: {MAX_CHARACTERS:,} characters are the most."
        )
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConversationFileError(
            "not_json", "This file is not JSON. Choose one that was saved here."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ConversationFileError(
            "not_ours", "This JSON is not a conversation saved here. Choose another file."
        )
    title, head, messages = content.get("title"), content.get("head"), content.get("messages")
    if (
        not isinstance(title, str)
        or not isinstance(messages, list)
        or not (head is None or isinstance(head, str))
    ):
        raise _damaged("title, head or messages are missing")
    if len(messages) > MAX_MESSAGES:
        raise ConversationFileError(
            "too_large", f"This file is too large: {MAX_MESSAGES:,} messages are the most."
        )
    roles: dict[str, str] = {}
    for message in messages:
        _check(message, roles)
        roles[message["id"]] = message["role"]
    if head is not None and head not in roles:
        raise _damaged("the shown message is not in it")
    return title, head, messages


def _check(message: object, roles: dict[str, str]) -> None:
    """Check one message; `roles` are those of the messages before it, by id. Raises ConversationFileError."""
    if not isinstance(message, dict):
        raise _damaged("a message is no object")
    message_id, parent, role = message.get("id"), message.get("parent"), message.get("role")
    if not isinstance(message_id, str) or not message_id or message_id in roles:
        raise _damaged("a message's id is missing or occurs twice")
    if not isinstance(message.get("content"), str) or not isinstance(message.get("thought"), str | None):
        raise _damaged(f"message {message_id:.40} has no text")
    if role not in ("system", "user", "assistant") or not (parent is None or parent in roles):
        raise _damaged(f"message {message_id:.40} has an unknown role, or stands before the one it answers")
    if role == "assistant" and roles.get(parent or "") != "user":
        raise _damaged(f"reply {message_id:.40} does not answer a message")


def _prompts(tokenizer: Tokenizer, messages: list[dict[str, Any]]) -> list[list[int]]:
    """For each message, the token ids of the prompt that it answers; empty unless it is a reply."""
    paths: dict[str, list[dict[str, str]]] = {}
    prompts = []
    for message in messages:
        before = paths.get(message["parent"] or "", [])
        paths[message["id"]] = [*before, {"role": message["role"], "content": message["content"]}]
        try:
            is_reply = message["role"] == "assistant"
            prompts.append(prompt.render(tokenizer, before, bool(message.get("thought"))) if is_reply else [])
        except PromptError as error:
            raise _damaged(f"reply {message['id']:.40} answers an empty message") from error
    return prompts


def _reply(
    tokenizer: Tokenizer,
    message: dict[str, Any],
    prompt_ids: list[int],
    new_id: str,
    conversation: str,
    parent: str,
) -> NewReply:
    thought = message.get("thought") or None
    return NewReply(
        id=new_id,
        conversation_id=conversation,
        parent_id=parent,
        thought=thought,
        answer=message["content"],
        think=thought is not None,
        sampling={},
        seed=0,
        version=IMPORTED,
        prompt_ids=prompt_ids,
        completion_ids=prompt.completion(tokenizer, thought or "", message["content"], thought is not None),
        finish_reason="end",
        first_token_seconds=None,
        seconds=0.0,
        thought_seconds=None,
    )


def _damaged(why: str) -> ConversationFileError:
    return ConversationFileError(
        "damaged", f"This conversation's file is damaged: {why}. Save it again where it came from."
    )
