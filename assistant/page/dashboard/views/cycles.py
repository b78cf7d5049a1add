"""The view of cycles: what each did, why the gate decided as it did, and the rewards before and after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from markupsafe import Markup

from assistant.admin import cycle_records, cycle_report
from assistant.admin.cycle_records import Probe
from assistant.admin.cycle_report import failure_texts, note_texts
from assistant.admin.services import AdminServices
from assistant.events.describe import describe, describe_stored, term
from assistant.missing_packages import TRAINING, missing
from assistant.page.dashboard.views.charts import Interval, histogram, interval_chart
from assistant.page.dashboard.views.formatting import moment
from assistant.page.i18n.dashboard_languages import DashboardTexts
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.markdown import markdown
from assistant.page.views.templates import render
from feedback_store.stats.intervals import Z

SHOWN = 12
"""Cycles in the list, the newest."""
FINDING_TONES = {"better": "good", "not worse": "good", "worse": "bad"}
VERDICT_TONES = {"promote": "good", "reject": "bad"}

IN_NATS = ("surprise at fixed texts", "surprise at liked replies", "KL on fixed texts")

Gate = dict[str, Any]
"""A decision of the gate as a manifest or a cycle's state holds it."""


def view(services: AdminServices, session: DashboardSession) -> Markup:
    """Buttons that run or plan a cycle, the plan if it was asked for, and the newest cycles."""
    texts = session.texts
    return render(
        "dashboard/cycles.html",
        texts=texts,
        missing_packages=", ".join(missing(TRAINING)),
        running=services.actions.runner.running() is not None,
        plan="\n".join(describe(event, texts.code) for event in session.plan),
        cycles=[_cycle(services, session, cycle) for cycle in cycle_records.cycles(services.home)[:SHOWN]],
    )


def outcome(texts: DashboardTexts, cycle: cycle_records.Cycle) -> str:
    """How a cycle ended, in a few words."""
    if not cycle.ended:
        return texts.unfinished
    result = cycle.state.get("outcome") or {}
    text = texts.outcomes.get(str(result.get("what")), str(result.get("what")))
    return text.format(version=result.get("version", ""))


def _cycle(services: AdminServices, session: DashboardSession, cycle: cycle_records.Cycle) -> dict[str, Any]:
    texts, state = session.texts, cycle.state
    facts = [moment(texts, state.get("began", ""))]
    if "new_votes" in state:
        facts.append(texts.new_votes_format.format(count=state["new_votes"]))
    report = cycle_report.markdown(cycle.number, state, texts.code) if cycle.ended else ""
    return {
        "number": cycle.number,
        "ended": cycle.ended,
        "outcome": outcome(texts, cycle),
        # Of a cycle that went on to its end, the report alone tells what failed on the way.
        "failures": [] if cycle.ended and not _discarded(state) else _failures(texts, state),
        "facts": " · ".join(facts),
        "decisions": [_decision(services, session, cycle.number, gate) for gate in cycle.decisions],
        "notes": note_texts(state, texts.code),
        "report": markdown(report),
    }


def _failures(texts: DashboardTexts, state: dict[str, Any]) -> list[str]:
    failures = [failure for failure in state.get("failures") or [] if isinstance(failure, dict)]
    dated = [{**failure, "at": moment(texts, str(failure.get("at", "")))} for failure in failures]
    return failure_texts({"failures": dated}, texts.code)


def _discarded(state: dict[str, Any]) -> bool:
    return (state.get("outcome") or {}).get("what") == "discarded"


def _decision(services: AdminServices, session: DashboardSession, number: int, gate: Gate) -> dict[str, Any]:
    candidate, verdict = str(gate.get("candidate")), str(gate.get("verdict"))
    return {
        "probes": probes(
            session.texts,
            cycle_records.probes(services.home, number, candidate),
            candidate,
            str(gate.get("released")),
        ),
        "candidate": candidate,
        "verdict": session.texts.verdicts.get(verdict, verdict),
        "tone": VERDICT_TONES.get(verdict, "calm"),
        "reasons": gate_decision(session.texts, gate),
        "rewards": rewards(services, session, number, candidate, str(gate.get("released"))),
    }


def gate_decision(texts: DashboardTexts, gate: Gate) -> Markup:
    """The gate's reasons: every measure with its interval.

    Measures of right or wrong answers share one scale, in percentage points. Each of the others has a unit and so
    a scale of its own.
    """
    verdict = str(gate.get("verdict"))
    summary = texts.gate_format.format(
        verdict=texts.verdicts.get(verdict, verdict),
        looks=gate.get("looks", "?"),
        released=gate.get("released", "?"),
    )
    reasons = [reason for reason in gate.get("reasons") or [] if isinstance(reason, dict)]
    measured = [
        reason
        for reason in reasons
        if all(_is_number(reason.get(key)) for key in ("difference", "low", "high"))
    ]
    charts = []
    if shares := [reason for reason in measured if _in_points(reason)]:
        reach = 100 * max(map(_reach, shares)) or 10
        charts.append(interval_chart([_interval(texts, reason, 100) for reason in shares], 0, -reach, reach))
    for reason in measured:
        if not _in_points(reason):
            reach = _reach(reason) or 1
            charts.append(interval_chart([_interval(texts, reason, 1)], 0, -reach, reach))
    return render(
        "dashboard/gate_decision.html",
        texts=texts,
        summary=summary,
        charts=charts,
        reasons=[describe_stored(reason, "text", texts.code) for reason in reasons],
    )


def _in_points(reason: dict[str, Any]) -> bool:
    """Whether a measure is one of right or wrong answers, so that its values are shown in points."""
    # A gate of release 0.1.0 kept no unit; only these measures were in nats.
    return reason.get("unit", "" if reason.get("measure") in IN_NATS else "points") == "points"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _reach(reason: dict[str, Any]) -> float:
    """How far from 0 a measure's interval and its margin reach."""
    return max(abs(reason[key]) for key in ("low", "high", "margin") if _is_number(reason.get(key)))


def _interval(texts: DashboardTexts, reason: dict[str, Any], scale: int) -> Interval:
    finding, kind = str(reason.get("finding")), str(reason.get("kind"))
    margin = scale * reason["margin"] if _is_number(reason.get("margin")) else None
    mean, low, high = (scale * reason[key] for key in ("difference", "low", "high"))
    digits = "+.1f" if scale == 100 else "+.3f"
    unit = f" {texts.points}" if scale == 100 else ""
    rule = texts.kinds.get(kind, kind)
    if margin is not None:
        rule = texts.guard_format.format(margin=f"{margin:{digits.removeprefix('+')}}{unit}")
    return Interval(
        term("measure", str(reason.get("measure")), texts.code),
        mean,
        low,
        high,
        f"{mean:{digits}}{unit} [{low:{digits}}, {high:{digits}}]",
        f"{rule} · {texts.findings.get(finding, finding)}",
        FINDING_TONES.get(finding, "calm"),
        None if margin is None else -margin,
    )


def probes(
    texts: DashboardTexts, asked: Sequence[Probe], candidate: str, released: str, level: int = 4
) -> Markup:
    """What became of people's corrections: how many hold, and both versions' answers, lost ones first.

    `level`: of its heading.
    """
    if not asked:
        return Markup()
    states = {
        (True, False): ("lost", "bad"),
        (False, False): ("wrong", "calm"),
        (False, True): ("fixed", "good"),
        (True, True): ("held", "good"),
    }
    order = list(states)
    found = sorted(asked, key=lambda probe: order.index((probe.held_before, probe.holds)))
    return render(
        "dashboard/probes.html",
        texts=texts,
        level=level,
        summary=texts.probes_format.format(
            version=candidate,
            holding=sum(probe.holds for probe in found),
            count=len(found),
            released=released,
            before=sum(probe.held_before for probe in found),
            lost=sum(probe.held_before and not probe.holds for probe in found),
        ),
        columns=[
            texts.probe_asked,
            texts.probe_correction,
            texts.before_format.format(version=released),
            texts.after_format.format(version=candidate),
        ],
        probes=[
            (probe, texts.probe_states[name], tone)
            for probe in found
            for name, tone in [states[probe.held_before, probe.holds]]
        ],
    )


def rewards(
    services: AdminServices, session: DashboardSession, number: object, candidate: str, released: str
) -> Markup:
    """How the reward model of cycle `number` scored both versions' answers; empty where none did."""
    texts = session.texts
    scores = (
        cycle_records.rewards(services.home, number, candidate, released) if isinstance(number, int) else None
    )
    if scores is None:
        return Markup()
    chart = histogram(
        [
            (texts.before_format.format(version=released), scores.before, 5),
            (texts.after_format.format(version=candidate), scores.after, 0),
        ],
        texts.rewards,
        texts.rewards_axis_format.format(judge=scores.judge),
    )
    differences = [after - before for after, before in zip(scores.after, scores.before, strict=False)]
    mean = fmean(differences)
    # The interval of a mean of paired differences, by the normal distribution.
    half = Z * stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.inf
    summary = texts.rewards_format.format(
        before=f"{fmean(scores.before):.2f}",
        after=f"{fmean(scores.after):.2f}",
        difference=f"{mean:+.2f}",
        low=f"{mean - half:+.2f}",
        high=f"{mean + half:+.2f}",
        count=len(differences),
        judge=scores.judge,
    )
    return render("dashboard/rewards.html", chart=chart, summary=summary)
