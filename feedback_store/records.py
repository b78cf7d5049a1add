"""What the store takes and gives: plain frozen values, never tied to an open database."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["end", "length", "stopped", "error"]
Choice = Literal["left", "right", "both_good", "both_bad"]
How = Literal["resample", "versions", "thinking"]
ROLES = ("system", "user", "assistant")
FINISH_REASONS = ("end", "length", "stopped", "error")
CHOICES = ("left", "right", "both_good", "both_bad")
HOW = ("resample", "versions", "thinking")


@dataclass(frozen=True)
class NewReply:
    """One finished reply, as the caller produced it.

    `id` is made by the caller (uuid4 hex), so that a reply has its final name while it still streams.
    `parent_id` names the user message that was answered. `prompt_ids` and `completion_ids` are the exact
    token ids that the model read and wrote. Times are in seconds since the request was taken.
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
    """A stored reply. It is the assistant message of the tree that has the same id."""

    created_at: datetime


@dataclass(frozen=True)
class Message:
    """One node of a conversation's tree. `reply` is there exactly when `role` is "assistant"."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    content: str
    created_at: datetime
    reply: Reply | None = None

    @property
    def thought(self) -> str | None:
        """What the model thought before it answered, where this is a reply that had a thought."""
        return self.reply.thought if self.reply else None


@dataclass(frozen=True)
class Conversation:
    """A conversation's outside: who holds it and what it is called. Its messages are asked for separately.

    `renamed` tells a title that a person chose from one that was taken from the first message.
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
    """A user message as a reply was asked for: by whom, in which thinking mode, and as which token ids."""

    message_id: str
    conversation_id: str
    rater: str
    think: bool
    prompt_ids: list[int]


@dataclass(frozen=True)
class Rating:
    """The standing vote of one rater on one reply. `value` is 1 (up), -1 (down) or 0 (withdrawn)."""

    reply_id: str
    rater: str
    value: int
    reasons: tuple[str, ...]
    comment: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Thumb:
    """A standing thumb, 1 (up) or -1 (down), with what was judged: as much of a reply as decides what it counts for.

    Without token ids and settings, so that very many can be read. `parent_id` is the user message that was answered.
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
    """What one rater would rather have read than one reply's answer. An empty `text` is one taken back."""

    reply_id: str
    rater: str
    text: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Comparison:
    """One rater's standing choice between two replies to the same user message, sides as they were shown.

    `blind`: nothing said which reply came from where. `how` says in what they differ: drawn again by the same
    version ("resample"), by two versions ("versions"), or with and without thinking ("thinking").
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
        """The id of the reply that was chosen; None where both were good or both bad."""
        return {"left": self.left_reply_id, "right": self.right_reply_id}.get(self.choice)


@dataclass(frozen=True)
class SnapshotRecord:
    """What the store knows of a snapshot: where it lies, how many rows of each kind, who used it.

    `id` is the hash of its content. `versions` were trained on it. `forgotten_at` is when somebody in it was
    forgotten: from then on it should train nothing more.
    """

    id: str
    folder: Path
    counts: dict[str, int]
    versions: tuple[str, ...]
    created_at: datetime
    forgotten_at: datetime | None
