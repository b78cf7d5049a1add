"""The store's longer questions, as SQL. Each function says what comes out of it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from feedback_store.tables import ConversationRow, MessageRow, RaterRow, RatingHistoryRow, RatingRow, ReplyRow

VOTE_NAMES = {1: "up", -1: "down", 0: "withdrawn"}


def path_to(message_id: str) -> Select[MessageRow, ReplyRow]:
    """The messages from the root down to `message_id`, each with its reply or None."""
    step = (
        select(MessageRow.id, MessageRow.parent_id)
        .where(MessageRow.id == message_id)
        .cte("step", recursive=True)
    )
    parent = aliased(MessageRow)
    # A union drops rows seen before, so that even a damaged, circular tree ends.
    step = step.union(select(parent.id, parent.parent_id).join(step, parent.id == step.c.parent_id))
    return (
        select(MessageRow, ReplyRow)
        .join(step, MessageRow.id == step.c.id)
        .outerjoin(ReplyRow)
        .order_by(MessageRow.number)
    )


def transcripts_to(message_ids: Sequence[str]) -> Select[str, str, str]:
    """(id, role, content) of the messages from the root down to each of `message_ids`, in this order."""
    leaves = (
        select(MessageRow.id.label("leaf"), MessageRow.id, MessageRow.parent_id)
        .where(MessageRow.id.in_(message_ids))
        .cte("step", recursive=True)
    )
    parent = aliased(MessageRow)
    step = leaves.union(
        select(leaves.c.leaf, parent.id, parent.parent_id).join(leaves, parent.id == leaves.c.parent_id)
    )
    return (
        select(step.c.leaf, MessageRow.role, MessageRow.content)
        .join(step, MessageRow.id == step.c.id)
        .order_by(step.c.leaf, MessageRow.number)
    )


def ratings_after(
    last: tuple[int, str], version: str | None, consented: bool
) -> Select[RatingRow, ReplyRow, MessageRow]:
    """Ratings with their replies beyond `last` (message number, rater), in that order.

    `consented` asks for the consent of the rater and of the conversation's holder.
    """
    query = (
        select(RatingRow, ReplyRow, MessageRow)
        .join(ReplyRow, RatingRow.reply_id == ReplyRow.id)
        .join(MessageRow, ReplyRow.id == MessageRow.id)
        # The first condition says nothing new, but it can be answered by an index.
        .where(MessageRow.number >= last[0], tuple_(MessageRow.number, RatingRow.rater_id) > last)
        .order_by(MessageRow.number, RatingRow.rater_id)
    )
    if version is not None:
        query = query.where(ReplyRow.version == version)
    if consented:
        consenting = select(RaterRow.id).where(RaterRow.consent)
        query = query.join(ConversationRow, MessageRow.conversation_id == ConversationRow.id).where(
            RatingRow.rater_id.in_(consenting), ConversationRow.rater_id.in_(consenting)
        )
    return query


def belongings(session: Session, rater: str) -> dict[str, int]:
    """How many rows, by kind, are of a rater or hang on the rater's conversations."""
    own = select(ConversationRow.id).where(ConversationRow.rater_id == rater)
    messages = select(MessageRow.id).where(MessageRow.conversation_id.in_(own))
    ratings, history = RatingRow, RatingHistoryRow
    rows: dict[str, Select[Any]] = {
        "conversations": own,
        "messages": messages,
        "replies": select(ReplyRow.id).where(ReplyRow.id.in_(messages)),
        "ratings": select(ratings.reply_id).where(
            or_(ratings.rater_id == rater, ratings.reply_id.in_(messages))
        ),
        "rating_history": select(history.number).where(
            or_(history.rater_id == rater, history.reply_id.in_(messages))
        ),
    }
    return {
        kind: session.scalar(select(func.count()).select_from(of.subquery())) or 0
        for kind, of in rows.items()
    }


def totals(session: Session) -> dict[str, Any]:
    """The figures that `FeedbackStore.counts` promises."""
    tables = {"raters": RaterRow, "conversations": ConversationRow, "messages": MessageRow}
    sizes = {name: session.scalar(select(func.count()).select_from(table)) for name, table in tables.items()}
    versions = _by_version(session)
    return sizes | {
        "replies": sum(of["replies"] for of in versions.values()),
        "ratings": {name: sum(of[name] for of in versions.values()) for name in VOTE_NAMES.values()},
        "versions": versions,
        "reasons": _reasons(session),
    }


def _by_version(session: Session) -> dict[str, dict[str, int]]:
    replies = select(ReplyRow.version, func.count()).group_by(ReplyRow.version).order_by(ReplyRow.version)
    versions = {
        version: {"replies": number, "up": 0, "down": 0, "withdrawn": 0}
        for version, number in session.execute(replies)
    }
    votes = (
        select(ReplyRow.version, RatingRow.value, func.count())
        .join(ReplyRow, RatingRow.reply_id == ReplyRow.id)
        .group_by(ReplyRow.version, RatingRow.value)
    )
    for version, value, number in session.execute(votes):
        versions[version][VOTE_NAMES[value]] = number
    return versions


def _reasons(session: Session) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for reasons in session.scalars(select(RatingRow.reasons).where(RatingRow.value != 0)):
        for reason in reasons:
            numbers[reason] = numbers.get(reason, 0) + 1
    return dict(sorted(numbers.items(), key=lambda item: (-item[1], item[0])))
