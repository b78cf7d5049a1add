"""Dates and shares as the dashboard writes them, in the language of the page."""

from __future__ import annotations

from datetime import UTC, datetime

from assistant.page.i18n.dashboard_languages import DashboardTexts
from feedback_store.stats.intervals import Share, wilson

NONE = "–"
"""Stands where there is no value yet."""


def moment(texts: DashboardTexts, when: str | float, time: bool = True) -> str:
    """Date and time in UTC of an ISO 8601 string or of seconds since 1970; a text that is no date is returned as is."""
    try:
        if isinstance(when, str):
            parsed = datetime.fromisoformat(when).astimezone(UTC)
        else:
            parsed = datetime.fromtimestamp(when, UTC)
    except (ValueError, OverflowError, OSError):
        return str(when)
    day = texts.date_format.format(day=parsed.day, month=texts.months[parsed.month - 1])
    return texts.moment_format.format(date=day, time=f"{parsed:%H:%M}") if time else day


def date(texts: DashboardTexts, when: str | float) -> str:
    """The date of `when`, without the time."""
    return moment(texts, when, time=False)


def thumbs_share(up: int, down: int) -> Share | None:
    """The share of thumbs up with its 95 % interval; None where there are no thumbs."""
    return wilson(up, up + down) if up + down else None


def percent(texts: DashboardTexts, share: Share) -> str:
    """A share without its interval, such as "61%"."""
    return texts.percent_format.format(value=f"{100 * share.value:.0f}")


def interval(texts: DashboardTexts, share: Share) -> str:
    """The interval of a share and the count that it rests on, such as "[52, 69] of 120"."""
    return texts.interval_format.format(
        low=f"{100 * share.low:.0f}", high=f"{100 * share.high:.0f}", of=share.of
    )


def share_text(texts: DashboardTexts, share: Share | None) -> str:
    """A share with its interval, in percent; NONE where there is no share."""
    return NONE if share is None else f"{percent(texts, share)} {interval(texts, share)}"
