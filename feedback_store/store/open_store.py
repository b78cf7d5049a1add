"""The one way in and out of the database.

A rating is worth a training step only if it is certain what was rated. So a reply is written once, whole,
before anyone can rate it, and is never changed; an edit or a retry adds a sibling to the conversation's tree.
A method that returns has committed: what was acknowledged survives a crash. Every method may be called from
any thread, and several processes may hold the same store open.
"""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from feedback_store.database.connection import explained, open_engine
from feedback_store.database.store_location import store_of
from feedback_store.progress_bars import ShowProgress, no_progress
from feedback_store.store.conversations import Conversations
from feedback_store.store.counts import choices_between_versions, thumbs_over_time, totals
from feedback_store.store.feedback import Feedback
from feedback_store.store.raters import RaterRights
from feedback_store.store.training_usage import TrainingUsage
from feedback_store.store.verify import problems


class FeedbackStore(Conversations, Feedback, RaterRights, TrainingUsage):
    """All feedback in one database. Open it with `FeedbackStore.open`.

    The methods stand by concept in conversations.py, votes.py, people.py and usage.py.
    """

    @classmethod
    def open(cls, path_or_url: Path | str, *, create: bool = True) -> Self:
        """Open a SQLite file (Path) or any SQLAlchemy URL (str), making and migrating its tables.

        Raises: NotAStore, NewerSchema, StoreUnwritable, StoreDamaged, StoreUnavailable; StoreMissing where
        nothing is there and `create` is false.
        """
        return cls(open_engine(path_or_url, create))

    @classmethod
    def open_home(cls, home: Path, *, create: bool = True) -> Self:
        """Open the store that a home uses: see home.py. Raises as `open` does."""
        return cls.open(store_of(home), create=create)

    def close(self) -> None:
        """Let go of the database's connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def verify(self, progress: ShowProgress = no_progress) -> list[str]:
        """Every way in which the store contradicts itself, in words. Empty means clean."""
        with explained(self._engine.url), self._engine.connect() as connection:
            return problems(connection.execution_options(stream_results=True), progress)

    def counts(self) -> dict[str, Any]:
        """Figures for `stats`.

        `raters`, `conversations`, `messages`, `replies`, `snapshots`: numbers of rows. `ratings`: up, down,
        withdrawn. `corrections`: those that stand. `comparisons`: by choice. `versions`: for each version
        replies, up, down, withdrawn. `reasons`: how often each stands, the most frequent first.
        """
        with self._read() as session:
            return totals(session)

    def thumbs_over_time(self, seconds: int) -> list[tuple[str, int, int, int]]:
        """(version, start, thumbs up, thumbs down) of standing thumbs by when they were first given.

        In spans of `seconds`, each from its `start` on, in seconds since 1970 (UTC).
        """
        with self._read() as session:
            return thumbs_over_time(session, seconds)

    def choices_between_versions(self) -> list[tuple[str, str, str, int]]:
        """(version on the left, on the right, choice, how many) of standing choices between replies of two versions.

        Only blind ones: who knows which version wrote what may choose by name.
        """
        with self._read() as session:
            return choices_between_versions(session)
