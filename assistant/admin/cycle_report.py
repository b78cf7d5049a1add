"""The report of a cycle as Markdown, in English or Chinese, made from the cycle's state.

A cycle writes the English one to report.md; the dashboard shows the one in the page's language.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from assistant.admin.plain_words import in_words
from assistant.events.describe import describe, describe_stored, term
from assistant.events.event import Event, event_from, text_event

State = Mapping[str, Any]


def outcome_event(number: int, state: State) -> Event:
    """The outcome of a cycle as an event. An unknown outcome becomes a text event."""
    outcome = state.get("outcome") or {}
    version = str(outcome.get("version", ""))
    why = event_from(outcome.get("event")) or text_event(str(outcome.get("why", "")))
    match outcome.get("what"):
        case "nothing":
            return Event.of("cycle_nothing_released", number=number, why=why)
        case "at once":
            return Event.of("cycle_released", number=number, version=version)
        case "trial":
            return Event.of("cycle_began_live_comparison", number=number, version=version)
        case "by hand":
            return Event.of("cycle_waits_for_release", number=number, version=version, why=why)
        case "discarded":
            return Event.of("cycle_discarded", number=number, why=why)
    return text_event(str(outcome.get("what", "")))


def row_counts(counts: Mapping[str, int]) -> list[Event]:
    """One event per kind of row, with its count."""
    return [Event.of("row_count", count=count, rows=kind) for kind, count in counts.items()]


def note_texts(state: State, language: str = "en") -> list[str]:
    """The notes of a cycle. Notes that an older release stored without an event stay in English."""
    events = state.get("note_events") or {}
    return [
        describe_stored({"text": note, "event": events.get(note)}, "text", language)
        for note in map(str, state.get("notes") or [])
    ]


def judge_texts(state: State, language: str = "en") -> list[str]:
    """How well each judge judged what it had not seen, and whether they decide."""
    texts = []
    for known in state.get("judge_measures") or []:
        if not known["of"]:
            event = Event.of("judge_unmeasured", version=known["version"])
        else:
            event = Event.of(
                "report_judge",
                version=known["version"],
                right=known["right"],
                of=known["of"],
                low=known["low"],
                high=known["high"],
                longer=known["length_right"],
            )
        texts.append(describe(event, language))
    if (together := state.get("judges_together")) is not None:
        verdict = Event.of("judges_are_sure" if together["sure"] else "judges_are_not_sure")
        texts.append(describe(Event.of("judges_together", verdict=verdict), language))
    return texts


def failure_texts(state: State, language: str = "en") -> list[str]:
    """When and where a cycle failed, and why."""
    return [
        describe(
            Event.of(
                "report_failure",
                at=failure.get("at", "?"),
                step=failure.get("step", "?"),
                why=event_from(failure.get("event")) or text_event("?"),
            ),
            language,
        )
        for failure in state.get("failures") or []
        if isinstance(failure, Mapping)
    ]


def markdown(number: int, state: State, language: str = "en", *, plots: bool = False) -> str:
    """Render the report. With `plots`, link the plots stored next to it."""

    def text(code: str, **params: Any) -> str:
        return describe(Event.of(code, **params), language)

    snapshot = state.get("snapshot") or {}
    lines = [
        "# " + text("report_title", number=number),
        "",
        f"**{describe(outcome_event(number, state), language)}**",
        "",
        text(
            "report_summary",
            began=state.get("began", "?"),
            released=state.get("released", "?"),
            votes=str(state.get("new_votes", "?")),
            snapshot=str(snapshot.get("id", "?"))[:12],
            rows=row_counts(snapshot.get("counts") or {}),
        ),
        "",
    ]
    rules = [
        Event.of("report_left_out_rule", count=count, rows=rows, rule=rule)
        for rows, by_rule in (snapshot.get("left_out") or {}).items()
        for rule, count in by_rule.items()
    ]
    if rules:
        lines += [text("report_left_out", rules=rules), ""]
    lines += ["## " + text("report_raters"), ""]
    suspects = state.get("suspects") or []
    lines += [f"- {text('report_rater', **_suspect(suspect, language))}" for suspect in suspects] or [
        text("report_no_raters")
    ]
    models = [
        Event.of("report_reward_model", version=version, half=half)
        for half, version in (state.get("judges") or {}).items()
    ]
    if models:
        lines += ["", text("report_reward_models", models=models)]
    lines += [f"- {judge}" for judge in judge_texts(state, language)]
    stages = {record.get("version"): record.get("stage", "?") for record in state.get("candidates") or []}
    for decision in state.get("decisions") or []:
        lines += _decision(decision, str(stages.get(decision.get("candidate"), "?")), language, plots)
    if notes := note_texts(state, language):
        lines += ["", "## " + text("report_not_done"), "", *(f"- {note}" for note in notes)]
    if failed := failure_texts(state, language):
        lines += ["", "## " + text("report_failures"), "", *(f"- {_inline(failure)}" for failure in failed)]
    steps = [
        Event.of("report_step_seconds", step=step, seconds=seconds)
        for step, seconds in (state.get("seconds") or {}).items()
    ]
    if steps:
        lines += ["", text("report_seconds", steps=steps)]
    return "\n".join([*lines, ""])


def _suspect(suspect: Mapping[str, Any], language: str) -> dict[str, Any]:
    # Rater names are data, not Markdown; a reason may contain one too.
    return {
        "rater": _inline(str(suspect.get("rater", "?"))),
        "finding": suspect.get("what", ""),
        "reason": text_event(_inline(describe_stored(suspect, "text", language))),
    }


def _inline(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")


def _decision(decision: Mapping[str, Any], stage: str, language: str, plots: bool) -> list[str]:
    """The gate's verdict on a candidate: the table of measures and the reasons."""
    candidate, released = str(decision.get("candidate", "?")), str(decision.get("released", "?"))
    title = Event.of(
        "report_candidate", candidate=candidate, stage=stage, verdict=decision.get("verdict", "?")
    )
    look = Event.of("report_look", look=decision.get("looks", "?"), released=released)
    lines = ["", f"## {describe(title, language)}", ""]
    if "measures" in decision:
        lines += _table(decision["measures"], candidate, released, language)
        shares = [event_from(share) for share in decision.get("shares") or []]
        lines += [line for share in shares if share for line in ("", describe(share, language))]
    elif "table" in decision:
        # Older releases stored the table as text only.
        lines += ["```", str(decision["table"]), "```"]
    if decision.get("reasons"):
        lines = [*lines[:3], describe(in_words(decision), language), "", *lines[3:]]
    lines += ["", describe(look, language), ""]
    lines += [f"- {describe_stored(reason, 'text', language)}" for reason in decision.get("reasons") or []]
    if plots:
        lines += ["", f"![The differences]({candidate}-against-{released}.png)"]
    return lines


def _table(measures: Sequence[Mapping[str, Any]], candidate: str, released: str, language: str) -> list[str]:
    def heading(name: str) -> str:
        return describe(Event.of(f"report_{name}_column"), language)

    columns = [
        heading("measure"),
        heading("kind"),
        released,
        candidate,
        *map(heading, ("difference", "interval", "gained", "lost", "prompts")),
    ]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for row in measures:
        cells = [
            term("measure", row["measure"], language),
            term("kind", row["kind"], language),
            *measure_cells(row),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def measure_cells(row: Mapping[str, Any]) -> list[str]:
    """A measure's numbers: both versions, the difference, its interval, gained and lost prompts, prompts."""
    points = row["unit"] == "points"

    def value(number: float) -> str:
        return f"{100 * number:.1f}" if points else f"{number:.3g}"

    def signed(number: float) -> str:
        return f"{100 * number:+.1f}" if points else f"{number:+.3g}"

    return [
        value(row["released"]),
        value(row["candidate"]),
        signed(row["difference"]),
        f"[{signed(row['low'])}, {signed(row['high'])}]",
        str(row["gained"]),
        str(row["lost"]),
        str(row["prompts"]),
    ]
