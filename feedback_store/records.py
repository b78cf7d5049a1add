"""The values that the store accepts and returns: frozen dataclasses, independent of an open database."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["end", "length", "stopped", "error"]
Choice = Literal["left", "right", "both_good", "both_bad"]
How = Literal["resample", "versions", "thinking"]
ROLES: tuple[Role, ...] = get_args(Role)
FINISH_REASONS: tuple[FinishReason, ...] = get_args(FinishReason)
CHOICES: tuple[Choice, ...] = get_args(Choice)
HOW: tuple[How, ...] = get_args(How)
# The version of a reply that another system gave as part of a prompt: nobody asked for it there.
CONTEXT_VERSION = "imported:{}:context"


@dataclass(frozen=True)
class NewReply:
    """A finished reply, to be stored.

    The caller draws `id` (uuid4 hex), so that a reply has its final id while it is still streamed. `parent_id` is
    the id of the user message that it answers. `prompt_ids` and `completion_ids` are exactly the token ids that the
    model read and wrote. Times are in seconds since the request was accepted.
    """

    id: str
    conversation_id: str
    parent_id: str
    thought: str | None
    answer: str
    think: bool
    sampling: dict[str, Any]
    seed: int
    version: str
    prompt_ids: list[int]
    completion_ids: list[int]
    finish_reason: FinishReason
    first_token_seconds: float | None
    seconds: float
    thought_seconds: float | None


@dataclass(frozen=True)
class Reply(NewReply):
    """A stored reply. It belongs to the assistant message that has the same id."""

    created_at: datetime


@dataclass(frozen=True)
class Message:
    """One node of a conversation's tree. `reply` is set if and only if `role` is "assistant"."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    content: str
    created_at: datetime
    reply: Reply | None = None

    @property
    def thought(self) -> str | None:
        """The thought before the answer, if this is a reply that has one."""
        return self.reply.thought if self.reply else None


@dataclass(frozen=True)
class Conversation:
    """A conversation without its messages. `rater` is the person who holds it.

    `head` is the id of the message that the conversation is shown up to. `renamed` is true if a person chose the
    title, false if it was taken from the first message.
    """

    id: str
    rater: str
    title: str
    head: str | None
    created_at: datetime
    updated_at: datetime
    renamed: bool = False


@dataclass(frozen=True)
class AnsweredPrompt:
    """A user message that a reply answers, with the thinking mode and the prompt token ids of that reply."""

    message_id: str
    conversation_id: str
    rater: str
    think: bool
    prompt_ids: list[int]


@dataclass(frozen=True)
class Rating:
    """The current rating of one reply by one rater. `value` is 1 (up), -1 (down) or 0 (withdrawn)."""

    reply_id: str
    rater: str
    value: int
    reasons: tuple[str, ...]
    comment: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Thumb:
    """A current rating of 1 (up) or -1 (down), with the text of the reply that it is about.

    It has no token ids and settings, so that very many can be read. `parent_id` is the id of the user message that
    the reply answers.
    """

    reply_id: str
    rater: str
    value: int
    conversation_id: str
    parent_id: str
    version: str
    think: bool
    thought: str | None
    answer: str


@dataclass(frozen=True)
class Correction:
    """One rater's better answer in place of a reply's answer. An empty `text` is a correction that was withdrawn."""

    reply_id: str
    rater: str
    text: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Comparison:
    """One rater's current choice between two replies to the same user message, on the sides where they were shown.

    `blind` is true if the rater was not shown where the replies came from. `how` is what makes them differ: a second
    sample of the same version ("resample"), two versions ("versions"), or with and without thinking ("thinking").
    """

    left_reply_id: str
    right_reply_id: str
    rater: str
    choice: Choice
    blind: bool
    how: How
    created_at: datetime
    updated_at: datetime

    @property
    def preferred(self) -> str | None:
        """The id of the chosen reply; None if both were good or both bad."""
        return {"left": self.left_reply_id, "right": self.right_reply_id}.get(self.choice)


@dataclass(frozen=True)
class GivenFeedback:
    """One thing that a rater said of one reply and that still stands, for that rater to look at.

    `value` is the thumb, 1 or -1, and 0 for a correction, whose text is `correction`. `asked` and `answer` are the
    message and the reply. `learned_by` are the versions that were trained on a snapshot taken since, with this
    conversation and this rater in it; oldest first.
    """

    reply_id: str
    conversation_id: str
    value: int
    correction: str
    asked: str
    answer: str
    version: str
    given_at: datetime
    learned_by: tuple[str, ...]


@dataclass(frozen=True)
class SnapshotRecord:
    """The store's record of a snapshot: its folder, its row counts by kind, and the versions trained on it.

    The same snapshot may have been taken in several `folders`, of which `folder` is the last. `id` is the hash of its
    content. `forgotten_at` is the time when a person in it was forgotten; from then on,
    nothing should be trained on it.
    """

    id: str
    folder: Path
    folders: tuple[Path, ...]
    counts: dict[str, int]
    versions: tuple[str, ...]
    created_at: datetime
    forgotten_at: datetime | None


@dataclass(frozen=True)
class ImportRecord:
    """A run of the import command: the system and the name of the file, and how many of its conversations are left."""

    id: str
    system: str
    file: str
    created_at: datetime
    conversations: int
