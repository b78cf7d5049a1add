"""`FeedbackStore`: opening a store, and the methods that concern all of it.

A reply is written once, complete, before anyone can rate it, and never changes, so that it stays certain what was
rated. An edit or a retry adds a sibling to the conversation's tree. A method that returns has committed its changes to
the disk. Every method may be called from any thread, and several processes may open the same store.
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
from feedback_store.store.given_feedback import GivenFeedbackQueries
from feedback_store.store.raters import RaterRights
from feedback_store.store.standing_votes import StandingVotes
from feedback_store.store.training_usage import TrainingUsage
from feedback_store.store.verify import problems


class FeedbackStore(Conversations, Feedback, GivenFeedbackQueries, RaterRights, StandingVotes, TrainingUsage):
    """All feedback in one database. Open it with `FeedbackStore.open` or `FeedbackStore.open_home`.

    The methods are defined by subject in conversations.py, feedback.py, given_feedback.py, raters.py,
    standing_votes.py and training_usage.py.
    """

    @classmethod
    def open(cls, path_or_url: Path | str, *, create: bool = True) -> Self:
        """Open a SQLite file (Path) or a SQLAlchemy URL (str); create or migrate its tables.

        Raises NotAStore, NewerSchema, StoreUnwritable, StoreDamaged, StoreUnavailable, and StoreMissing if there is
        no store and `create` is false.
        """
        return cls(open_engine(path_or_url, create))

    @classmethod
    def open_home(cls, home: Path, *, create: bool = True) -> Self:
        """Open the store that a home uses: its own file, or the URL written in it. Raises as `open` does."""
        return cls.open(store_of(home), create=create)

    def close(self) -> None:
        """Close all connections to the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def verify(self, progress: ShowProgress = no_progress) -> list[str]:
        """Check the whole store. Returns one sentence for each contradiction; an empty list means none."""
        with explained(self._engine.url), self._engine.connect() as connection:
            return problems(connection.execution_options(stream_results=True), progress)

    def counts(self) -> dict[str, Any]:
        """Count everything that `stats` shows.

        `raters`, `conversations`, `messages`, `replies`, `snapshots`: number of rows. `ratings`: up, down and
        withdrawn. `corrections`: those not withdrawn. `comparisons`: by choice. `versions`: replies, up, down and
        withdrawn of each version. `reasons`: number of ratings with each reason, the most frequent first.
        """
        with self._read() as session:
            return totals(session)

    def thumbs_over_time(self, seconds: int) -> list[tuple[str, int, int, int]]:
        """Count current thumbs by version and by the time of their first rating.

        Returns (version, start, thumbs up, thumbs down) for each span of `seconds` that has thumbs; `start` is in
        seconds since 1970 (UTC).
        """
        with self._read() as session:
            return thumbs_over_time(session, seconds)

    def choices_between_versions(self) -> list[tuple[str, str, str, int]]:
        """Count current choices between replies of two versions: (left version, right version, choice, count).

        Only blind comparisons count: a rater who knows the versions may choose by name.
        """
        with self._read() as session:
            return choices_between_versions(session)
