"""Feedback on replies: ratings, corrections and comparisons.

For each person the latest value counts, and every earlier one is kept in a history.
"""

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
    """The methods of `FeedbackStore` for ratings, corrections and comparisons."""

    def rate(
        self, reply_id: str, rater: str, value: int, reasons: Sequence[str] = (), comment: str = ""
    ) -> Rating:
        """Rate a reply as good (1) or bad (-1), or withdraw the rating (0).

        The rater's latest rating of a reply counts. Every change is kept in the history; the same rating again is
        no change. Raises InvalidRating, UnknownReply.
        """
        validation.check_rater(rater)
        validation.check_rating(value, reasons, comment)
        now = datetime.now(UTC)
        unique_reasons = list(dict.fromkeys(reasons))
        with self._write() as session:
            _lock(session, [reply_id])
            make_known(session, rater, now)
            row = session.get(RatingRow, (reply_id, rater))
            if row is None:
                row = RatingRow(reply_id=reply_id, rater_id=rater, created_at=now)
                session.add(row)
            elif (row.value, row.reasons, row.comment) == (value, unique_reasons, comment):
                return as_rating(row)
            row.value, row.reasons, row.comment, row.updated_at = value, unique_reasons, comment, now
            session.add(
                RatingHistoryRow(
                    reply_id=reply_id,
                    rater_id=rater,
                    value=value,
                    reasons=unique_reasons,
                    comment=comment,
                    created_at=now,
                )
            )
        return as_rating(row)

    def feedback_count(self) -> int:
        """A number that grows with every rating, correction and comparison, to notice that there is new feedback."""
        histories = (RatingHistoryRow, CorrectionHistoryRow, ComparisonHistoryRow)
        with self._read() as session:
            return sum(session.scalar(select(func.max(history.number))) or 0 for history in histories)

    def rating(self, reply_id: str, rater: str) -> Rating | None:
        """The rater's current rating of a reply, even if it is withdrawn; None if there never was one."""
        with self._read() as session:
            row = session.get(RatingRow, (reply_id, rater))
            return as_rating(row) if row else None

    def ratings(
        self, version: str | None = None, *, consented: bool = False
    ) -> Iterator[tuple[Rating, Reply]]:
        """Every current rating with its reply: replies in the order they were made, ratings of a reply together.

        `version` keeps the replies of one version. `consented` keeps what may be trained on: ratings by people who
        consented, in conversations of people who consented. Withdrawn ratings are included.
        """

        def read(row: Any) -> tuple[tuple[int, str], tuple[Rating, Reply]]:
            number, rating, *reply = row
            return (number, rating.rater_id), (as_rating(rating), Reply(*reply))

        return self._in_pages(lambda last: ratings_after(last, version, consented), (-1, ""), read)

    def thumbs(self, version: str | None = None, *, consented: bool = False) -> Iterator[Thumb]:
        """Every current rating of 1 or -1, in the order and under the conditions of `ratings`."""

        def read(row: Any) -> tuple[tuple[int, str], Thumb]:
            thumb = Thumb(*row[1:])
            return (row[0], thumb.rater), thumb

        return self._in_pages(lambda last: thumbs_after(last, version, consented), (-1, ""), read)

    def contested_ratings(self, *, consented: bool = False) -> Iterator[list[tuple[Rating, Reply]]]:
        """For each user message whose replies have thumbs both up and down: all ratings of its replies.

        Messages and their replies come in the order they were made. `consented` is as in `ratings`.
        """
        with self._read() as session:
            messages = list(session.scalars(contested_messages(consented)))
        for batch in in_batches(messages, ROWS_AT_ONCE):
            with self._read() as session:
                rows = session.execute(ratings_under(batch, consented))
                ratings = [(as_rating(rating), Reply(*reply)) for rating, *reply in rows]
            for _, group in groupby(ratings, lambda item: item[1].parent_id):
                yield list(group)

    # Corrections

    def correct(self, reply_id: str, rater: str, text: str) -> Correction:
        """Store a better answer than the reply's. An empty text withdraws the correction.

        The rater's latest correction of a reply counts. Every change is kept in the history; the same text again is
        no change. Raises InvalidRating (an invalid rater id), InvalidCorrection, UnknownReply.
        """
        validation.check_rater(rater)
        validation.check_correction(text)
        now = datetime.now(UTC)
        corrected = text if text.strip() else ""
        with self._write() as session:
            _lock(session, [reply_id])
            make_known(session, rater, now)
            row = session.get(CorrectionRow, (reply_id, rater))
            if row is None:
                row = CorrectionRow(reply_id=reply_id, rater_id=rater, created_at=now)
                session.add(row)
            elif row.text == corrected:
                return as_correction(row)
            row.text, row.updated_at = corrected, now
            session.add(
                CorrectionHistoryRow(reply_id=reply_id, rater_id=rater, text=corrected, created_at=now)
            )
        return as_correction(row)

    def correction(self, reply_id: str, rater: str) -> Correction | None:
        """The rater's current correction of a reply, even if it is withdrawn; None if there never was one."""
        with self._read() as session:
            row = session.get(CorrectionRow, (reply_id, rater))
            return as_correction(row) if row else None

    def corrections(
        self, version: str | None = None, *, consented: bool = False
    ) -> Iterator[tuple[Correction, Reply]]:
        """Every current correction with its reply, in the order and under the conditions of `ratings`.

        Withdrawn corrections are included; their text is empty.
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
        """Store which of two replies to one user message `rater` prefers: left, right, both_good or both_bad.

        The rater's latest choice between the same two replies counts, whichever was on the left before. Every change
        is kept in the history; the same choice again is no change. Raises InvalidRating (an invalid rater id),
        InvalidComparison (an unknown choice, the same reply twice, replies to different messages), UnknownReply.
        """
        validation.check_rater(rater)
        validation.check_comparison(left_reply_id, right_reply_id, choice, blind, how)
        now = datetime.now(UTC)
        values = {"left_id": left_reply_id, "choice": choice, "blind": blind, "how": how}
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
            elif all(getattr(row, name) == value for name, value in values.items()):
                return as_comparison(row)
            row.left_id, row.choice, row.blind, row.how = left_reply_id, choice, blind, how
            row.updated_at = now
            session.add(ComparisonHistoryRow(**pair, **values, created_at=now))
        return as_comparison(row)

    def comparison(self, left: str, right: str, rater: str) -> Comparison | None:
        """The rater's current choice between two replies, on whichever sides; None if there is none."""
        with self._read() as session:
            for pair in ((left, right), (right, left)):
                row = session.get(ComparisonRow, (*pair, rater))
                if row is not None:
                    return as_comparison(row)
        return None

    def comparisons(
        self, version: str | None = None, *, consented: bool = False
    ) -> Iterator[tuple[Comparison, Reply, Reply]]:
        """Every current comparison with its left and its right reply, in the order the replies were made.

        `version` keeps those in which either reply is of this version. `consented` is as in `ratings`.
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
    """Lock replies against other feedback; returns their messages, the earliest first. Raises UnknownReply.

    On SQLite all writers queue already. On PostgreSQL the order prevents a deadlock between two raters of a pair.
    """
    query = (
        select(MessageRow)
        .join(ReplyRow, ReplyRow.id == MessageRow.id)
        .where(ReplyRow.id.in_(reply_ids))
        .order_by(MessageRow.number)
        .with_for_update(of=ReplyRow)
    )
    messages = list(session.scalars(query))
    known = {message.id for message in messages}
    for reply_id in reply_ids:
        if reply_id not in known:
            raise unknown_reply(reply_id)
    return messages
