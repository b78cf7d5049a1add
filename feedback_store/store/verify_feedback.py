"""Check ratings, corrections and comparisons against their histories and their replies."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, Integer, Text, and_, cast, func, select
from sqlalchemy.orm import aliased

from feedback_store.database.tables import (
    ComparisonHistoryRow,
    ComparisonRow,
    CorrectionHistoryRow,
    CorrectionRow,
    MessageRow,
    RatingHistoryRow,
    RatingRow,
)
from feedback_store.records import CHOICES, HOW


def ratings(connection: Connection) -> Iterator[str]:
    """Problems of ratings."""
    keys = ("reply_id", "rater_id")
    columns = ("value", "reasons", "comment")
    for (reply, rater), now, last in _states(connection, RatingRow, RatingHistoryRow, keys, columns):
        rating = f"The rating of {reply} by {rater}"
        if last is None:
            yield f"{rating} has no history."
            continue
        if now != last:
            yield f"{rating} is not what its history says last ({now[0]}, not {last[0]}, or other words)."
        if now[0] not in (-1, 0, 1):
            yield f"{rating} has an impossible value {now[0]!r}."
        if not isinstance(now[1], list) or not all(isinstance(reason, str) for reason in now[1]):
            yield f"{rating} has reasons that cannot be read."
    for reply, rater in _lost(connection, RatingRow, RatingHistoryRow, keys):
        yield f"The rating of {reply} by {rater} is in the history, but is gone."


def corrections(connection: Connection) -> Iterator[str]:
    """Problems of corrections."""
    keys = ("reply_id", "rater_id")
    for (reply, rater), now, last in _states(
        connection, CorrectionRow, CorrectionHistoryRow, keys, ("text",)
    ):
        if last is None:
            yield f"The correction of {reply} by {rater} has no history."
        elif now != last:
            yield f"The correction of {reply} by {rater} is not what its history says last."
    for reply, rater in _lost(connection, CorrectionRow, CorrectionHistoryRow, keys):
        yield f"The correction of {reply} by {rater} is in the history, but is gone."


def comparisons(connection: Connection) -> Iterator[str]:
    """Problems of comparisons."""
    pair = ("first_id", "second_id", "rater_id")
    columns = ("left_id", "choice", "blind", "how")
    for (first, second, rater), now, last in _states(
        connection, ComparisonRow, ComparisonHistoryRow, pair, columns
    ):
        comparison = f"The comparison of {first} and {second} by {rater}"
        if last is None:
            yield f"{comparison} has no history."
        elif now != last:
            yield f"{comparison} is not what its history says last ({now[1]}, not {last[1]}, or shown otherwise)."
        left, choice, _, how = now
        if left not in (first, second):
            yield f"{comparison} showed {left} on the left, which is neither."
        if choice not in CHOICES:
            yield f"{comparison} has an unknown choice {choice!r}."
        if how not in HOW:
            yield f"{comparison} has replies that differ in an unknown way {how!r}."
    for first, second, rater in _lost(connection, ComparisonRow, ComparisonHistoryRow, pair):
        yield f"The comparison of {first} and {second} by {rater} is in the history, but is gone."
    yield from _pairs(connection)


def _pairs(connection: Connection) -> Iterator[str]:
    first, second = aliased(MessageRow), aliased(MessageRow)
    query = (
        select(first.id, second.id, first.parent_id, second.parent_id, first.number < second.number)
        .select_from(ComparisonRow)
        .join(first, first.id == ComparisonRow.first_id)
        .join(second, second.id == ComparisonRow.second_id)
        .distinct()
    )
    for first_id, second_id, parent, other_parent, in_order in connection.execute(query):
        if parent is None or parent != other_parent:
            yield f"Replies {first_id} and {second_id} were compared, but answer different messages."
        if not in_order:
            yield f"The comparison of {first_id} and {second_id} names the later reply first."


def _states(
    connection: Connection, current: Any, history: Any, keys: Sequence[str], columns: Sequence[str]
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...] | None]]:
    """(key, current values, latest values in the history or None) of every row of `current`."""
    history_keys = [getattr(history, name) for name in keys]
    newest = select(func.max(history.number).label("number")).group_by(*history_keys).subquery()
    last = (
        select(*history_keys, history.number, *(_plain(history, name).label(name) for name in columns))
        .join(newest, history.number == newest.c.number)
        .subquery()
    )
    query = (
        select(
            *(getattr(current, name) for name in keys),
            *(_plain(current, name) for name in columns),
            last.c.number,
            *(last.c[name] for name in columns),
        )
        .select_from(current)
        .outerjoin(last, and_(*(getattr(current, name) == last.c[name] for name in keys)))
    )
    json_at = [isinstance(getattr(current, name).type, JSON) for name in columns]
    for row in connection.execute(query):
        values = tuple(row)
        key, now = values[: len(keys)], values[len(keys) : len(keys) + len(columns)]
        number, then = values[len(keys) + len(columns)], values[len(keys) + len(columns) + 1 :]
        yield key, _parsed(now, json_at), None if number is None else _parsed(then, json_at)


def _lost(
    connection: Connection, current: Any, history: Any, keys: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """The keys that are in the history and not in `current`."""
    query = (
        select(*(getattr(history, name) for name in keys))
        .outerjoin(current, and_(*(getattr(current, name) == getattr(history, name) for name in keys)))
        .where(getattr(current, keys[0]).is_(None))
        .distinct()
    )
    for row in connection.execute(query):
        yield tuple(row)


def _plain(table: Any, name: str) -> Any:
    # The stored value, unconverted: a damaged value must be returned and not raise an exception.
    column = getattr(table, name)
    if isinstance(column.type, JSON):
        return cast(column, Text)
    return cast(column, Integer) if isinstance(column.type, Boolean) else column


def _parsed(values: tuple[Any, ...], json_at: Sequence[bool]) -> tuple[Any, ...]:
    return tuple(
        _from_json(value) if is_json else value for value, is_json in zip(values, json_at, strict=True)
    )


def _from_json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
