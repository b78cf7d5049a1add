"""Conversations, messages and feedback that an importer parsed and that are not yet in the store.

They keep the ids and the names of people of the other system. Both are replaced, by ids of the store and by
pseudonyms, when the conversation is written.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeVar

from feedback_store.records import Role

Message = TypeVar("Message")
HANGS = "a message that hangs on one that was left out"
EMPTY = "an empty message of the user"


@dataclass(frozen=True)
class ImportedMessage:
    """A message of a conversation tree. `key` is its id; `parent` is the key of its parent, None for a root.

    `model` names the model that wrote a reply, where it is known, and `think` is true if a thought was requested.
    A reply that is not `answered` is an empty placeholder, stored to keep a prompt that has no reply. A `context`
    reply is only part of a prompt: nobody asked for it here, so that its question is no prompt of its own.
    """

    key: str
    parent: str | None
    role: Role
    content: str
    thought: str | None = None
    model: str = ""
    think: bool = False
    at: datetime | None = None
    answered: bool = True
    context: bool = False


@dataclass(frozen=True)
class ImportedRating:
    """A thumb of one person on one reply, the one with the key `reply`: `value` is 1, -1, or 0 to withdraw it."""

    reply: str
    rater: str
    value: int
    reasons: tuple[str, ...] = ()
    comment: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class ImportedCorrection:
    """A corrected text that one person wrote for a reply. `reply` is the key of the reply."""

    reply: str
    rater: str
    text: str
    at: datetime | None = None


@dataclass(frozen=True)
class ImportedComparison:
    """A preference for the reply with key `chosen` over its sibling `rejected`; with `tie`, neither is preferred."""

    chosen: str
    rejected: str
    rater: str
    tie: Literal["both_good", "both_bad"] | None = None
    blind: bool = False
    at: datetime | None = None


Signal = ImportedRating | ImportedCorrection | ImportedComparison


@dataclass(frozen=True)
class ImportedConversation:
    """A conversation, or a part of one, with the feedback on its replies.

    `key` is its id and `rater` the person who held it. `turns` lists parents before children; a parent that is
    missing here may have been imported earlier. Importing the same key and messages again adds nothing. `left_out`
    has the reason for each message that could not be imported. With `only_if_known`, the row is about a reply that
    must be there already, because it only takes something back.
    """

    key: str
    rater: str
    turns: tuple[ImportedMessage, ...]
    signals: tuple[Signal, ...] = ()
    title: str = ""
    at: datetime | None = None
    left_out: tuple[str, ...] = ()
    only_if_known: bool = False


class Unusable(Exception):
    """A row cannot be imported. The message is a short reason, by which the report counts rows."""


def content_key(*parts: str | None) -> str:
    """Return a key made from content, for things without an id in their own system. Equal parts give equal keys."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        # Each part is preceded by its length, so that ("ab", "c") and ("a", "bc") differ.
        digest.update(b"-" if part is None else f"{len(part)}:{part}".encode(errors="surrogatepass"))
    return digest.hexdigest()


def turn(
    parent: ImportedMessage | None,
    role: Role,
    content: str,
    *,
    name: str = "",
    thought: str | None = None,
    model: str = "",
    think: bool | None = None,
    at: datetime | None = None,
) -> ImportedMessage:
    """Return a message whose key is derived from its content and from all messages before it.

    The messages of a conversation that has grown since the last import keep their keys; an edited message gets
    another one. `name` distinguishes siblings of equal content where the other system does. `think` None means
    unknown, and is taken to be true for a reply with a thought.
    """
    key = content_key(parent.key if parent else None, role, thought, content, name)
    think_mode = bool(thought) if think is None else think
    return ImportedMessage(key, parent.key if parent else None, role, content, thought, model, think_mode, at)


def as_context(prompt: Iterable[ImportedMessage], asked: Collection[str] = ()) -> list[ImportedMessage]:
    """The messages of a prompt, whose replies are context but for those with a key in `asked`."""
    return [
        replace(message, context=message.role == "assistant" and message.key not in asked)
        for message in prompt
    ]


def parents_first(turns: Iterable[ImportedMessage]) -> list[ImportedMessage]:
    """Order the messages of a tree so that each comes after its parent.

    Left out are messages in a cycle, messages below a missing parent, and replies that do not follow a user
    message, with everything below them.
    """
    children: dict[str | None, list[ImportedMessage]] = {}
    for message in turns:
        children.setdefault(message.parent, []).append(message)
    ordered: list[ImportedMessage] = []
    waiting: list[tuple[ImportedMessage | None, ImportedMessage]] = [
        (None, root) for root in reversed(children.pop(None, []))
    ]
    while waiting:
        parent, message = waiting.pop()
        if message.role == "assistant" and (parent is None or parent.role != "user"):
            continue
        ordered.append(message)
        waiting.extend((message, child) for child in reversed(children.pop(message.key, [])))
    return ordered


def tree(
    messages: Iterable[Message], convert: Callable[[Message], ImportedMessage | None]
) -> tuple[list[ImportedMessage], list[str]]:
    """Convert the messages of a tree, and order them so that each comes after its parent.

    Returns (turns, left_out): a message that `convert` refuses is left out with all that hangs on it; the reasons
    are one for each. `convert` returns None for what is no message.
    """
    turns: list[ImportedMessage] = []
    left_out: list[str] = []
    for message in messages:
        try:
            converted = convert(message)
            if converted is None:
                continue
            if converted.role == "user" and not converted.content.strip():
                raise Unusable(EMPTY)
            turns.append(converted)
        except Unusable as reason:
            left_out.append(str(reason))
    if len({message.key for message in turns}) < len(turns):
        raise Unusable("two messages with the same id")
    ordered = parents_first(turns)
    return ordered, left_out + [HANGS] * (len(turns) - len(ordered))
