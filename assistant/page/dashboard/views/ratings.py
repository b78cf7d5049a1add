"""What people said: thumbs by version over time, and which versions they prefer side by side."""

from __future__ import annotations

from collections import defaultdict

from assistant.admin.bradley_terry import rate, wins_of
from assistant.admin.services import Office
from assistant.page.dashboard.views.charts import Line, Point, Span, line_chart, spans
from assistant.page.dashboard.views.widgets import card, date, empty, moment, share_text, table, thumbs_share
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.markdown import plain
from feedback_store.stats.intervals import wilson

HOUR, DAY = 3_600, 86_400
MOST_SPANS = 24
LINES = 5
"""Versions in one chart: the ones whose thumbs are the newest."""


def view(office: Office, session: DashboardSession) -> str:
    """Thumbs over time and in a table, and the ranking."""
    return thumbs(office, session, with_table=True) + ratings(office, session)


def thumbs(office: Office, session: DashboardSession, actions: str = "", with_table: bool = False) -> str:
    """The share of thumbs up by version over time."""
    words = session.words
    given = office.store.thumbs_over_time(HOUR)
    if not given:
        return card(words.thumbs, empty(words.no_thumbs), actions=actions)
    chart, width = _lines(session, given)
    drawn = line_chart(
        chart,
        words.thumbs,
        lambda at: date(words, at) if width >= DAY else moment(words, at),
        lambda y: f"{100 * y:.0f} %",
        y_range=(0, 1),
        zero=0.5,
    )
    more = ""
    if with_table:
        rows = [
            [
                plain(version),
                f"{of['replies']:,}",
                f"{of['up']:,}",
                f"{of['down']:,}",
                plain(share_text(words, thumbs_share(of["up"], of["down"]))),
            ]
            for version, of in reversed(list(office.store.counts()["versions"].items()))
        ]
        more = table(list(words.columns.values()), rows, figures=4)
    return card(words.thumbs, drawn + more, f"{words.thumbs_help} {words.interval_help}", actions)


def ratings(office: Office, session: DashboardSession) -> str:
    """Each version beside the released one, by choices between two answers."""
    words, reference = session.words, office.versions.released() or ""
    found = rate(wins_of(office.store.choices_between_versions()), reference)
    if not found:
        return card(words.ratings, empty(words.no_ratings))
    rows = [
        Span(
            one.version,
            one.chance,
            one.low,
            one.high,
            words.released
            if one.version == reference
            else words.choices_format.format(
                value=f"{100 * one.chance:.0f}",
                low=f"{100 * one.low:.0f}",
                high=f"{100 * one.high:.0f}",
                count=one.choices,
            ),
            tone="good" if one.low > 0.5 else "bad" if one.high < 0.5 else "calm",
        )
        for one in found
    ]
    return card(words.ratings, spans(rows, 0.5, 0, 1), words.ratings_help_format.format(reference=reference))


def _lines(session: DashboardSession, given: list[tuple[str, int, int, int]]) -> tuple[list[Line], int]:
    """Lines for the chart, and how many seconds a point stands for: whole days, but hours within three of them."""
    first, last = given[0][1], given[-1][1]
    unit = HOUR if last - first < 3 * DAY else DAY
    width = unit * max(1, -(-(last - first + HOUR) // (unit * MOST_SPANS)))
    sums: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    newest: dict[str, int] = {}
    for version, at, up, down in given:
        here = sums[version][at - at % width]
        here[0], here[1] = here[0] + up, here[1] + down
        newest[version] = at
    shown = sorted(newest, key=lambda version: (-newest[version], version))[:LINES]
    lines = []
    for tone, version in enumerate(sorted(shown, key=_number)):
        points = []
        for at, (up, down) in sorted(sums[version].items()):
            share = wilson(up, up + down)
            when = date(session.words, at) if width >= DAY else moment(session.words, at)
            text = f"{version} · {when}: {share_text(session.words, share)}"
            points.append(Point(at + width / 2, share.value, share.low, share.high, text))
        lines.append(Line(version, points, tone))
    return lines, width


def _number(version: str) -> tuple[int, str]:
    digits = version[1:]
    return (int(digits) if digits.isdigit() else 0, version)
