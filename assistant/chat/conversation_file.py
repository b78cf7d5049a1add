"""A conversation as a file: Markdown to read, JSON to take elsewhere and open again.

What is opened comes from a file that anybody can have written. So its replies count as nobody's version, their
tokens are made afresh by the template, and votes are left behind: a vote counts once, where it was given.
"""

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from assistant.errors import CarryError, PromptError
from assistant.serving import prompt
from feedback_store import Conversation, FeedbackStore, InvalidMessage, Message, NewReply

FORMAT = "thumbtune-conversation"
IMPORTED = "imported"
"""The version id of replies that came from a file."""
MAX_MESSAGES = 1_000
MAX_CHARACTERS = 2_000_000


def as_markdown(title: str, path: Sequence[Message], names: dict[str, str]) -> str:
    """The shown path to read. `names`: what to call system, user and assistant, and the thought."""
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
    """The whole tree, every branch, with all that made each reply."""
    return json.dumps(
        {
            "format": FORMAT,
            "title": conversation.title,
            "head": conversation.head,
            "messages": [_written(message) for message in tree],
        },
        ensure_ascii=False,
        indent=1,
    )


def bring(store: FeedbackStore, tokenizer: Any, text: str, rater: str) -> str:
    """Keep what `as_json` wrote as a new conversation of `rater`; its id.

    Raises CarryError, before anything is stored, if it is not ours, damaged or too large.
    """
    title, head, messages = _read(text)
    prompts = _prompts(tokenizer, messages)
    conversation = store.new_conversation(rater)
    try:
        made: dict[str, str] = {}
        for message, prompt_ids in zip(messages, prompts, strict=True):
            parent = made.get(message["parent"] or "")
            if message["role"] == "assistant":
                made[message["id"]] = uuid4().hex
                new = _reply(tokenizer, message, prompt_ids, made[message["id"]], conversation, parent or "")
                store.add_reply(new)
            else:
                added = store.add_message(conversation, parent, message["role"], message["content"])
                made[message["id"]] = added.id
    except InvalidMessage as error:
        store.forget_conversation(conversation)
        raise _damaged(str(error)) from error
    store.set_head(conversation, made.get(head or ""))
    if title.strip():
        store.rename(conversation, title.strip()[:200])
    return conversation


def _written(message: Message) -> dict[str, Any]:
    written: dict[str, Any] = {
        "id": message.id,
        "parent": message.parent_id,
        "role": message.role,
        "content": message.content,
        "created_at": message.created_at.isoformat(),
    }
    if message.reply:
        reply = message.reply
        written |= {
            "thought": reply.thought,
            "think": reply.think,
            "version": reply.version,
            "sampling": reply.sampling,
            "seed": reply.seed,
            "finish_reason": reply.finish_reason,
        }
    return written


def _read(text: str) -> tuple[str, str | None, list[dict[str, Any]]]:
    """Title, head and messages, checked. Raises CarryError."""
    if len(text) > MAX_CHARACTERS:
        raise CarryError("too_large", f"This file is too large: {MAX_CHARACTERS:,} characters are the most.")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CarryError("not_json", "This file is not JSON. Choose one that was saved here.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise CarryError("not_ours", "This JSON is not a conversation saved here. Choose another file.")
    title, head, messages = found.get("title"), found.get("head"), found.get("messages")
    if (
        not isinstance(title, str)
        or not isinstance(messages, list)
        or not (head is None or isinstance(head, str))
    ):
        raise _damaged("title, head or messages are missing")
    if len(messages) > MAX_MESSAGES:
        raise CarryError("too_large", f"This file is too large: {MAX_MESSAGES:,} messages are the most.")
    roles: dict[str, str] = {}
    for message in messages:
        _check(message, roles)
        roles[message["id"]] = message["role"]
    if head is not None and head not in roles:
        raise _damaged("the shown message is not in it")
    return title, head, messages


def _check(message: object, roles: dict[str, str]) -> None:
    """One message, after those before it. Raises CarryError."""
    if not isinstance(message, dict):
        raise _damaged("a message is no object")
    name, parent, role = message.get("id"), message.get("parent"), message.get("role")
    if not isinstance(name, str) or not name or name in roles:
        raise _damaged("a message's id is missing or stands twice")
    if not isinstance(message.get("content"), str) or not isinstance(message.get("thought"), str | None):
        raise _damaged(f"message {name:.40} has no text")
    if role not in ("system", "user", "assistant") or not (parent is None or parent in roles):
        raise _damaged(f"message {name:.40} has an unknown role, or stands before the one it answers")
    if role == "assistant" and roles.get(parent or "") != "user":
        raise _damaged(f"reply {name:.40} does not answer a message")


def _prompts(tokenizer: Any, messages: list[dict[str, Any]]) -> list[list[int]]:
    """For each message, the prompt that it answers; empty for what is no reply."""
    paths: dict[str, list[dict[str, str]]] = {}
    prompts = []
    for message in messages:
        before = paths.get(message["parent"] or "", [])
        paths[message["id"]] = [*before, {"role": message["role"], "content": message["content"]}]
        try:
            reply = message["role"] == "assistant"
            prompts.append(prompt.render(tokenizer, before, bool(message.get("thought"))) if reply else [])
        except PromptError as error:
            raise _damaged(f"reply {message['id']:.40} answers an empty message") from error
    return prompts


def _reply(
    tokenizer: Any,
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


def _damaged(what: str) -> CarryError:
    return CarryError(
        "damaged", f"This conversation's file is damaged: {what}. Save it again where it came from."
    )
