"""Read and write transactions: each is short, and the writers of a SQLite file queue."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, Select
from sqlalchemy.orm import Session

from feedback_store.database.connection import explained
from feedback_store.database.write_lock import WriteLock

ROWS_AT_ONCE = 500  # read in one transaction, so that a slow reader never holds the database
Key = TypeVar("Key")
Record = TypeVar("Record")


def in_batches(ids: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    """Split `ids` into batches of at most `most`: every database limits the number of values in a query."""
    return (ids[start : start + most] for start in range(0, len(ids), most))


class Sessions:
    """Base class of the parts of `FeedbackStore`: opens read and write transactions on one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # SQLite has one writer at a time: writers queue here instead of polling the file.
        self._write_lock: AbstractContextManager[object] = nullcontext()
        if engine.dialect.name == "sqlite":
            self._write_lock = WriteLock(Path(f"{engine.url.database}-turn"))
        self._writer = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")

    @contextmanager
    def _read(self) -> Iterator[Session]:
        with explained(self._engine.url), Session(self._engine) as session:
            yield session

    @contextmanager
    def _write(self) -> Iterator[Session]:
        with (
            explained(self._engine.url),
            self._write_lock,
            Session(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def _in_pages(
        self,
        after: Callable[[Key], Select[*tuple[Any, ...]]],
        start: Key,
        read: Callable[[Any], tuple[Key, Record]],
    ) -> Iterator[Record]:
        """Yield all records after the key `start`, page by page.

        `after` makes the query for the rows after a key, and `read` converts a row to its key and its record.
        """
        last = start
        while True:
            with self._read() as session:
                page = [read(row) for row in session.execute(after(last).limit(ROWS_AT_ONCE))]
            yield from (record for _, record in page)
            if len(page) < ROWS_AT_ONCE:
                return
            last = page[-1][0]

    def _clear_log(self) -> None:
        # SQLite's write-ahead log still holds deleted data: move the log into the file and empty it.
        if self._engine.dialect.name != "sqlite":
            return
        with explained(self._engine.url), self._write_lock:
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            finally:
                connection.close()
