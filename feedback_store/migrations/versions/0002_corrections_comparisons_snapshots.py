"""Corrections and comparisons with their histories, snapshots and who is in them, titles chosen by people.

The schema is spelled out here and not taken from tables.py: a migration must do tomorrow what it did today.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Tables whose rows are never changed once written.
UNCHANGING = ("correction_history", "comparison_history")


def upgrade() -> None:
    op.add_column("conversations", sa.Column("renamed_at", sa.DateTime(timezone=True)))
    _corrections()
    _comparisons()
    _snapshots()
    _refuse_updates()


def _corrections() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "corrections",
        sa.Column("reply_id", sa.String(64), nullable=False),
        sa.Column("rater_id", sa.String(200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("reply_id", "rater_id", name="pk_corrections"),
        _key("corrections", "reply_id", "replies.id"),
        _key("corrections", "rater_id", "raters.id"),
    )
    op.create_index("ix_corrections_rater_id", "corrections", ["rater_id"])
    op.create_table(
        "correction_history",
        sa.Column("number", _number(), nullable=False),
        sa.Column("reply_id", sa.String(64), nullable=False),
        sa.Column("rater_id", sa.String(200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_correction_history"),
        _key("correction_history", "reply_id", "replies.id"),
        _key("correction_history", "rater_id", "raters.id"),
    )
    op.create_index(
        "ix_correction_history_reply_id_rater_id_number",
        "correction_history",
        ["reply_id", "rater_id", "number"],
    )
    op.create_index("ix_correction_history_rater_id", "correction_history", ["rater_id"])


def _comparisons() -> None:
    moment = sa.DateTime(timezone=True)
    choices = "choice IN ('left', 'right', 'both_good', 'both_bad')"
    op.create_table(
        "comparisons",
        sa.Column("first_id", sa.String(64), nullable=False),
        sa.Column("second_id", sa.String(64), nullable=False),
        sa.Column("rater_id", sa.String(200), nullable=False),
        sa.Column("left_id", sa.String(64), nullable=False),
        sa.Column("choice", sa.String(16), nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("how", sa.String(16), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("first_id", "second_id", "rater_id", name="pk_comparisons"),
        _key("comparisons", "first_id", "replies.id"),
        _key("comparisons", "second_id", "replies.id"),
        _key("comparisons", "rater_id", "raters.id"),
        sa.CheckConstraint(choices, name="ck_comparisons_choice"),
        sa.CheckConstraint("how IN ('resample', 'versions', 'thinking')", name="ck_comparisons_how"),
        sa.CheckConstraint(
            "first_id <> second_id AND left_id IN (first_id, second_id)", name="ck_comparisons_pair"
        ),
    )
    op.create_index("ix_comparisons_second_id", "comparisons", ["second_id"])
    op.create_index("ix_comparisons_rater_id", "comparisons", ["rater_id"])
    op.create_table(
        "comparison_history",
        sa.Column("number", _number(), nullable=False),
        sa.Column("first_id", sa.String(64), nullable=False),
        sa.Column("second_id", sa.String(64), nullable=False),
        sa.Column("rater_id", sa.String(200), nullable=False),
        sa.Column("left_id", sa.String(64), nullable=False),
        sa.Column("choice", sa.String(16), nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("how", sa.String(16), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_comparison_history"),
        _key("comparison_history", "first_id", "replies.id"),
        _key("comparison_history", "second_id", "replies.id"),
        _key("comparison_history", "rater_id", "raters.id"),
        sa.CheckConstraint(choices, name="ck_comparison_history_choice"),
    )
    op.create_index(
        "ix_comparison_history_first_id_second_id_rater_id_number",
        "comparison_history",
        ["first_id", "second_id", "rater_id", "number"],
    )
    op.create_index("ix_comparison_history_second_id", "comparison_history", ["second_id"])
    op.create_index("ix_comparison_history_rater_id", "comparison_history", ["rater_id"])


def _snapshots() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "snapshots",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("manifest_sha256", sa.String(64), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("forgotten_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
    )
    op.create_table(
        "snapshot_raters",
        sa.Column("snapshot_id", sa.String(64), nullable=False),
        sa.Column("rater_id", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id", "rater_id", name="pk_snapshot_raters"),
        _key("snapshot_raters", "snapshot_id", "snapshots.id"),
        _key("snapshot_raters", "rater_id", "raters.id"),
    )
    op.create_index("ix_snapshot_raters_rater_id", "snapshot_raters", ["rater_id"])
    op.create_table(
        "snapshot_conversations",
        sa.Column("snapshot_id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id", "conversation_id", name="pk_snapshot_conversations"),
        _key("snapshot_conversations", "snapshot_id", "snapshots.id"),
        _key("snapshot_conversations", "conversation_id", "conversations.id"),
    )
    op.create_index(
        "ix_snapshot_conversations_conversation_id", "snapshot_conversations", ["conversation_id"]
    )
    op.create_table(
        "version_snapshots",
        sa.Column("version", sa.String(200), nullable=False),
        sa.Column("snapshot_id", sa.String(64), nullable=False),
        sa.Column("parent", sa.String(200)),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("version", "snapshot_id", name="pk_version_snapshots"),
        _key("version_snapshots", "snapshot_id", "snapshots.id"),
    )
    op.create_index("ix_version_snapshots_snapshot_id", "version_snapshots", ["snapshot_id"])


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}", ondelete="CASCADE")


def _refuse_updates() -> None:
    for table in UNCHANGING:
        if op.get_context().dialect.name == "sqlite":
            op.execute(
                f"CREATE TRIGGER {table}_never_change BEFORE UPDATE ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} are never changed'); END"
            )
        else:  # the first migration made the function
            op.execute(
                f"CREATE TRIGGER {table}_never_change BEFORE UPDATE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_update()"
            )


def downgrade() -> None:
    for table in (
        "version_snapshots",
        "snapshot_conversations",
        "snapshot_raters",
        "snapshots",
        "comparison_history",
        "comparisons",
        "correction_history",
        "corrections",
    ):
        op.drop_table(table)
    op.drop_column("conversations", "renamed_at")
