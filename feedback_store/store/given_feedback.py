"""What one person said of replies, and which versions learned from it."""

from collections import defaultdict
from datetime import datetime

from sqlalchemy import Select, literal, select, union_all
from sqlalchemy.orm import Session, aliased

from feedback_store.database.sessions import ROWS_AT_ONCE, Sessions, in_batches
from feedback_store.database.tables import (
    ConversationRow,
    CorrectionRow,
    MessageRow,
    RatingRow,
    ReplyRow,
    SnapshotConversationRow,
    SnapshotRaterRow,
    SnapshotRow,
    VersionSnapshotRow,
)
from feedback_store.records import GivenFeedback


class GivenFeedbackQueries(Sessions):
    """The methods of `FeedbackStore` that show people their own feedback."""

    def given_feedback(self, rater: str, most: int = 200) -> list[GivenFeedback]:
        """The rater's standing thumbs and corrections, the latest `most` of them, the latest first.

        Thumbs on replies in other people's conversations are left out: their texts are not the rater's to read.
        """
        with self._read() as session:
            rows = session.execute(_given(rater).limit(most)).all()
            trained = _snapshots_of(session, rater, sorted({row.conversation_id for row in rows}))
        return [
            GivenFeedback(
                row.reply_id,
                row.conversation_id,
                row.value,
                row.text,
                row.asked,
                row.answer,
                row.version,
                row.given_at,
                tuple(version for taken, version in trained[row.conversation_id] if taken >= row.given_at),
            )
            for row in rows
        ]


def _given(rater: str) -> Select[tuple[str, str, int, str, str, str, str, datetime]]:
    votes = union_all(
        select(
            RatingRow.reply_id,
            RatingRow.value,
            literal("").label("text"),
            RatingRow.updated_at.label("given_at"),
        ).where(RatingRow.rater_id == rater, RatingRow.value != 0),
        select(
            CorrectionRow.reply_id,
            literal(0).label("value"),
            CorrectionRow.text,
            CorrectionRow.updated_at.label("given_at"),
        ).where(CorrectionRow.rater_id == rater, CorrectionRow.text != ""),
    ).subquery()
    answer, asked, conversation = aliased(MessageRow), aliased(MessageRow), aliased(ConversationRow)
    return (
        select(
            votes.c.reply_id,
            answer.conversation_id.label("conversation_id"),
            votes.c.value,
            votes.c.text,
            asked.content.label("asked"),
            answer.content.label("answer"),
            ReplyRow.version.label("version"),
            votes.c.given_at,
        )
        .join(answer, answer.id == votes.c.reply_id)
        .join(ReplyRow, ReplyRow.id == votes.c.reply_id)
        .join(asked, asked.id == answer.parent_id)
        .join(conversation, conversation.id == answer.conversation_id)
        .where(conversation.rater_id == rater)
        .order_by(votes.c.given_at.desc(), answer.number.desc(), votes.c.value)
    )


def _snapshots_of(
    session: Session, rater: str, conversations: list[str]
) -> dict[str, list[tuple[datetime, str]]]:
    """By conversation: when each snapshot with it and the rater was taken, and a version trained on it."""
    found: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for batch in in_batches(conversations, ROWS_AT_ONCE):
        query = (
            select(
                SnapshotConversationRow.conversation_id, SnapshotRow.created_at, VersionSnapshotRow.version
            )
            .join(SnapshotRow, SnapshotRow.id == SnapshotConversationRow.snapshot_id)
            .join(SnapshotRaterRow, SnapshotRaterRow.snapshot_id == SnapshotRow.id)
            .join(VersionSnapshotRow, VersionSnapshotRow.snapshot_id == SnapshotRow.id)
            .where(SnapshotConversationRow.conversation_id.in_(batch), SnapshotRaterRow.rater_id == rater)
            .order_by(VersionSnapshotRow.created_at, VersionSnapshotRow.version)
        )
        for conversation, taken, version in session.execute(query):
            found[conversation].append((taken, version))
    return found
