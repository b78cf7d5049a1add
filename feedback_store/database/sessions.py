"""Reading and writing: each in one short transaction, writers of one process in turn."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, Select
from sqlalchemy.orm import Session

from feedback_store.database.connection import explained
from feedback_store.database.write_lock import WriteLock

ROWS_AT_ONCE = 500  # read in one short transaction, so that a slow reader never holds the database
Key = TypeVar("Key")
Record = TypeVar("Record")


def in_batches(ids: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    """`ids` in order, at most `most` at once: every engine limits how many one question may name."""
    return (ids[start : start + most] for start in range(0, len(ids), most))


class Sessions:
    """What the parts of `FeedbackStore` share: one database, and the two ways to open a transaction on it."""

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
        """What `after` selects beyond a key, page by page; `read` makes a row its key and its record."""
        last = start
        while True:
            with self._read() as session:
                page = [read(row) for row in session.execute(after(last).limit(ROWS_AT_ONCE))]
            yield from (record for _, record in page)
            if len(page) < ROWS_AT_ONCE:
                return
            last = page[-1][0]

    def _clear_log(self) -> None:
        # SQLite's log still holds pages from before a deletion: move it into the file and empty it.
        if self._engine.dialect.name != "sqlite":
            return
        with explained(self._engine.url), self._write_lock:
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            finally:
                connection.close()
