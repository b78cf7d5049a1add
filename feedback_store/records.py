"""What the store takes and gives: plain frozen values, never tied to an open database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["end", "length", "stopped", "error"]
ROLES = ("system", "user", "assistant")
FINISH_REASONS = ("end", "length", "stopped", "error")


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
    """A conversation's outside: who holds it and what it is called. Its messages are asked for separately."""

    id: str
    rater: str
    title: str
    head: str | None
    created_at: datetime
    updated_at: datetime


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
