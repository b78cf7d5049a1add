"""The live comparison: its course, how to start and stop one, and how earlier ones ended."""

from __future__ import annotations

from typing import Any

from assistant.admin import cycle_records
from assistant.admin.services import Office
from assistant.errors import SettingsError
from assistant.page.dashboard.views.charts import Line, Point, line_chart
from assistant.page.dashboard.views.widgets import (
    badge,
    button,
    card,
    dialog,
    empty,
    moment,
    share_text,
    table,
    thumbs_share,
    wait,
)
from assistant.page.i18n.dashboard_languages import said, told
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.markdown import plain
from assistant.registry import live_comparison

TONES = {"candidate wins": "good", "roll back": "bad"}
SHARE = 20
"""Percent that the form begins with."""


def view(office: Office, session: DashboardSession) -> str:
    """The one under way, or the form for a new one; and the earlier ones."""
    words, found = session.words, cycle_records.trials(office.home)
    try:
        under_way = live_comparison.read(office.home)
    except SettingsError as error:
        session.say(told(session.words, error), error=True)
        under_way = None
    if under_way is None:
        now = card(words.views["trial"], empty(words.no_trial) + _form(office, session), words.trial_help)
    else:
        known = next((one for one in found if one.get("id") == under_way.id), {})
        line = words.trial_format.format(
            candidate=under_way.candidate,
            released=under_way.released,
            share=f"{100 * under_way.share:g}",
            date=moment(words, under_way.started),
        )
        now = card(
            words.views["trial"],
            f"<p>{plain(line)}</p>"
            + _course(session, {"candidate": under_way.candidate, "released": under_way.released, **known}),
            words.trial_help,
            button("ask_stop_trial", words.stop_trial),
        )
    past = [one for one in found if "ended" in one]
    if not past:
        return now
    return now + card(words.past_trials, "".join(_past(session, one) for one in past))


def ask_stop(session: DashboardSession) -> str:
    """The question before the end of a live comparison."""
    words = session.words
    body = (
        f'<p>{plain(words.stop_trial_help)}</p><form data-do="stop_trial"><div class="row">{wait(words)}'
        f'<button type="submit" class="strong danger">{plain(words.stop_trial)}</button></div></form>'
    )
    return dialog(words, words.stop_trial, body)


def _past(session: DashboardSession, one: dict[str, Any]) -> str:
    words, verdict = session.words, str(one.get("verdict"))
    ran = f"{moment(words, str(one['started']))} – {moment(words, str(one['ended']))}"
    return (
        f'<details class="more" id="trial-{plain(str(one.get("id", one["started"])))}"><summary>'
        f"{plain(str(one['candidate']))} / {plain(str(one['released']))} "
        f"{badge(words.trial_verdicts.get(verdict, verdict), TONES.get(verdict, 'calm'))} "
        f"<small>{plain(ran)}</small></summary>"
        f'<p class="help">{plain(said(words, str(one.get("why", ""))))}</p>{_course(session, one)}</details>'
    )


def _course(session: DashboardSession, one: dict[str, Any]) -> str:
    """Both arms' votes, and the difference with the interval that holds at every moment."""
    words, outcome, course = session.words, one.get("outcome") or {}, one.get("course") or {}
    rows = []
    for name in ("candidate", "released"):
        side = outcome.get(name) or {}
        up, votes = int(side.get("up", 0)), int(side.get("votes", 0))
        share = share_text(words, thumbs_share(up, votes - up))
        rows.append([plain(str(one[name])), f"{up:,}", f"{votes - up:,}", plain(share)])
    columns = [words.columns[key] for key in ("version", "up", "down", "share")]
    sides = table(columns, rows, figures=3) if outcome else ""
    try:
        points = [
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
        points = []
    if not points:
        return sides or empty(words.no_course)
    label = words.trial_chart.format(candidate=one["candidate"], released=one["released"])
    chart = line_chart(
        [Line(label, points)],
        label,
        lambda x: f"{x:g}",
        lambda y: f"{y:+g}",
        # At first the interval is wider than any difference can be.
        y_range=_range(points),
        zero=0,
        x_title=words.counted_votes,
    )
    return chart + sides


def _range(points: list[Point]) -> tuple[float, float]:
    reach = [value for point in points for value in (point.low, point.high) if value is not None]
    return max(-100.0, min([*reach, -5.0]) * 1.08), min(100.0, max([*reach, 5.0]) * 1.08)


def _form(office: Office, session: DashboardSession) -> str:
    words, candidates = session.words, office.candidates()
    if not candidates:
        return f'<p class="help">{plain(words.no_candidates)}</p>'
    options = "".join(
        f'<option value="{plain(one.id)}"{" selected" if one.id == session.candidate else ""}>{plain(one.id)}</option>'
        for one in candidates
    )
    return (
        f'<form class="line" data-do="start_trial"><label class="field"><span>{plain(words.candidate)}</span>'
        f'<select name="version">{options}</select></label><label class="field"><span>{plain(words.share)}</span>'
        f'<input type="number" name="share" min="1" max="100" step="1" value="{SHARE}" required></label>'
        f'<button type="submit" class="strong">{plain(words.start_trial)}</button></form>'
        f'<p class="help">{plain(words.share_help)}</p>'
    )
