"""Counts for `stats`, and of the rows that forgetting a person deletes."""

from typing import Any

from sqlalchemy import Select, case, extract, func, or_, select
from sqlalchemy.orm import Session, aliased

from feedback_store.database.tables import (
    ComparisonHistoryRow,
    ComparisonRow,
    ConversationRow,
    CorrectionHistoryRow,
    CorrectionRow,
    MessageRow,
    RaterRow,
    RatingHistoryRow,
    RatingRow,
    ReplyRow,
    SnapshotRow,
)
from feedback_store.records import CHOICES

VOTE_NAMES = {1: "up", -1: "down", 0: "withdrawn"}


def belongings(session: Session, conversations: Select[str], rater: str | None) -> dict[str, int]:
    """Count rows by table that belong to the conversations or, if `rater` is given, to that rater's feedback."""
    messages = select(MessageRow.id).where(MessageRow.conversation_id.in_(conversations))

    def number(table: Any, *replies: Any) -> int:
        in_conversations = or_(*(reply.in_(messages) for reply in replies))
        belongs = in_conversations if rater is None else or_(in_conversations, table.rater_id == rater)
        return session.scalar(select(func.count()).select_from(table).where(belongs)) or 0

    return {
        "conversations": _size(session, conversations),
        "messages": _size(session, messages),
        "replies": _size(session, select(ReplyRow.id).where(ReplyRow.id.in_(messages))),
        "ratings": number(RatingRow, RatingRow.reply_id),
        "rating_history": number(RatingHistoryRow, RatingHistoryRow.reply_id),
        "corrections": number(CorrectionRow, CorrectionRow.reply_id),
        "correction_history": number(CorrectionHistoryRow, CorrectionHistoryRow.reply_id),
        "comparisons": number(ComparisonRow, ComparisonRow.first_id),
        "comparison_history": number(ComparisonHistoryRow, ComparisonHistoryRow.first_id),
    }


def _size(session: Session, query: Select[Any]) -> int:
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def totals(session: Session) -> dict[str, Any]:
    """The counts that `FeedbackStore.counts` documents."""
    tables = {"raters": RaterRow, "conversations": ConversationRow, "messages": MessageRow}
    sizes = {name: session.scalar(select(func.count()).select_from(table)) for name, table in tables.items()}
    versions = _by_version(session)
    return sizes | {
        "replies": sum(of["replies"] for of in versions.values()),
        "ratings": {name: sum(of[name] for of in versions.values()) for name in VOTE_NAMES.values()},
        "corrections": _size(session, select(CorrectionRow.reply_id).where(CorrectionRow.text != "")),
        "comparisons": _choices(session),
        "snapshots": _size(session, select(SnapshotRow.id)),
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


def _choices(session: Session) -> dict[str, int]:
    query = select(ComparisonRow.choice, func.count()).group_by(ComparisonRow.choice)
    return dict.fromkeys(CHOICES, 0) | dict(session.execute(query).all())


def _reasons(session: Session) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for reasons in session.scalars(select(RatingRow.reasons).where(RatingRow.value != 0)):
        for reason in reasons:
            numbers[reason] = numbers.get(reason, 0) + 1
    return dict(sorted(numbers.items(), key=lambda item: (-item[1], item[0])))


def thumbs_over_time(session: Session, seconds: int) -> list[tuple[str, int, int, int]]:
    """(version, start, up, down) of current thumbs, in spans of `seconds`; start in seconds since 1970, UTC."""
    rated_at = extract("epoch", RatingRow.created_at)
    # Computed once, in a subquery: PostgreSQL does not treat two expressions with bound values as equal.
    votes = (
        select(ReplyRow.version, (rated_at - rated_at % seconds).label("start"), RatingRow.value)
        .join(ReplyRow, RatingRow.reply_id == ReplyRow.id)
        .where(RatingRow.value != 0)
        .subquery()
    )
    query = (
        select(
            votes.c.version,
            votes.c.start,
            func.sum(case((votes.c.value > 0, 1), else_=0)),
            func.sum(case((votes.c.value < 0, 1), else_=0)),
        )
        .group_by(votes.c.version, votes.c.start)
        .order_by(votes.c.start, votes.c.version)
    )
    return [(version, int(at), int(up), int(down)) for version, at, up, down in session.execute(query)]


def choices_between_versions(session: Session) -> list[tuple[str, str, str, int]]:
    """(left version, right version, choice, count) of current blind choices between two versions."""
    left, right = aliased(ReplyRow), aliased(ReplyRow)
    query = (
        select(left.version, right.version, ComparisonRow.choice, func.count())
        .select_from(ComparisonRow)
        .join(left, ComparisonRow.left_id == left.id)
        # The other reply of the pair.
        .join(
            right,
            (right.id.in_((ComparisonRow.first_id, ComparisonRow.second_id)))
            & (right.id != ComparisonRow.left_id),
        )
        .where(ComparisonRow.blind, left.version != right.version)
        .group_by(left.version, right.version, ComparisonRow.choice)
        .order_by(left.version, right.version, ComparisonRow.choice)
    )
    return [
        (left_version, right_version, choice, count)
        for left_version, right_version, choice, count in session.execute(query)
    ]
