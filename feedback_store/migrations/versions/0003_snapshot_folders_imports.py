"""All folders of a snapshot, and which import added which conversations."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "snapshot_folders",
        sa.Column("snapshot_id", sa.String(64), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("manifest_sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id", "folder", name="pk_snapshot_folders"),
        _key("snapshot_folders", "snapshot_id", "snapshots.id"),
    )
    op.execute("INSERT INTO snapshot_folders SELECT id, folder, manifest_sha256 FROM snapshots")
    op.create_table(
        "imports",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("system", sa.String(64), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
    )
    op.create_table(
        "imported_conversations",
        sa.Column("import_id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "conversation_id", name="pk_imported_conversations"),
        _key("imported_conversations", "import_id", "imports.id"),
        _key("imported_conversations", "conversation_id", "conversations.id"),
    )
    op.create_index(
        "ix_imported_conversations_conversation_id", "imported_conversations", ["conversation_id"]
    )


def downgrade() -> None:
    for table in ("imported_conversations", "imports", "snapshot_folders"):
        op.drop_table(table)


def _key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}", ondelete="CASCADE")
