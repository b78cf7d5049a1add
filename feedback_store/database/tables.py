"""The database tables. Migrations create them, and a test checks that both agree.

Messages, replies and histories are never updated: triggers, which the migrations create, refuse it. A person is
forgotten by deleting, so deletes cascade from raters.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from feedback_store.validation import is_text

# SQLite numbers rows automatically only for its own INTEGER type, which has 64 bits.
Number = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware datetime, stored in UTC. SQLite has no time zones and stores the UTC time without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Name(TypeDecorator[str]):
    """An id. A value that cannot be an id, such as a text with NUL, is replaced by an id that no row has.

    An invalid id from outside is therefore unknown on every database, and never raises a driver's error.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        # Longer than any column of this type, so no row can have it.
        return value if value is None or is_text(value) else "\N{REPLACEMENT CHARACTER}" * 201


class TableBase(DeclarativeBase):
    # Every constraint has a name, so that later migrations can change it on SQLite too.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class RaterRow(TableBase):
    __tablename__ = "raters"

    id: Mapped[str] = mapped_column(Name(200), primary_key=True)
    consent: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ConversationRow(TableBase):
    __tablename__ = "conversations"
    __table_args__ = (Index(None, "rater_id", "updated_at"),)

    id: Mapped[str] = mapped_column(Name(64), primary_key=True)
    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(Text)
    # When a person chose the title; null while it is taken from the first message.
    renamed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # No foreign key: messages already reference conversations, and circular keys would need deferred constraints.
    # The store checks the head when it is set, and verify() checks all of them.
    head_id: Mapped[str | None] = mapped_column(Name(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MessageRow(TableBase):
    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "id"),
        # Both columns together, so that the database refuses a parent from another conversation.
        ForeignKeyConstraint(
            ["conversation_id", "parent_id"], ["messages.conversation_id", "messages.id"], ondelete="CASCADE"
        ),
        CheckConstraint("role IN ('system', 'user', 'assistant')", name="role"),
        Index(None, "conversation_id", "number"),
        Index(None, "conversation_id", "parent_id"),
    )

    # Order of creation; a parent's number is always smaller than its children's.
    number: Mapped[int] = mapped_column(Number, primary_key=True)
    id: Mapped[str] = mapped_column(Name(64), unique=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    parent_id: Mapped[str | None] = mapped_column(Name(64))
    role: Mapped[str] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ReplyRow(TableBase):
    """How an assistant message was generated. Its answer is the content of the message with the same id."""

    __tablename__ = "replies"
    __table_args__ = (
        CheckConstraint("finish_reason IN ('end', 'length', 'stopped', 'error')", name="finish_reason"),
    )

    id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    thought: Mapped[str | None] = mapped_column(Text)
    think: Mapped[bool]
    sampling: Mapped[dict[str, Any]] = mapped_column(JSON)
    seed: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[str] = mapped_column(Name(200), index=True)
    prompt_ids: Mapped[list[int]] = mapped_column(JSON)
    completion_ids: Mapped[list[int]] = mapped_column(JSON)
    finish_reason: Mapped[str] = mapped_column(String(16))
    first_token_seconds: Mapped[float | None]
    thought_seconds: Mapped[float | None]
    seconds: Mapped[float]


class RatingRow(TableBase):
    __tablename__ = "ratings"
    __table_args__ = (CheckConstraint("value IN (-1, 0, 1)", name="value"),)

    reply_id: Mapped[str] = mapped_column(ForeignKey("replies.id", ondelete="CASCADE"), primary_key=True)
    rater_id: Mapped[str] = mapped_column(
        ForeignKey("raters.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    value: Mapped[int]
    reasons: Mapped[list[str]] = mapped_column(JSON)
    comment: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RatingHistoryRow(TableBase):
    """Every state a rating ever had, oldest first."""

    __tablename__ = "rating_history"
    __table_args__ = (
        CheckConstraint("value IN (-1, 0, 1)", name="value"),
        Index(None, "reply_id", "rater_id", "number"),
    )

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    reply_id: Mapped[str] = mapped_column(ForeignKey("replies.id", ondelete="CASCADE"))
    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id", ondelete="CASCADE"), index=True)
    value: Mapped[int]
    reasons: Mapped[list[str]] = mapped_column(JSON)
    comment: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CorrectionRow(TableBase):
    """A rater's better answer to a reply's prompt. An empty text is a withdrawn correction."""

    __tablename__ = "corrections"

    reply_id: Mapped[str] = mapped_column(ForeignKey("replies.id", ondelete="CASCADE"), primary_key=True)
    rater_id: Mapped[str] = mapped_column(
        ForeignKey("raters.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CorrectionHistoryRow(TableBase):
    """Every state a correction ever had, oldest first."""

    __tablename__ = "correction_history"
    __table_args__ = (Index(None, "reply_id", "rater_id", "number"),)

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    reply_id: Mapped[str] = mapped_column(ForeignKey("replies.id", ondelete="CASCADE"))
    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id", ondelete="CASCADE"), index=True)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ComparisonRow(TableBase):
    """A rater's choice between two replies to one message.

    `first_id` is the reply that was written earlier, whichever side it was shown on, so that a pair is one row in
    either order. `left_id` is the reply of the two that was shown on the left.
    """

    __tablename__ = "comparisons"
    __table_args__ = (
        CheckConstraint("choice IN ('left', 'right', 'both_good', 'both_bad')", name="choice"),
        CheckConstraint("how IN ('resample', 'versions', 'thinking')", name="how"),
        CheckConstraint("first_id <> second_id AND left_id IN (first_id, second_id)", name="pair"),
    )

    first_id: Mapped[str] = mapped_column(ForeignKey("replies.id", ondelete="CASCADE"), primary_key=True)
    second_id: Mapped[str] = mapped_column(
        ForeignKey("replies.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    rater_id: Mapped[str] = mapped_column(
        ForeignKey("raters.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    left_id: Mapped[str] = mapped_column(Name(64))
    choice: Mapped[str] = mapped_column(String(16))
    blind: Mapped[bool]
    how: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ComparisonHistoryRow(TableBase):
    """Every state a comparison ever had, oldest first."""

    __tablename__ = "comparison_history"
    __table_args__ = (
        CheckConstraint("choice IN ('left', 'right', 'both_good', 'both_bad')", name="choice"),
        Index(None, "first_id", "second_id", "rater_id", "number"),
    )

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    first_id: Mapped[str] = mapped_column(ForeignKey("replies.id", ondelete="CASCADE"))
    second_id: Mapped[str] = mapped_column(ForeignKey("replies.id", ondelete="CASCADE"), index=True)
    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id", ondelete="CASCADE"), index=True)
    left_id: Mapped[str] = mapped_column(Name(64))
    choice: Mapped[str] = mapped_column(String(16))
    blind: Mapped[bool]
    how: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SnapshotRow(TableBase):
    """A snapshot of rows; its id is the hash of its content. `folder` is the one in which it was taken last."""

    __tablename__ = "snapshots"

    id: Mapped[str] = mapped_column(Name(64), primary_key=True)
    folder: Mapped[str] = mapped_column(Text)
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    counts: Mapped[dict[str, int]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When a person whose messages or feedback are in it was forgotten; null while all of it may be used.
    forgotten_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SnapshotFolderRow(TableBase):
    """A folder that holds a snapshot: the same feedback gives the same snapshot wherever it is taken."""

    __tablename__ = "snapshot_folders"

    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True)
    folder: Mapped[str] = mapped_column(Text, primary_key=True)
    manifest_sha256: Mapped[str] = mapped_column(String(64))


class SnapshotRaterRow(TableBase):
    """A person whose messages or feedback are in a snapshot."""

    __tablename__ = "snapshot_raters"

    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True)
    rater_id: Mapped[str] = mapped_column(
        ForeignKey("raters.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class SnapshotConversationRow(TableBase):
    """A conversation that a snapshot has rows from."""

    __tablename__ = "snapshot_conversations"

    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class VersionSnapshotRow(TableBase):
    """A version that was trained on a snapshot, and the version that it continues."""

    __tablename__ = "version_snapshots"

    version: Mapped[str] = mapped_column(Name(200), primary_key=True)
    snapshot_id: Mapped[str] = mapped_column(
        ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    parent: Mapped[str | None] = mapped_column(Name(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ImportRow(TableBase):
    """A run of the import command that added conversations. `file` is the name of the file without its folder."""

    __tablename__ = "imports"

    id: Mapped[str] = mapped_column(Name(64), primary_key=True)
    system: Mapped[str] = mapped_column(String(64))
    file: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ImportedConversationRow(TableBase):
    """A conversation that an import added."""

    __tablename__ = "imported_conversations"

    import_id: Mapped[str] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True, index=True
    )
