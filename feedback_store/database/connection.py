"""Opening: a path or URL becomes an engine over a migrated database, or an error that explains itself."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from feedback_store.errors import (
    NewerSchema,
    NotAStore,
    StoreConflict,
    StoreDamaged,
    StoreError,
    StoreMissing,
    StoreUnavailable,
    StoreUnwritable,
)

# How long a writer waits for another process's transaction before it gives up.
BUSY_SECONDS = 30
# How long to wait for a server that does not answer at all, where the URL does not say.
CONNECT_SECONDS = 10
# Any constant will do, as long as every process that opens a store uses the same.
MIGRATION_LOCK = 0x7468756D62


def open_engine(path_or_url: Path | str, create: bool) -> Engine:
    """Connect, make the tables where there are none, and migrate older ones.

    Raises: StoreMissing (only with `create=False`), NotAStore, NewerSchema, StoreUnwritable, StoreDamaged,
    StoreUnavailable.
    """
    url = checked_url(path_or_url)
    on_sqlite = url.get_backend_name() == "sqlite"
    if on_sqlite:
        _prepare_place(url, create)
    arguments: dict[str, Any] = {}
    if not on_sqlite:
        # Without an encoding, the driver gives bytes for texts where the server has none.
        arguments = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8", **url.query}
    try:
        engine = create_engine(
            url,
            json_serializer=compact_json,
            json_deserializer=read_json,
            connect_args=arguments,
            pool_size=8,
            max_overflow=32,
            # A server may have restarted since a connection was last used: ask before using it again.
            pool_pre_ping=not on_sqlite,
        )
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreUnavailable(
            f"No driver for the store URL {url.render_as_string()}: {error}. "
            "For PostgreSQL: pip install 'psycopg[binary]'. Else name a SQLite file."
        ) from error
    if on_sqlite:
        event.listen(engine, "connect", _set_up_sqlite_connection)
        event.listen(engine, "begin", _begin_sqlite_transaction)
    try:
        with explained(url), engine.connect() as connection:
            _migrate(connection, create)
    except StoreError:
        engine.dispose()
        raise
    return engine


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """Turn a database failure inside the block into the StoreError that says what to do about it."""
    try:
        yield
    except IntegrityError as error:
        raise StoreConflict(
            "Something that this rests on was forgotten, or written by somebody else, at the same moment "
            f"({str(error.orig).strip()}). Nothing was written. Load it again, and repeat what you did."
        ) from error
    except PoolTimeout as error:
        raise StoreUnavailable(
            f"All connections to {url.render_as_string()} are in use. Try again when fewer people write at once."
        ) from error
    except (DatabaseError, sqlite3.DatabaseError) as error:
        raise _explanation(str(getattr(error, "orig", error)).strip(), url.render_as_string()) from error


def place_in_store(url: URL, folder: Path) -> str:
    """How a store names a folder: relative to its own file where it can, so that a home may be moved whole."""
    home = _home(url)
    folder = folder.resolve()
    if home is not None and folder.is_relative_to(home):
        return folder.relative_to(home).as_posix()
    return str(folder)


def place_on_disk(url: URL, place: str) -> Path:
    """The folder that a store names so."""
    return (_home(url) or Path()) / place


def _home(url: URL) -> Path | None:
    return Path(str(url.database)).resolve().parent if url.get_backend_name() == "sqlite" else None


def compact_json(value: Any) -> str:
    """JSON without spaces: token ids are most of a store's bytes. Raises ValueError on NaN and infinities."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read_json(text: str | bytes) -> Any:
    """JSON that a store holds. Raises ValueError.

    Lists are token ids and reasons, many and checked when they were written: orjson reads them several times as fast.
    Settings may hold any number, and orjson would round one beyond 64 bits.
    """
    return orjson.loads(text) if text[:1] in ("[", b"[") else json.loads(text)


def checked_url(path_or_url: Path | str) -> URL:
    """The URL of a store. Raises: StoreUnavailable (it is none, or names no database that can keep feedback)."""
    if isinstance(path_or_url, Path):
        return URL.create("sqlite", database=str(path_or_url))
    try:
        url = make_url(path_or_url)
    except (ArgumentError, ValueError) as error:  # not repeated here: there may be a password in it
        raise StoreUnavailable(
            "The store's URL cannot be read. "
            "Write it like sqlite:////folder/feedback.db or postgresql://user@host/name."
        ) from error
    if url.drivername in ("postgresql", "postgres"):  # as every other tool writes it
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreUnavailable(
            f"Feedback can be kept in SQLite or PostgreSQL, not in {url.drivername!r}. "
            "Write the URL like sqlite:////folder/feedback.db or postgresql://user@host/name."
        )
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise StoreUnavailable(
            "A store in memory would lose every rating when the program ends. Name a file instead."
        )
    return url


def _prepare_place(url: URL, create: bool) -> None:
    path = Path(str(url.database))
    try:
        if not create and not path.exists():
            raise StoreMissing(
                f"There is no feedback store at {path}. Check the folder's name; "
                "a store is made when the app first runs with this home."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnwritable(
            f"The feedback store cannot be placed at {path}: {error.strerror}. "
            "Choose a folder that you can write."
        ) from error


def _set_up_sqlite_connection(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would otherwise begin transactions by itself, and too late to take the write lock.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # SQLite's own lower() knows ASCII alone; a search for "été" should find "Été".
    connection.create_function("lower", 1, _lower, deterministic=True)
    # What is forgotten must not stay readable in the file's free pages.
    connection.execute("PRAGMA secure_delete=ON")


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # Two processes that create the same file race for the switch, and SQLite does not make the loser wait.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite_transaction(connection: Connection) -> None:
    connection.exec_driver_sql(str(connection.get_execution_options().get("sqlite_begin", "BEGIN")))


def _migrate(connection: Connection, create: bool) -> None:
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
        where = connection.engine.url.render_as_string()
        if inspect(connection).get_table_names():
            raise NotAStore(
                f"{where} holds a database, but not a feedback store. "
                "Nothing was changed; name another place."
            )
        if not create:
            raise StoreMissing(f"There is no feedback store in {where}: the database is empty.")
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


def _explanation(reason: str, where: str) -> StoreError:
    if "not a database" in reason:
        return NotAStore(f"{where} is not a database ({reason}). Nothing was changed; name another file.")
    if "malformed" in reason:
        return StoreDamaged(f"{where} is damaged ({reason}). Restore it from a backup.")
    if any(
        sign in reason
        for sign in ("readonly", "read-only", "unable to open", "full", "disk I/O", "space left")
    ):
        return StoreUnwritable(
            f"{where} cannot be written ({reason}). Check its permissions and the space left on the disk."
        )
    return StoreUnavailable(
        f"The database at {where} did not answer ({reason}). "
        "Check that it runs and that nothing holds it locked."
    )
