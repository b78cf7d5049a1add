"""What an importer makes of another system's row, before it is written: conversations and signals.

Names in here are the other system's own: ids become ours, and people pseudonyms, only when they are written.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from feedback_store.records import Role


@dataclass(frozen=True)
class ImportedMessage:
    """A message of the tree. `parent` None: a root. `model` names what wrote a reply, where that is known.

    A reply that is not `answered` is empty: it says that nothing was answered, and in which mode it was asked.
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


@dataclass(frozen=True)
class ImportedRating:
    """A person's thumb on a reply: `value` 1 or -1."""

    reply: str
    rater: str
    value: int
    reasons: tuple[str, ...] = ()
    comment: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class ImportedCorrection:
    """What a person would have the reply say."""

    reply: str
    rater: str
    text: str
    at: datetime | None = None


@dataclass(frozen=True)
class ImportedComparison:
    """One reply preferred to another one on the same message; with `tie` neither is."""

    chosen: str
    rejected: str
    rater: str
    tie: Literal["both_good", "both_bad"] | None = None
    blind: bool = False
    at: datetime | None = None


Signal = ImportedRating | ImportedCorrection | ImportedComparison


@dataclass(frozen=True)
class ImportedConversation:
    """A conversation, or a part of one, with what people said of its replies.

    `key` names the conversation and `rater` who held it. Turns stand after their parents; a parent that is
    missing here may have been imported before. The same key and turns again are the same conversation.
    """

    key: str
    rater: str
    turns: tuple[ImportedMessage, ...]
    signals: tuple[Signal, ...] = ()
    title: str = ""
    at: datetime | None = None


class Unusable(Exception):
    """Why one row cannot be imported: a short reason, the same for all rows of its kind."""


def content_key(*parts: str | None) -> str:
    """A key for what has none in its own system, made from its content: equal content, equal key."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        # Each part is framed by its length: "ab", "c" must not equal "a", "bc".
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
    """A turn whose key comes from its content and from all that was said before it.

    A conversation that has grown since the last import keeps its turns' keys, and an edited message is another
    one. `name` tells siblings of equal content apart, where the other system does. Where `think` is not known,
    a reply with a thought was asked for one.
    """
    key = content_key(parent.key if parent else None, role, thought, content, name)
    mode = bool(thought) if think is None else think
    return ImportedMessage(key, parent.key if parent else None, role, content, thought, model, mode, at)


def parents_first(turns: Iterable[ImportedMessage]) -> list[ImportedMessage]:
    """The turns of a tree in an order in which it can be written.

    Turns in a circle, turns below a parent that is not there, and replies (with all below them) that answer
    no user's message are left out.
    """
    below: dict[str | None, list[ImportedMessage]] = {}
    for one in turns:
        below.setdefault(one.parent, []).append(one)
    ordered: list[ImportedMessage] = []
    waiting: list[tuple[ImportedMessage | None, ImportedMessage]] = [
        (None, one) for one in reversed(below.pop(None, []))
    ]
    while waiting:
        parent, one = waiting.pop()
        if one.role == "assistant" and (parent is None or parent.role != "user"):
            continue
        ordered.append(one)
        waiting.extend((one, child) for child in reversed(below.pop(one.key, [])))
    return ordered
