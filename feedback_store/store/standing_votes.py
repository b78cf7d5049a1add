"""Which votes stand, without the texts of the replies that they are about."""

from collections.abc import Iterator

from sqlalchemy import select

from feedback_store.database.sessions import Sessions
from feedback_store.database.tables import ComparisonRow, CorrectionRow, MessageRow, RatingRow
from feedback_store.store.lookup import as_comparison
from feedback_store.store.queries import may_be_used

THUMBS = (
    select(RatingRow.value, RatingRow.rater_id, RatingRow.reply_id)
    .join(MessageRow, MessageRow.id == RatingRow.reply_id)
    .where(RatingRow.value != 0, may_be_used(RatingRow, MessageRow))
)
CORRECTIONS = (
    select(CorrectionRow.text, CorrectionRow.rater_id, CorrectionRow.reply_id)
    .join(MessageRow, MessageRow.id == CorrectionRow.reply_id)
    .where(CorrectionRow.text != "", may_be_used(CorrectionRow, MessageRow))
)
CHOICES = (
    select(ComparisonRow)
    .join(MessageRow, MessageRow.id == ComparisonRow.first_id)
    .where(may_be_used(ComparisonRow, MessageRow))
)


class StandingVotes(Sessions):
    """The method of `FeedbackStore` by which new votes are counted."""

    def standing_votes(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """(what, rater, replies) of every vote that stands and may be trained on.

        `what` is "rating 1", "correction TEXT" or "comparison ID" of the preferred reply, so that a vote that is
        changed is another one.
        """
        with self._read() as session:
            thumbs = session.execute(THUMBS).all()
            corrections = session.execute(CORRECTIONS).all()
            choices = [as_comparison(row) for row in session.scalars(CHOICES)]
        for value, rater, reply in thumbs:
            yield f"rating {value}", rater, (reply,)
        for text, rater, reply in corrections:
            yield f"correction {text}", rater, (reply,)
        for choice in choices:
            sides = (choice.left_reply_id, choice.right_reply_id)
            yield f"comparison {choice.preferred}", choice.rater, sides
