"""What people say of replies: thumbs, corrections, comparisons. The last word counts, every word is kept."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_store import validation
from feedback_store.database.sessions import ROWS_AT_ONCE, Sessions, in_batches
from feedback_store.database.tables import (
    ComparisonHistoryRow,
    ComparisonRow,
    CorrectionHistoryRow,
    CorrectionRow,
    MessageRow,
    RatingHistoryRow,
    RatingRow,
    ReplyRow,
)
from feedback_store.errors import InvalidComparison
from feedback_store.records import Choice, Comparison, Correction, How, Rating, Reply, Thumb
from feedback_store.store.lookup import as_comparison, as_correction, as_rating, make_known, unknown_reply
from feedback_store.store.queries import (
    comparisons_after,
    contested_messages,
    corrections_after,
    ratings_after,
    ratings_under,
    thumbs_after,
)


class Feedback(Sessions):
    """The part of `FeedbackStore` that keeps what people say of replies."""

    def rate(
        self, reply_id: str, rater: str, value: int, reasons: Sequence[str] = (), comment: str = ""
    ) -> Rating:
        """Record that `rater` thinks a reply good (1) or bad (-1), or takes the vote back (0).

        The last vote of a rater on a reply counts. Every change is kept in the history; saying the same
        again is no change. Raises: InvalidRating, UnknownReply.
        """
        validation.check_rater(rater)
        validation.check_rating(value, reasons, comment)
        now = datetime.now(UTC)
        given = list(dict.fromkeys(reasons))
        with self._write() as session:
            _lock(session, [reply_id])
            make_known(session, rater, now)
            row = session.get(RatingRow, (reply_id, rater))
            if row is None:
                row = RatingRow(reply_id=reply_id, rater_id=rater, created_at=now)
                session.add(row)
            elif (row.value, row.reasons, row.comment) == (value, given, comment):
                return as_rating(row)
            row.value, row.reasons, row.comment, row.updated_at = value, given, comment, now
            session.add(
                RatingHistoryRow(
                    reply_id=reply_id,
                    rater_id=rater,
                    value=value,
                    reasons=given,
                    comment=comment,
                    created_at=now,
                )
            )
        return as_rating(row)

    def feedback_count(self) -> int:
        """How often anybody has ever said anything of a reply, up to gaps: it grows with every word."""
        histories = (RatingHistoryRow, CorrectionHistoryRow, ComparisonHistoryRow)
        with self._read() as session:
            return sum(session.scalar(select(func.max(history.number))) or 0 for history in histories)

    def rating(self, reply_id: str, rater: str) -> Rating | None:
        """The rater's standing vote on a reply, also a withdrawn one; None where there never was one."""
        with self._read() as session:
            row = session.get(RatingRow, (reply_id, rater))
            return as_rating(row) if row else None

    def ratings(
        self, version: str | None = None, *, consented: bool = False
    ) -> Iterator[tuple[Rating, Reply]]:
        """Every standing vote with its reply: replies in order of creation, all votes on one together.

        `version` keeps the replies of one version. `consented` keeps what may be trained on: votes of
        consenting raters on replies in conversations of consenting raters. Withdrawn votes are included.
        """

        def read(row: Any) -> tuple[tuple[int, str], tuple[Rating, Reply]]:
            number, rating, *reply = row
            return (number, rating.rater_id), (as_rating(rating), Reply(*reply))

        return self._in_pages(lambda last: ratings_after(last, version, consented), (-1, ""), read)

    def thumbs(self, version: str | None = None, *, consented: bool = False) -> Iterator[Thumb]:
        """Every standing thumb up or down, in the order and under the conditions of `ratings`."""

        def read(row: Any) -> tuple[tuple[int, str], Thumb]:
            thumb = Thumb(*row[1:])
            return (row[0], thumb.rater), thumb

        return self._in_pages(lambda last: thumbs_after(last, version, consented), (-1, ""), read)

    def contested_ratings(self, *, consented: bool = False) -> Iterator[list[tuple[Rating, Reply]]]:
        """For each user message whose replies have thumbs both up and down: all votes on its replies.

        Messages in order of creation, and within one the replies likewise. `consented` as in `ratings`.
        """
        with self._read() as session:
            asked = list(session.scalars(contested_messages(consented)))
        for some in in_batches(asked, ROWS_AT_ONCE):
            with self._read() as session:
                found = session.execute(ratings_under(some, consented))
                votes = [(as_rating(rating), Reply(*reply)) for rating, *reply in found]
            for _, said in groupby(votes, lambda vote: vote[1].parent_id):
                yield list(said)

    # Corrections

    def correct(self, reply_id: str, rater: str, text: str) -> Correction:
        """Record what `rater` would rather have read than the reply's answer. An empty text takes it back.

        The last correction of a rater counts. Every change is kept in the history; saying the same again is no
        change. Raises: InvalidRating (an id that can name nobody), InvalidCorrection, UnknownReply.
        """
        validation.check_rater(rater)
        validation.check_correction(text)
        now = datetime.now(UTC)
        given = text if text.strip() else ""
        with self._write() as session:
            _lock(session, [reply_id])
            make_known(session, rater, now)
            row = session.get(CorrectionRow, (reply_id, rater))
            if row is None:
                row = CorrectionRow(reply_id=reply_id, rater_id=rater, created_at=now)
                session.add(row)
            elif row.text == given:
                return as_correction(row)
            row.text, row.updated_at = given, now
            session.add(CorrectionHistoryRow(reply_id=reply_id, rater_id=rater, text=given, created_at=now))
        return as_correction(row)

    def correction(self, reply_id: str, rater: str) -> Correction | None:
        """The rater's standing correction of a reply, also one taken back; None where there never was one."""
        with self._read() as session:
            row = session.get(CorrectionRow, (reply_id, rater))
            return as_correction(row) if row else None

    def corrections(
        self, version: str | None = None, *, consented: bool = False
    ) -> Iterator[tuple[Correction, Reply]]:
        """Every standing correction with its reply, in the order and under the conditions of `ratings`.

        Those taken back are included; their text is empty.
        """

        def read(row: Any) -> tuple[tuple[int, str], tuple[Correction, Reply]]:
            number, correction, *reply = row
            return (number, correction.rater_id), (as_correction(correction), Reply(*reply))

        return self._in_pages(lambda last: corrections_after(last, version, consented), (-1, ""), read)

    # Comparisons

    def compare(
        self,
        left_reply_id: str,
        right_reply_id: str,
        rater: str,
        choice: Choice,
        *,
        blind: bool,
        how: How,
    ) -> Comparison:
        """Record which of two replies to one user message `rater` prefers: left, right, both_good, both_bad.

        A rater's second choice between the same two replaces the first, whichever was left then. Every change
        is kept in the history; saying the same again is no change. Raises: InvalidRating (an id that can name
        nobody), InvalidComparison (an unknown choice; one reply twice; replies to different messages),
        UnknownReply.
        """
        validation.check_rater(rater)
        validation.check_comparison(left_reply_id, right_reply_id, choice, blind, how)
        now = datetime.now(UTC)
        said = {"left_id": left_reply_id, "choice": choice, "blind": blind, "how": how}
        with self._write() as session:
            first, second = _lock(session, [left_reply_id, right_reply_id])
            if first.parent_id != second.parent_id:
                raise InvalidComparison(
                    f"Replies {left_reply_id} and {right_reply_id} answer different messages. "
                    "Only two replies to the same message can be compared."
                )
            make_known(session, rater, now)
            pair = {"first_id": first.id, "second_id": second.id, "rater_id": rater}
            row = session.get(ComparisonRow, (first.id, second.id, rater))
            if row is None:
                row = ComparisonRow(**pair, created_at=now)
                session.add(row)
            elif all(getattr(row, name) == value for name, value in said.items()):
                return as_comparison(row)
            row.left_id, row.choice, row.blind, row.how = left_reply_id, choice, blind, how
            row.updated_at = now
            session.add(ComparisonHistoryRow(**pair, **said, created_at=now))
        return as_comparison(row)

    def comparison(self, left: str, right: str, rater: str) -> Comparison | None:
        """The rater's standing choice between two replies, whichever was left; None where there is none."""
        with self._read() as session:
            for pair in ((left, right), (right, left)):
                row = session.get(ComparisonRow, (*pair, rater))
                if row is not None:
                    return as_comparison(row)
        return None

    def comparisons(
        self, version: str | None = None, *, consented: bool = False
    ) -> Iterator[tuple[Comparison, Reply, Reply]]:
        """Every standing comparison with its left and its right reply; pairs in order of creation.

        `version` keeps those in which either reply is of this version. `consented` as in `ratings`.
        """

        def read(row: Any) -> tuple[tuple[int, int, str], tuple[Comparison, Reply, Reply]]:
            first, second, comparison, *replies = row
            each = len(replies) // 2
            left, right = Reply(*replies[:each]), Reply(*replies[each:])
            if comparison.left_id != left.id:
                left, right = right, left
            return (first, second, comparison.rater_id), (as_comparison(comparison), left, right)

        return self._in_pages(lambda last: comparisons_after(last, version, consented), (-1, -1, ""), read)


def _lock(session: Session, reply_ids: Sequence[str]) -> list[MessageRow]:
    """The messages of replies, the earlier first; votes on them now queue. Raises: UnknownReply.

    On SQLite all writers queue already; on PostgreSQL the order keeps two voters on a pair from waiting for
    each other.
    """
    query = (
        select(MessageRow)
        .join(ReplyRow, ReplyRow.id == MessageRow.id)
        .where(ReplyRow.id.in_(reply_ids))
        .order_by(MessageRow.number)
        .with_for_update(of=ReplyRow)
    )
    found = list(session.scalars(query))
    known = {message.id for message in found}
    for reply_id in reply_ids:
        if reply_id not in known:
            raise unknown_reply(reply_id)
    return found
