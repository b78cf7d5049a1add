"""Create the tables in an empty database, and migrate the tables of an earlier release."""

import sqlite3

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from feedback_store.errors import NewerSchema, NotAStore, StoreDamaged, StoreMissing, StoreUnavailable

# An arbitrary constant that all processes share.
MIGRATION_LOCK = 0x7468756D62


def migrate(connection: Connection, create: bool) -> None:
    """Bring the database to the newest schema, in one transaction.

    Raises StoreMissing if the database is empty and `create` is false, NotAStore, NewerSchema, StoreDamaged,
    StoreUnavailable.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    if on_sqlite:
        # A migration that rebuilds a table drops the old one, which would cascade into its children.
        # SQLite ignores this switch inside a transaction, so it comes before.
        _on_driver(connection, "PRAGMA foreign_keys=OFF")
        connection = connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    with connection.begin():
        if not on_sqlite:
            _check_encoding(connection)
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        if _needs_upgrade(connection, create):
            command.upgrade(_alembic_config(connection), "head")
            if on_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise StoreDamaged(
                    "The store was left as it was: migrating it would break references between its rows. "
                    "Run `python -m feedback_store verify` with the release that wrote it."
                )
    if on_sqlite:
        _on_driver(connection, "PRAGMA foreign_keys=ON")


def _check_encoding(connection: Connection) -> None:
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise StoreUnavailable(
            f"The database {connection.engine.url.render_as_string()} is encoded in {encoding}, which cannot hold "
            "every language. Make one with: createdb --encoding=UTF8 --template=template0 NAME"
        )


def _needs_upgrade(connection: Connection, create: bool) -> bool:
    scripts = ScriptDirectory.from_config(_alembic_config(connection))
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None:
        location = connection.engine.url.render_as_string()
        if inspect(connection).get_table_names():
            raise NotAStore(
                f"{location} holds a database, but not a feedback store. "
                "Nothing was changed; name another database."
            )
        if not create:
            raise StoreMissing(f"There is no feedback store in {location}: the database is empty.")
        return True
    known = {script.revision for script in scripts.walk_revisions()}
    if current not in known:
        raise NewerSchema(
            f"The feedback store has schema {current}, which this release does not know: "
            "a newer release wrote it. Nothing was changed; install that release or a later one."
        )
    return current != scripts.get_current_head()


def _alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "feedback_store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _on_driver(connection: Connection, statement: str) -> None:
    driver_connection = connection.connection.driver_connection
    assert isinstance(driver_connection, sqlite3.Connection)
    driver_connection.execute(statement)
