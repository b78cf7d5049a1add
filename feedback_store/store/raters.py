"""Raters: their consent to training, and forgetting them; and undoing imports."""

from datetime import UTC, datetime

from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.orm import Session

from feedback_store import validation
from feedback_store.database.sessions import Sessions
from feedback_store.database.tables import (
    ComparisonHistoryRow,
    ConversationRow,
    CorrectionHistoryRow,
    ImportedConversationRow,
    ImportRow,
    MessageRow,
    RaterRow,
    RatingHistoryRow,
    SnapshotConversationRow,
    SnapshotRaterRow,
    SnapshotRow,
)
from feedback_store.errors import UnknownImport
from feedback_store.records import ImportRecord
from feedback_store.store.counts import belongings
from feedback_store.store.lookup import find_conversation, find_rater, make_known

# SQLite follows cascades at most 1,000 levels deep, and a conversation may be deeper.
MESSAGES_AT_ONCE = 400


class RaterRights(Sessions):
    """The methods of `FeedbackStore` for consent and forgetting."""

    def consent(self, rater: str) -> bool:
        """Whether the rater's messages and feedback may be trained on. Raises UnknownRater."""
        with self._read() as session:
            return find_rater(session, rater).consent

    def set_consent(self, rater: str, consent: bool) -> None:
        """Allow or forbid training on the rater's messages and feedback. A new rater is added.

        Raises InvalidRating for an invalid rater id.
        """
        validation.check_rater(rater)
        with self._write() as session:
            make_known(session, rater, datetime.now(UTC))
            find_rater(session, rater).consent = bool(consent)

    def forget(self, rater: str) -> dict[str, int]:
        """Delete a person: their conversations with all feedback on them, and their feedback on other replies.

        Snapshots that hold anything of the person are marked: see `versions_to_retrain`. Returns the number of
        deleted rows by table. Raises UnknownRater.
        """
        own = select(ConversationRow.id).where(ConversationRow.rater_id == rater)
        with self._write() as session:
            find_rater(session, rater)
            counts = belongings(session, own, rater)
            _mark_snapshots(session, own, rater)
            for conversation_id in list(session.scalars(own)):
                _delete_messages(session, conversation_id)
            session.execute(delete(RaterRow).where(RaterRow.id == rater))
        self._clear_log()
        return counts

    def forget_conversation(self, conversation_id: str) -> dict[str, int]:
        """Delete one conversation with all feedback on it, from every rater.

        Marks snapshots and returns counts as `forget` does. Raises UnknownConversation.
        """
        selected = select(ConversationRow.id).where(ConversationRow.id == conversation_id)
        with self._write() as session:
            find_conversation(session, conversation_id)
            counts = belongings(session, selected, None)
            _mark_snapshots(session, selected, None)
            _delete_messages(session, conversation_id)
            session.execute(delete(ConversationRow).where(ConversationRow.id == conversation_id))
        self._clear_log()
        return counts

    def imports(self) -> list[ImportRecord]:
        """The imports that added conversations which are still there, the oldest first."""
        query = (
            select(ImportRow, func.count())
            .join(ImportedConversationRow, ImportedConversationRow.import_id == ImportRow.id)
            .group_by(ImportRow.id)
            .order_by(ImportRow.created_at, ImportRow.id)
        )
        with self._read() as session:
            return [
                ImportRecord(row.id, row.system, row.file, row.created_at, number)
                for row, number in session.execute(query)
            ]

    def forget_import(self, import_id: str) -> dict[str, int]:
        """Delete the conversations that an import added, with all feedback on them, and people of whom nothing is left.

        What the import added to conversations that were there before stays. Marks snapshots and returns counts as
        `forget` does. Raises UnknownImport.
        """
        own = select(ImportedConversationRow.conversation_id).where(
            ImportedConversationRow.import_id == import_id
        )
        with self._write() as session:
            imported = session.get(ImportRow, import_id)
            if imported is None:
                raise UnknownImport(f"There is no import {import_id!r}. It may have been undone already.")
            counts = belongings(session, own, None)
            _mark_snapshots(session, own, None)
            for conversation_id in list(session.scalars(own)):
                _delete_messages(session, conversation_id)
                session.execute(delete(ConversationRow).where(ConversationRow.id == conversation_id))
            session.delete(imported)
            _delete_people_without_anything(session, f"imported:{imported.system}:")
        self._clear_log()
        return counts


def _delete_people_without_anything(session: Session, prefix: str) -> None:
    query = delete(RaterRow).where(RaterRow.id.startswith(prefix, autoescape=True))
    for table in (ConversationRow, RatingHistoryRow, CorrectionHistoryRow, ComparisonHistoryRow):
        query = query.where(~select(table.rater_id).where(table.rater_id == RaterRow.id).exists())
    session.execute(query)


def _mark_snapshots(session: Session, conversations: Select[str], rater: str | None) -> None:
    by_words = select(SnapshotConversationRow.snapshot_id).where(
        SnapshotConversationRow.conversation_id.in_(conversations)
    )
    by_votes = select(SnapshotRaterRow.snapshot_id).where(SnapshotRaterRow.rater_id == rater)
    used = SnapshotRow.id.in_(by_words)
    session.execute(
        update(SnapshotRow)
        .where(used if rater is None else or_(used, SnapshotRow.id.in_(by_votes)))
        .where(SnapshotRow.forgotten_at.is_(None))
        .values(forgotten_at=datetime.now(UTC))
    )


def _delete_messages(session: Session, conversation_id: str) -> None:
    # The newest first: a message is never older than its parent, so no cascade becomes deep.
    newest = (
        select(MessageRow.number)
        .where(MessageRow.conversation_id == conversation_id)
        .order_by(MessageRow.number.desc())
        .limit(MESSAGES_AT_ONCE)
    )
    while numbers := list(session.scalars(newest)):
        session.execute(
            delete(MessageRow).where(
                MessageRow.conversation_id == conversation_id, MessageRow.number >= numbers[-1]
            )
        )
