"""Alembic's entry point. The caller passes an open connection, inside a transaction."""

from alembic import context

from feedback_store.database.tables import TableBase

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=TableBase.metadata,
    render_as_batch=True,
)
context.run_migrations()
