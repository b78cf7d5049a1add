"""Connect to a database: a SQLAlchemy engine with settings for SQLite or PostgreSQL, and readable errors."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from feedback_store.database.schema import migrate
from feedback_store.database.store_location import checked_url, prepare_folder
from feedback_store.errors import (
    NotAStore,
    StoreConflict,
    StoreDamaged,
    StoreError,
    StoreUnavailable,
    StoreUnwritable,
)

# How long a writer waits for the transaction of another process before it gives up.
BUSY_SECONDS = 30
# How long to wait for a server that does not answer, unless the URL says otherwise.
CONNECT_SECONDS = 10


def open_engine(path_or_url: Path | str, create: bool) -> Engine:
    """Connect, create the tables in an empty database, and migrate the tables of an earlier release.

    Raises StoreMissing if there is no store and `create` is false, NotAStore, NewerSchema, StoreUnwritable,
    StoreDamaged, StoreUnavailable.
    """
    url = checked_url(path_or_url)
    on_sqlite = url.get_backend_name() == "sqlite"
    if on_sqlite:
        prepare_folder(url, create)
    arguments: dict[str, Any] = {}
    if not on_sqlite:
        # Without an encoding, the driver returns bytes for texts if the server has no encoding set.
        arguments = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8", **url.query}
    try:
        engine = create_engine(
            url,
            json_serializer=compact_json,
            json_deserializer=read_json,
            connect_args=arguments,
            pool_size=8,
            max_overflow=32,
            # A server may have restarted since a connection was last used: test the connection first.
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
            migrate(connection, create)
    except StoreError:
        engine.dispose()
        raise
    return engine


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """Turn a database error raised inside the block into a StoreError that says what to do."""
    try:
        yield
    except IntegrityError as error:
        raise StoreConflict(
            "What this write refers to was forgotten, or written by somebody else, at the same moment "
            f"({str(error.orig).strip()}). Nothing was written. Load it again, and repeat what you did."
        ) from error
    except PoolTimeout as error:
        raise StoreUnavailable(
            f"All connections to {url.render_as_string()} are in use. Try again when fewer people write at once."
        ) from error
    except (DatabaseError, sqlite3.DatabaseError) as error:
        raise _explanation(str(getattr(error, "orig", error)).strip(), url.render_as_string()) from error


def compact_json(value: Any) -> str:
    """JSON without spaces, because token ids are most of a store's bytes. Raises ValueError for NaN and infinities."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read_json(text: str | bytes) -> Any:
    """Parse a JSON column. Raises ValueError.

    Lists (token ids, reasons) are parsed by orjson, which is several times as fast. Objects (sampling settings) are
    not, because orjson would round integers beyond 64 bits.
    """
    return orjson.loads(text) if text[:1] in ("[", b"[") else json.loads(text)


def _set_up_sqlite_connection(connection: sqlite3.Connection, _record: object) -> None:
    # By default the driver begins transactions by itself, too late to take the write lock.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # SQLite's own lower() handles ASCII only; a search for "été" should find "Été".
    connection.create_function("lower", 1, _lower, deterministic=True)
    # Deleted data must not stay readable in the file's free pages.
    connection.execute("PRAGMA secure_delete=ON")


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # Two processes that create the same file may switch at once, and SQLite does not make the second one wait.
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


def _explanation(reason: str, location: str) -> StoreError:
    if "not a database" in reason:
        return NotAStore(f"{location} is not a database ({reason}). Nothing was changed; name another file.")
    if "malformed" in reason:
        return StoreDamaged(f"{location} is damaged ({reason}). Restore it from a backup.")
    if any(
        sign in reason
        for sign in ("readonly", "read-only", "unable to open", "full", "disk I/O", "space left")
    ):
        return StoreUnwritable(
            f"{location} cannot be written ({reason}). Check its permissions and the space left on the disk."
        )
    return StoreUnavailable(
        f"The database at {location} did not answer ({reason}). "
        "Check that it runs and that nothing holds it locked."
    )
