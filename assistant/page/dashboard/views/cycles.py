"""The cycles: what each found and did, the gate's reasons, and the rewards before and after."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import Any

from assistant.admin import cycle_records
from assistant.admin.cycle_runner import missing
from assistant.admin.services import Office
from assistant.page.dashboard.views.charts import Span, histogram, spans
from assistant.page.dashboard.views.widgets import badge, button, card, empty, moment
from assistant.page.i18n.dashboard_languages import DashboardWords, said, said_in_report
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.markdown import markdown, plain
from feedback_store.stats.intervals import Z

SHOWN = 12
"""Cycles in the list."""
TONES = {"better": "good", "not worse": "good", "worse": "bad"}
VERDICTS = {"promote": "good", "reject": "bad"}


def view(office: Office, session: DashboardSession) -> str:
    """Buttons, the plan where it was asked for, and the list."""
    words = session.words
    absent = missing()
    actions = "" if absent else button("plan", words.plan)
    if not absent and office.control.loop.running() is None:
        actions += button("run_cycle", words.run_cycle, "strong")
    body = ""
    if absent:
        body = f'<p class="notice">{plain(words.missing_format.format(packages=", ".join(absent)))}</p>'
    if session.plan:
        lines = "\n".join(said(words, line) for line in session.plan)
        body += f'<h4>{plain(words.plan_title)}</h4><pre class="log">{plain(lines)}</pre>'
    found = cycle_records.cycles(office.home)[:SHOWN]
    if not found:
        return card(words.views["cycles"], body + empty(words.no_cycles), words.cycles_help, actions)
    drawn = "".join(_cycle(office, session, one, first=number == 0) for number, one in enumerate(found))
    return card(words.views["cycles"], body, words.cycles_help, actions) + drawn


def outcome(words: DashboardWords, cycle: cycle_records.Cycle) -> str:
    """What came of a cycle, in a few words."""
    if not cycle.ended:
        return words.unfinished
    found = cycle.state.get("outcome") or {}
    text = words.outcomes.get(str(found.get("what")), str(found.get("what")))
    return text.format(version=found.get("version", ""))


def _cycle(office: Office, session: DashboardSession, cycle: cycle_records.Cycle, first: bool) -> str:
    words, state = session.words, cycle.state
    facts = [moment(words, state.get("began", ""))]
    if "new_votes" in state:
        facts.append(words.new_votes_format.format(count=state["new_votes"]))
    judged = "".join(
        f"<h4>{plain(str(one.get('candidate')))} {_verdict(words, one)}</h4>{decision(words, one)}"
        + _titled_rewards(office, session, cycle.number, one)
        for one in cycle.decisions
    )
    notes = "".join(f"<li>{plain(said(words, str(note)))}</li>" for note in state.get("notes") or [])
    notes = f'<ul class="notes">{notes}</ul>' if notes else ""
    report = cycle_records.report(office.home, cycle.number)
    if report:
        report = (
            f'<details class="more" id="report-{cycle.number}"><summary>{plain(words.report)}</summary>'
            f'<div class="answer">{markdown(said_in_report(words, report))}</div></details>'
        )
    return (
        f'<details class="card cycle" id="cycle-{cycle.number}"{" open" if first else ""}><summary><h3>'
        f"{plain(words.cycle_format.format(number=cycle.number))}</h3><span>{plain(outcome(words, cycle))}</span>"
        f"<small>{plain(' · '.join(facts))}</small></summary>{judged}{notes}{report}</details>"
    )


def _verdict(words: DashboardWords, gate: dict[str, Any]) -> str:
    name = str(gate.get("verdict"))
    return badge(words.verdicts.get(name, name), VERDICTS.get(name, "calm"))


def _titled_rewards(office: Office, session: DashboardSession, number: int, gate: dict[str, Any]) -> str:
    drawn = rewards(office, session, number, str(gate.get("candidate")), str(gate.get("released")))
    return f"<h4>{plain(session.words.rewards)}</h4>{drawn}" if drawn else ""


def decision(words: DashboardWords, gate: dict[str, Any]) -> str:
    """The gate's reasons: every measure with its interval, right-or-wrong ones on one scale of points."""
    name = str(gate.get("verdict"))
    head = words.gate_format.format(
        verdict=words.verdicts.get(name, name),
        looks=gate.get("looks", "?"),
        released=gate.get("released", "?"),
    )
    reasons = [one for one in gate.get("reasons") or [] if isinstance(one, dict)]
    known = [one for one in reasons if all(_is_number(one.get(key)) for key in ("difference", "low", "high"))]
    shares = [one for one in known if _in_points(one)]
    reach = max((abs(100 * one[key]) for one in shares for key in ("low", "high")), default=10) or 10
    drawn = spans([_span(words, one, 100) for one in shares], 0, -reach, reach) if shares else ""
    for one in known:
        # In a unit of its own, so on a scale of its own.
        if not _in_points(one):
            own = max(abs(one["low"]), abs(one["high"])) or 1
            drawn += spans([_span(words, one, 1)], 0, -own, own)
    words_of_it = "".join(f"<li>{plain(said(words, str(one.get('text', ''))))}</li>" for one in reasons)
    return (
        f'<p class="help">{plain(head)}</p>{drawn}<details class="more"><summary>'
        f"{plain(words.reasons_format.format(count=len(reasons)))}</summary>"
        f'<ul class="notes">{words_of_it}</ul></details>'
    )


def _in_points(reason: dict[str, Any]) -> bool:
    # What the gate writes in words says the unit: only right-or-wrong measures are in points.
    return " points [" in str(reason.get("text", ""))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _span(words: DashboardWords, reason: dict[str, Any], scale: int) -> Span:
    finding, kind = str(reason.get("finding")), str(reason.get("kind"))
    mean, low, high = (scale * reason[key] for key in ("difference", "low", "high"))
    figures = "+.1f" if scale == 100 else "+.3f"
    unit = f" {words.points}" if scale == 100 else ""
    return Span(
        said(words, str(reason.get("measure"))),
        mean,
        low,
        high,
        f"{mean:{figures}}{unit} [{low:{figures}}, {high:{figures}}]",
        f"{words.kinds.get(kind, kind)} · {words.findings.get(finding, finding)}",
        TONES.get(finding, "calm"),
    )


def rewards(office: Office, session: DashboardSession, number: object, candidate: str, released: str) -> str:
    """How a cycle's judge scored both versions' answers; "" where none did."""
    words = session.words
    if not isinstance(number, int):
        return ""
    found = cycle_records.rewards(office.home, number, candidate, released)
    if found is None:
        return ""
    drawn = histogram(
        [
            (words.before_format.format(version=released), found.before, 5),
            (words.after_format.format(version=candidate), found.after, 0),
        ],
        words.rewards,
        words.rewards_axis_format.format(judge=found.judge),
    )
    differences = [new - old for new, old in zip(found.after, found.before, strict=False)]
    mean = fmean(differences)
    # Of paired differences, by the normal distribution.
    half = Z * stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.inf
    text = words.rewards_format.format(
        before=f"{fmean(found.before):.2f}",
        after=f"{fmean(found.after):.2f}",
        difference=f"{mean:+.2f}",
        low=f"{mean - half:+.2f}",
        high=f"{mean + half:+.2f}",
        count=len(differences),
        judge=found.judge,
    )
    return f'{drawn}<p class="help">{plain(text)}</p>'
