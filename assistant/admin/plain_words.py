"""A gate's decision in one paragraph of plain words: what got better, what got worse, and how sure that is."""

from collections.abc import Mapping
from typing import Any

from assistant.events.event import Event, event_from

MOST_TO_ONE = 1_000_000
"""Longer odds are told as these."""

Reason = Mapping[str, Any]


def in_words(decision: Mapping[str, Any]) -> Event:
    """The paragraph of a decision, as a manifest or a cycle's state holds it. Damaged reasons are left out."""
    reasons = [reason for reason in decision.get("reasons") or [] if _is_whole(reason)]

    def those(*findings: str) -> list[Reason]:
        return [reason for reason in reasons if reason["finding"] in findings]

    better, worse = those("better"), those("worse")
    # A guard may be better too: that decides nothing, but whoever reads what became better wants to know.
    kept_better = [reason for reason in those("not worse") if reason["low"] > 0]
    same = [reason for reason in those("not worse") if reason["low"] <= 0]
    unknown = [reason for reason in those("undecided") if reason["kind"] == "guard" or not better]
    return Event.of(
        "in_words",
        candidate=str(decision.get("candidate", "?")),
        released=str(decision.get("released", "?")),
        better=[
            *(_better(reason) for reason in better),
            *(
                _between("words_guard_better", reason, difference=reason["difference"])
                for reason in kept_better
            ),
        ],
        worse=[_between("words_worse", reason, difference=reason["difference"]) for reason in worse],
        same=[Event.of("words_same", measure=reason["measure"]) for reason in same],
        unknown=[
            *(_between("words_unknown", reason) for reason in unknown),
            *(_too_few(reason) for reason in those("too few prompts")),
        ],
        so=_conclusion(str(decision.get("verdict")), bool(better)),
    )


def _better(reason: Reason) -> Event:
    p = reason.get("p") or 1 / MOST_TO_ONE
    one_in = min(MOST_TO_ONE, round(1 / p))
    if reason.get("unit") == "points":
        counts = {name: reason[name] for name in ("gained", "lost", "prompts")}
        return Event.of("words_better", measure=reason["measure"], one_in=one_in, **counts)
    return Event.of(
        "words_better_by",
        measure=reason["measure"],
        difference=reason["difference"],
        unit=reason.get("unit", ""),
        one_in=one_in,
    )


def _between(code: str, reason: Reason, **more: Any) -> Event:
    ends = {"low": reason["low"], "high": reason["high"], "unit": reason.get("unit", "")}
    return Event.of(code, measure=reason["measure"], **ends, **more)


def _too_few(reason: Reason) -> Event:
    event = event_from(reason.get("event"))
    finding = event_from(event.params.get("finding")) if event else None
    needed = finding.params.get("needed", 0) if finding else 0
    return Event.of("words_too_few", measure=reason["measure"], prompts=reason["prompts"], needed=needed)


def _conclusion(verdict: str, better: bool) -> Event:
    if verdict == "promote":
        return Event.of("words_promote")
    if verdict == "reject":
        return Event.of("words_reject")
    return Event.of("words_hold_not_safe" if better else "words_hold_not_better")


def _is_whole(reason: object) -> bool:
    keys = ("measure", "kind", "finding", "difference", "low", "high", "gained", "lost", "prompts")
    return isinstance(reason, Mapping) and all(key in reason for key in keys)
