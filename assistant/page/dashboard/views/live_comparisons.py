"""The view of live comparisons: the one under way, a form to start one, and how earlier ones ended."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from assistant.admin import cycle_records
from assistant.admin.actions import verdict
from assistant.admin.services import AdminServices
from assistant.errors import SettingsError
from assistant.events.describe import describe_stored
from assistant.page.dashboard.views.charts import Line, Point, line_chart
from assistant.page.dashboard.views.formatting import moment, share_text, thumbs_share
from assistant.page.i18n.dashboard_languages import error_text
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.templates import render
from assistant.registry import live_comparison

TONES = {"candidate wins": "good", "roll back": "bad"}
DEFAULT_SHARE = 20
"""Percent of conversations in the form before anything is typed."""

Record = dict[str, Any]
"""Where a live comparison stands or how it ended: a file of HOME/trials."""


def view(services: AdminServices, session: DashboardSession) -> Markup:
    """The live comparison under way, or the form that starts one; and the earlier ones."""
    texts, records = session.texts, cycle_records.trials(services.home)
    try:
        under_way = live_comparison.read(services.home)
    except SettingsError as error:
        session.notify(error_text(texts, error), error=True)
        under_way = None
    current = None
    if under_way is not None:
        record = next((record for record in records if record.get("id") == under_way.id), {})
        arms = {"candidate": under_way.candidate, "released": under_way.released}
        summary = texts.live_comparison_format.format(
            **arms, share=f"{100 * under_way.share:g}", date=moment(texts, under_way.started)
        )
        current = {"summary": summary, "course": _course(session, {**arms, **record})}
    return render(
        "dashboard/live_comparisons.html",
        texts=texts,
        under_way=current,
        candidates=[(manifest.id, texts.verdicts[verdict(manifest)]) for manifest in services.candidates()],
        chosen=session.candidate,
        default_share=DEFAULT_SHARE,
        past=[_ended(session, record) for record in records if "ended" in record],
    )


def _ended(session: DashboardSession, record: Record) -> dict[str, Any]:
    texts, verdict = session.texts, str(record.get("verdict"))
    return {
        "id": str(record.get("id", record["started"])),
        "candidate": str(record["candidate"]),
        "released": str(record["released"]),
        "verdict": texts.live_verdicts.get(verdict, verdict),
        "tone": TONES.get(verdict, "calm"),
        "period": f"{moment(texts, str(record['started']))} – {moment(texts, str(record['ended']))}",
        "why": describe_stored(record, "why", texts.code),
        "course": _course(session, record),
    }


def _course(session: DashboardSession, record: Record) -> Markup:
    """The difference between both versions' shares of thumbs up as thumbs came in, and a table of the thumbs."""
    texts = session.texts
    points = _points(record)
    chart = None
    if points:
        label = texts.difference_format.format(candidate=record["candidate"], released=record["released"])
        chart = line_chart(
            [Line(label, points)],
            label,
            lambda votes: f"{votes:g}",
            lambda difference: f"{difference:+g}",
            y_range=_range(points),
            zero=0,
            x_title=texts.counted_votes,
        )
    columns = [texts.columns[key] for key in ("version", "up", "down", "share")]
    return render(
        "dashboard/live_comparison_course.html",
        texts=texts,
        chart=chart,
        columns=columns,
        rows=_thumbs_rows(session, record),
    )


def _thumbs_rows(session: DashboardSession, record: Record) -> list[list[str]]:
    """Thumbs of both versions; empty before the first look at them."""
    outcome = record.get("outcome") or {}
    rows = []
    for arm in ("candidate", "released") if outcome else ():
        counts = outcome.get(arm) or {}
        up, votes = int(counts.get("up", 0)), int(counts.get("votes", 0))
        share = share_text(session.texts, thumbs_share(up, votes - up))
        rows.append([str(record[arm]), f"{up:,}", f"{votes - up:,}", share])
    return rows


def _points(record: Record) -> list[Point]:
    """Differences in percentage points by number of thumbs, with the interval that holds at all moments together."""
    course = record.get("course") or {}
    try:
        return [
            Point(
                float(votes),
                100 * difference,
                100 * low,
                100 * high,
                f"{votes}: {100 * difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]",
            )
            for votes, difference, low, high in zip(
                course["votes"], course["difference"], course["low"], course["high"], strict=True
            )
        ]
    except (KeyError, TypeError, ValueError):
        return []


def _range(points: list[Point]) -> tuple[float, float]:
    """The range of the chart: the intervals, but no wider than any difference can be, as they are at first."""
    ends = [value for point in points for value in (point.low, point.high) if value is not None]
    return max(-100.0, min([*ends, -5.0]) * 1.08), min(100.0, max([*ends, 5.0]) * 1.08)
