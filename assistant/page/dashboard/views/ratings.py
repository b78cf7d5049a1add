"""The view of people's ratings: thumbs by version over time, and which versions people prefer side by side."""

from __future__ import annotations

from collections import defaultdict

from markupsafe import Markup

from assistant.admin.bradley_terry import rate, wins_of
from assistant.admin.services import AdminServices
from assistant.chat.conversation_file import IMPORTED
from assistant.page.dashboard.views.charts import Interval, Line, Point, interval_chart, line_chart
from assistant.page.dashboard.views.formatting import date, moment, share_text, thumbs_share
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.templates import render
from feedback_store.stats.intervals import wilson

HOUR, DAY = 3_600, 86_400
MAX_POINTS = 24
"""Points of a line at most; thumbs are summed over longer spans of time where there would be more."""
MAX_LINES = 5
"""Versions in one chart: the ones that were rated last."""

HourlyThumbs = list[tuple[str, int, int, int]]
"""(version, start of the hour in seconds since 1970, thumbs up, thumbs down), as the store counts them."""


def view(services: AdminServices, session: DashboardSession) -> Markup:
    """Thumbs over time with a table, and the ranking of the versions."""
    return thumbs(services, session, with_table=True) + ranking(services, session)


def thumbs(
    services: AdminServices, session: DashboardSession, can_roll_back: bool = False, with_table: bool = False
) -> Markup:
    """A chart of the share of thumbs up by version over time, on request with a table of the counts."""
    texts = session.texts
    hourly = [row for row in services.store.thumbs_over_time(HOUR) if is_version(row[0])]
    chart = rows = None
    if hourly:
        lines, width = _lines(session, hourly)
        chart = line_chart(
            lines,
            texts.thumbs,
            lambda at: date(texts, at) if width >= DAY else moment(texts, at),
            lambda share: texts.percent_format.format(value=f"{100 * share:.0f}"),
            y_range=(0, 1),
            zero=0.5,
        )
        if with_table:
            rows = _count_rows(services, session)
    return render("dashboard/thumbs.html", texts=texts, chart=chart, rows=rows, can_roll_back=can_roll_back)


def ranking(services: AdminServices, session: DashboardSession) -> Markup:
    """The chance that people prefer each version to the released one, from choices between two answers."""
    texts, reference = session.texts, services.versions.released() or ""
    choices = [row for row in services.store.choices_between_versions() if is_version(row[0], row[1])]
    strengths = rate(wins_of(choices), reference)
    intervals = [
        Interval(
            strength.version,
            strength.chance,
            strength.low,
            strength.high,
            texts.released
            if strength.version == reference
            else texts.choices_format.format(
                value=f"{100 * strength.chance:.0f}",
                low=f"{100 * strength.low:.0f}",
                high=f"{100 * strength.high:.0f}",
                count=strength.choices,
            ),
            tone="good" if strength.low > 0.5 else "bad" if strength.high < 0.5 else "calm",
        )
        for strength in strengths
    ]
    chart = interval_chart(intervals, 0.5, 0, 1) if intervals else None
    return render("dashboard/ranking.html", texts=texts, chart=chart, reference=reference)


def is_version(*names: str) -> bool:
    """Whether all are versions of this app: replies that were imported from elsewhere are no version's."""
    return not any(name.split(":")[0] == IMPORTED for name in names)


def _count_rows(services: AdminServices, session: DashboardSession) -> list[list[str]]:
    return [
        [
            version,
            f"{counts['replies']:,}",
            f"{counts['up']:,}",
            f"{counts['down']:,}",
            share_text(session.texts, thumbs_share(counts["up"], counts["down"])),
        ]
        for version, counts in reversed(list(services.store.counts()["versions"].items()))
        if is_version(version)
    ]


def _lines(session: DashboardSession, hourly: HourlyThumbs) -> tuple[list[Line], int]:
    """Lines for the chart, and the seconds that one point sums up: whole days, but hours if all lie within three days.

    `hourly` is in order of time.
    """
    begin, end = hourly[0][1], hourly[-1][1]
    unit = HOUR if end - begin < 3 * DAY else DAY
    width = unit * max(1, -(-(end - begin + HOUR) // (unit * MAX_POINTS)))
    sums: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    last_rated: dict[str, int] = {}
    for version, at, up, down in hourly:
        counts = sums[version][at - at % width]
        counts[0], counts[1] = counts[0] + up, counts[1] + down
        last_rated[version] = at
    shown = sorted(last_rated, key=lambda version: (-last_rated[version], version))[:MAX_LINES]
    lines = []
    for tone, version in enumerate(sorted(shown, key=_number)):
        points = []
        for at, (up, down) in sorted(sums[version].items()):
            share = wilson(up, up + down)
            when = date(session.texts, at) if width >= DAY else moment(session.texts, at)
            text = f"{version} · {when}: {share_text(session.texts, share)}"
            points.append(Point(at + width / 2, share.value, share.low, share.high, text))
        lines.append(Line(version, points, tone))
    return lines, width


def _number(version: str) -> tuple[int, str]:
    digits = version[1:]
    return (int(digits) if digits.isdigit() else 0, version)
