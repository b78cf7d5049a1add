"""Conversations as trees, replies, ratings and their history.

The schema is spelled out here and not taken from tables.py: a migration must do tomorrow what it did today.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Tables whose rows are never changed once written.
UNCHANGING = ("messages", "replies", "rating_history")


moment = sa.DateTime(timezone=True)
number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_conversations()
    _create_replies()
    _create_ratings()
    _refuse_updates()


def _create_conversations() -> None:
    op.create_table(
        "raters",
        sa.Column("id", sa.String(200), nullable=False),
        sa.Column("consent", sa.Boolean(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_raters"),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("rater_id", sa.String(200), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("head_id", sa.String(64)),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sa.ForeignKeyConstraint(
            ["rater_id"], ["raters.id"], name="fk_conversations_rater_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_conversations_rater_id_updated_at", "conversations", ["rater_id", "updated_at"])
    op.create_table(
        "messages",
        sa.Column("number", number, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("parent_id", sa.String(64)),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_messages"),
        sa.UniqueConstraint("id", name="uq_messages_id"),
        sa.UniqueConstraint("conversation_id", "id", name="uq_messages_conversation_id_id"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_messages_conversation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id", "parent_id"],
            ["messages.conversation_id", "messages.id"],
            name="fk_messages_conversation_id_parent_id",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("role IN ('system', 'user', 'assistant')", name="ck_messages_role"),
    )
    op.create_index("ix_messages_conversation_id_number", "messages", ["conversation_id", "number"])
    op.create_index("ix_messages_conversation_id_parent_id", "messages", ["conversation_id", "parent_id"])


def _create_replies() -> None:
    op.create_table(
        "replies",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("thought", sa.Text()),
        sa.Column("think", sa.Boolean(), nullable=False),
        sa.Column("sampling", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(200), nullable=False),
        sa.Column("prompt_ids", sa.JSON(), nullable=False),
        sa.Column("completion_ids", sa.JSON(), nullable=False),
        sa.Column("finish_reason", sa.String(16), nullable=False),
        sa.Column("first_token_seconds", sa.Double()),
        sa.Column("thought_seconds", sa.Double()),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_replies"),
        sa.ForeignKeyConstraint(["id"], ["messages.id"], name="fk_replies_id", ondelete="CASCADE"),
        sa.CheckConstraint(
            "finish_reason IN ('end', 'length', 'stopped', 'error')", name="ck_replies_finish_reason"
        ),
    )
    op.create_index("ix_replies_version", "replies", ["version"])


def _create_ratings() -> None:
    op.create_table(
        "ratings",
        sa.Column("reply_id", sa.String(64), nullable=False),
        sa.Column("rater_id", sa.String(200), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("reply_id", "rater_id", name="pk_ratings"),
        sa.ForeignKeyConstraint(["reply_id"], ["replies.id"], name="fk_ratings_reply_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name="fk_ratings_rater_id", ondelete="CASCADE"),
        sa.CheckConstraint("value IN (-1, 0, 1)", name="ck_ratings_value"),
    )
    op.create_index("ix_ratings_rater_id", "ratings", ["rater_id"])
    op.create_table(
        "rating_history",
        sa.Column("number", number, nullable=False),
        sa.Column("reply_id", sa.String(64), nullable=False),
        sa.Column("rater_id", sa.String(200), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_rating_history"),
        sa.ForeignKeyConstraint(
            ["reply_id"], ["replies.id"], name="fk_rating_history_reply_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["rater_id"], ["raters.id"], name="fk_rating_history_rater_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint("value IN (-1, 0, 1)", name="ck_rating_history_value"),
    )
    op.create_index(
        "ix_rating_history_reply_id_rater_id_number", "rating_history", ["reply_id", "rater_id", "number"]
    )
    op.create_index("ix_rating_history_rater_id", "rating_history", ["rater_id"])


def _refuse_updates() -> None:
    if op.get_context().dialect.name == "sqlite":
        for table in UNCHANGING:
            op.execute(
                f"CREATE TRIGGER {table}_never_change BEFORE UPDATE ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} are never changed'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% are never changed', TG_TABLE_NAME; END $$"
    )
    for table in UNCHANGING:
        op.execute(
            f"CREATE TRIGGER {table}_never_change BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_update()"
        )


def downgrade() -> None:
    for table in ("rating_history", "ratings", "replies", "messages", "conversations", "raters"):
        op.drop_table(table)
    if op.get_context().dialect.name != "sqlite":
        op.execute("DROP FUNCTION refuse_update()")
