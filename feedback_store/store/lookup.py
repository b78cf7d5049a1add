"""Find rows by id or raise an error, and convert rows to the records that callers receive."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_store.database.tables import (
    ComparisonRow,
    ConversationRow,
    CorrectionRow,
    MessageRow,
    RaterRow,
    RatingRow,
    ReplyRow,
)
from feedback_store.errors import UnknownConversation, UnknownMessage, UnknownRater, UnknownReply
from feedback_store.records import (
    Choice,
    Comparison,
    Conversation,
    Correction,
    FinishReason,
    How,
    Message,
    Rating,
    Reply,
    Role,
)


def find_rater(session: Session, rater: str) -> RaterRow:
    """Raises: UnknownRater."""
    row = session.get(RaterRow, rater)
    if row is None:
        raise UnknownRater(f"There is no rater {rater!r}. Check the id; it may have been forgotten already.")
    return row


def make_known(session: Session, rater: str, now: datetime) -> None:
    """Add the rater, who consents at first, unless the rater is known."""
    if session.get(RaterRow, rater) is not None:
        return
    try:
        with session.begin_nested():
            session.add(RaterRow(id=rater, consent=True, created_at=now))
    except IntegrityError:  # on PostgreSQL another writer may have added the rater first
        pass


def find_conversation(session: Session, conversation_id: str) -> ConversationRow:
    """Raises: UnknownConversation."""
    row = session.get(ConversationRow, conversation_id)
    if row is None:
        raise UnknownConversation(
            f"There is no conversation {conversation_id!r}. It may have been forgotten; begin a new one."
        )
    return row


def find_message(session: Session, conversation_id: str, message_id: str) -> MessageRow:
    """Raises: UnknownMessage."""
    row = session.scalar(
        select(MessageRow).where(MessageRow.id == message_id, MessageRow.conversation_id == conversation_id)
    )
    if row is None:
        raise UnknownMessage(f"Conversation {conversation_id} has no message {message_id!r}. Reload it.")
    return row


def unknown_reply(reply_id: str) -> UnknownReply:
    return UnknownReply(f"There is no reply {reply_id!r}. It may have been forgotten, or was never finished.")


def as_conversation(row: ConversationRow) -> Conversation:
    return Conversation(
        id=row.id,
        rater=row.rater_id,
        title=row.title,
        head=row.head_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        renamed=row.renamed_at is not None,
    )


def as_message(message: MessageRow, reply: ReplyRow | None) -> Message:
    return Message(
        id=message.id,
        conversation_id=message.conversation_id,
        parent_id=message.parent_id,
        role=cast(Role, message.role),
        content=message.content,
        created_at=message.created_at,
        reply=as_reply(message, reply) if reply else None,
    )


def as_reply(message: MessageRow, reply: ReplyRow) -> Reply:
    return Reply(
        id=reply.id,
        conversation_id=message.conversation_id,
        parent_id=message.parent_id or "",
        thought=reply.thought,
        answer=message.content,
        think=reply.think,
        sampling=reply.sampling,
        seed=reply.seed,
        version=reply.version,
        prompt_ids=reply.prompt_ids,
        completion_ids=reply.completion_ids,
        finish_reason=cast(FinishReason, reply.finish_reason),
        first_token_seconds=reply.first_token_seconds,
        thought_seconds=reply.thought_seconds,
        seconds=reply.seconds,
        created_at=message.created_at,
    )


def as_transcripts(rows: Iterable[Any], message_ids: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """The transcripts down to `message_ids`, from the rows of `queries.above`; unknown ids are left out."""
    nodes: dict[str, tuple[str | None, dict[str, str]]] = {}
    for message_id, parent, role, content in rows:
        # In a damaged tree a parent may come later. It is ignored, so that every path to the root ends.
        nodes[message_id] = (parent if parent in nodes else None, {"role": role, "content": content})
    transcripts: dict[str, list[dict[str, str]]] = {}
    for message_id in nodes.keys() & set(message_ids):
        upwards: list[dict[str, str]] = []
        current: str | None = message_id
        while current is not None:
            current, message = nodes[current]
            upwards.append(message)
        transcripts[message_id] = upwards[::-1]
    return transcripts


def as_rating(row: RatingRow) -> Rating:
    return Rating(
        reply_id=row.reply_id,
        rater=row.rater_id,
        value=row.value,
        reasons=tuple(row.reasons),
        comment=row.comment,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def as_correction(row: CorrectionRow) -> Correction:
    return Correction(
        reply_id=row.reply_id,
        rater=row.rater_id,
        text=row.text,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def as_comparison(row: ComparisonRow) -> Comparison:
    return Comparison(
        left_reply_id=row.left_id,
        right_reply_id=row.second_id if row.left_id == row.first_id else row.first_id,
        rater=row.rater_id,
        choice=cast(Choice, row.choice),
        blind=row.blind,
        how=cast(How, row.how),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def title_of(content: str, length: int = 60) -> str:
    """The first line that is not blank, cut to `length` characters."""
    lines = (line.strip() for line in content.splitlines())
    first = next((line for line in lines if line), "")
    return first if len(first) <= length else first[: length - 1].rstrip() + "…"
