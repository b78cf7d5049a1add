"""The schema of events: every code, its parameters and their types, and one line of JSON an event.

Processes exchange events, homes store them, and a text is made from one only where a person reads it (`describe`).
Standard library only: the app, the training commands and the version registry all import this module.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ParameterType = Literal[
    "text",  # shown as it is: an id, a path, a person's name, a library's message
    "texts",  # a list of such texts
    "count",  # a whole number
    "number",
    "event",
    "events",
    # Terms: identifiers of a closed set, translated by `TERMS` of a language; one that is not in it is shown as it is.
    "finding",
    "kind",
    "measure",
    "plain",
    "rows",
    "stage",
    "step",
    "thumb",
    "unit",
    "verdict",
    "whom",
]
TERM_TYPES = (
    "finding",
    "kind",
    "measure",
    "plain",
    "rows",
    "stage",
    "step",
    "thumb",
    "unit",
    "verdict",
    "whom",
)

_COMPARED: dict[str, ParameterType] = {"candidate": "text", "released": "text"}
_ERROR_AT: dict[str, ParameterType] = {"path": "text", "error": "text"}
_EVIDENCE: dict[str, ParameterType] = {
    "prompts": "count",
    "needed_prompts": "count",
    "corrections": "count",
    "needed_corrections": "count",
    "judgements": "count",
    "needed_judgements": "count",
}
_ARM: dict[str, ParameterType] = {
    "up": "count",
    "votes": "count",
    "raters": "count",
    "released_up": "count",
    "released_votes": "count",
    "released_raters": "count",
    "finding": "event",
}

CODES: dict[str, dict[str, ParameterType]] = {
    # Any text: a line of output that is no event, or a sentence that an older home stored without a code.
    "text": {"text": "text"},
    # Errors without a code of their own. `kind`: the name of the exception's class.
    "error": {"kind": "text", "text": "text"},
    "unexpected": {"kind": "text", "text": "text"},
    "disk_full": {},
    "out_of_memory": {},
    # Versions
    "version_id": {"version": "text"},
    "version_unknown": {"version": "text", "home": "text", "known": "texts"},
    "released_version_unknown": {"version": "text", "home": "text", "known": "texts"},
    "version_damaged": {"version": "text", "home": "text", "why": "event"},
    "manifest_unreadable": {"error": "text"},
    "manifest_of_another": {"version": "text"},
    "file_unreadable": _ERROR_AT,
    "file_changed": {"path": "text"},
    "reward_model_released": {"version": "text"},
    "no_earlier_release": {},
    "release_pointer_unreadable": _ERROR_AT,
    "exported": {"version": "text", "path": "text", "megabytes": "number"},
    "pushed": {"version": "text", "url": "text"},
    # Reasons in the history of releases
    "first_version": {},
    "released_by": {"who": "text", "why": "text"},
    "rolled_back": {"version": "text"},
    "rolled_back_by": {"version": "text", "who": "text", "why": "text"},
    "released_by_cycle": {"number": "count", "released": "text"},
    "released_by_live_comparison": {"released": "text", "outcome": "event"},
    # Admin actions and the commands that they start
    "audit_unwritable": _ERROR_AT,
    "command_not_ended": {"command": "text", "error": "text"},
    "command_failed": {"command": "text", "error": "text"},
    "packages_missing": {"packages": "texts"},
    "cycle_running": {},
    # Gate
    "gate_decision": {**_COMPARED, "verdict": "verdict", "look": "count"},
    "gate_reason": {
        "measure": "measure",
        "kind": "kind",
        "difference": "number",
        "low": "number",
        "high": "number",
        "unit": "unit",
        "prompts": "count",
        "gained": "count",
        "lost": "count",
        "finding": "event",
    },
    "measure_better": {"p": "number", "level": "number"},
    "measure_not_shown_better": {"p": "number", "level": "number"},
    "measure_worse": {},
    "guard_not_worse": {"margin": "number", "unit": "unit"},
    "guard_worse": {"margin": "number", "unit": "unit"},
    "guard_undecided": {"margin": "number", "unit": "unit"},
    "too_few_prompts": {"needed": "count"},
    "gate_at_first_look": {"decision": "event", "reasons": "events"},
    "corrections_asked_again": {
        **_COMPARED,
        **dict.fromkeys(("count", "holding", "before", "fixed", "lost", "wrong"), "count"),
    },
    "wordings_unused": {"count": "count", "of": "count", "prompt": "text"},
    # Live comparison
    "live_started": {**_COMPARED, "share": "number"},
    "live_under_way": {**_COMPARED, "outcome": "event"},
    "live_ended": {**_COMPARED, "verdict": "verdict", "why": "event"},
    "live_none": {},
    "live_outcome": {"difference": "number", "low": "number", "high": "number", **_ARM},
    "live_outcome_unknown": _ARM,
    "live_too_little": {"missing": "events"},
    "candidate_lacks_votes": {"have": "count", "needed": "count"},
    "candidate_lacks_raters": {"have": "count", "needed": "count"},
    "released_lacks_votes": {"have": "count", "needed": "count"},
    "released_lacks_raters": {"have": "count", "needed": "count"},
    "candidate_liked_more": {},
    "candidate_liked_less": {},
    "decided_by_one_rater": {},
    "live_undecided": {},
    "live_clock_behind": {"outcome": "event", "started": "text"},
    "candidate_is_released": {"version": "text"},
    "other_version_released": {"version": "text"},
    "version_gone": {"version": "text"},
    "live_stopped": {},
    "live_already_under_way": _COMPARED,
    "live_nothing_released": {"candidate": "text"},
    "live_same_version": {"candidate": "text"},
    "live_not_promoted": _COMPARED,
    "live_share_impossible": {"share": "number"},
    "live_file_unreadable": _ERROR_AT,
    # Cycle
    "cycle_too_little_feedback": {"votes": "count", "needed": "count", "missing": "count"},
    "cycle_nothing_to_train": {"votes": "count", "lacks": "events"},
    "cycle_waits_for_live_comparison": {},
    "cycle_continues": {"number": "count"},
    "cycle_snapshot": {"snapshot": "text", "rows": "events"},
    "cycle_own_snapshot": {"snapshot": "text", "version": "text", "rows": "events"},
    "row_count": {"count": "count", "rows": "rows"},
    "cycle_stage_begins": {"number": "count", "stage": "stage", "version": "text"},
    "cycle_report_written": {"path": "text"},
    "cycle_nothing_released": {"number": "count", "why": "event"},
    "cycle_released": {"number": "count", "version": "text"},
    "cycle_began_live_comparison": {"number": "count", "version": "text"},
    "cycle_waits_for_release": {"number": "count", "version": "text", "why": "event"},
    "cycle_cannot_go_on": {"number": "count", "why": "event"},
    "cycle_given_up": {"number": "count", "count": "count", "why": "event"},
    "cycle_run_killed": {},
    "cycle_discarded": {"number": "count", "why": "event"},
    "cycle_nothing_to_discard": {},
    "discarded_by_hand": {},
    "discarded_snapshot_gone": {"why": "event"},
    "discarded_after_failures": {"count": "count", "why": "event"},
    "cycle_locked": {"pid": "count", "host": "text", "path": "text"},
    "cycle_lock_contested": {"path": "text"},
    "cycle_state_unreadable": _ERROR_AT,
    "gate_already_decided": {"version": "text"},
    "none_promoted": {},
    "none_promoted_but_left": {},
    "left_to_people": {"version": "text"},
    "released_meanwhile": {"other": "text", "version": "text", "released": "text"},
    "release_by_hand": {"version": "text"},
    # Notes of a cycle: what it left out, and why
    "no_reward_models": {"why": "event"},
    "stage_not_run": {"stage": "stage", "why": "event"},
    "too_few_pairs": {"have": "count", "needed": "count", "missing": "count"},
    "too_few_corrections": {"have": "count", "needed": "count", "missing": "count"},
    "too_few_thumbs": {"have": "count", "needed": "count", "missing": "count"},
    "too_few_judgements": {"have": "count", "needed": "count", "missing": "count"},
    "thumbs_all_alike": {"count": "count", "thumb": "thumb"},
    "judgements_all_alike": {},
    "reward_models_missing": {},
    "reward_model_too_weak": {"version": "text", "accuracy": "number", "needed": "number"},
    "reward_model_gone": {"version": "text"},
    "candidate_gone": {"version": "text"},
    "candidate_not_compared": {"version": "text", "why": "event"},
    "raters_not_judged": {"why": "event"},
    "judge_not_measured": {"version": "text", "why": "event"},
    "nothing_can_decide": {},
    "prompts_not_asked": {"count": "count", "of": "count", "prompts": "events"},
    "prompt_not_asked": {"prompt": "text", "why": "event"},
    "and_more": {"count": "count"},
    "prompt_too_long": {"tokens": "count", "most": "count"},
    "prompt_empty": {},
    "prompt_refused": {"error": "event"},
    "held_out_votes_too_long": {"count": "count", "of": "count"},
    "held_out_votes_refused": {"count": "count", "of": "count"},
    # Dry run of a cycle
    "plan_no_version": {"home": "text"},
    "plan_continues": {"number": "count", "steps": "events"},
    "step_done": {"step": "step"},
    "plan_votes": {"votes": "count", "needed": "count"},
    "plan_rows": {"up": "count", "down": "count", "pairs": "count"},
    "plan_stage_runs": {"stage": "stage"},
    "plan_stage_lacks": {"stage": "stage", "why": "event"},
    "plan_ppo": {"needed": "number"},
    "plan_wrote_nothing": {},
    "could_decide": {"means": "events"},
    "means_suite": {},
    "means_starter_tasks": {},
    "means_corrections": {"count": "count"},
    "means_held_out_votes": {"count": "count"},
    "means_reward_models": {},
    "nothing_could_decide": _EVIDENCE,
    "people_would_decide": _EVIDENCE,
    # Rater audit
    "rater_suspect": {"rater": "text", "finding": "finding", "reason": "event"},
    "rater_disagrees": {"whom": "whom", "right": "count", "of": "count", "p": "number"},
    "rater_flood": {"reasons": "events"},
    "rater_reversed": {"up": "count", "of": "count", "share": "number"},
    "rater_share": {"count": "count", "of": "count", "share": "number", "raters": "count"},
    "rater_burst": {"count": "count", "seconds": "count"},
    "rater_repeats": {"count": "count"},
    "rater_copies": {"rater": "text", "count": "count", "odd": "count"},
    "rater_contradicts": {"both": "count", "again": "count"},
    # Report of a cycle
    "report_title": {"number": "count"},
    "report_summary": {
        "began": "text",
        "released": "text",
        "votes": "text",
        "snapshot": "text",
        "rows": "events",
    },
    "report_left_out": {"rules": "events"},
    "report_left_out_rule": {"count": "count", "rows": "rows", "rule": "text"},
    "report_raters": {},
    "report_no_raters": {},
    "report_rater": {"rater": "text", "finding": "finding", "reason": "event"},
    "report_reward_models": {"models": "events"},
    "report_reward_model": {"version": "text", "half": "text"},
    "report_judge": {
        "version": "text",
        "right": "count",
        "of": "count",
        "low": "number",
        "high": "number",
        "longer": "count",
    },
    "judges_together": {"verdict": "event"},
    "judge_unmeasured": {"version": "text"},
    "judges_are_sure": {},
    "judges_are_not_sure": {},
    "in_words": {
        **_COMPARED,
        "better": "events",
        "worse": "events",
        "same": "events",
        "unknown": "events",
        "so": "event",
    },
    "words_better": {
        "measure": "plain",
        "gained": "count",
        "lost": "count",
        "prompts": "count",
        "one_in": "count",
    },
    "words_better_by": {"measure": "plain", "difference": "number", "unit": "unit", "one_in": "count"},
    "words_guard_better": {
        "measure": "plain",
        "difference": "number",
        "low": "number",
        "high": "number",
        "unit": "unit",
    },
    "words_worse": {
        "measure": "plain",
        "difference": "number",
        "low": "number",
        "high": "number",
        "unit": "unit",
    },
    "words_same": {"measure": "plain"},
    "words_unknown": {"measure": "plain", "low": "number", "high": "number", "unit": "unit"},
    "words_too_few": {"measure": "plain", "prompts": "count", "needed": "count"},
    "words_promote": {},
    "words_reject": {},
    "words_hold_not_better": {},
    "words_hold_not_safe": {},
    "report_candidate": {"candidate": "text", "stage": "stage", "verdict": "verdict"},
    "report_measure_column": {},
    "report_kind_column": {},
    "report_difference_column": {},
    "report_interval_column": {},
    "report_gained_column": {},
    "report_lost_column": {},
    "report_prompts_column": {},
    "report_share": {"measure": "measure", "share": "number", "low": "number", "high": "number", "of": "count"},
    "report_reward_model_share": {
        "version": "text",
        "share": "number",
        "low": "number",
        "high": "number",
        "of": "count",
    },
    "report_look": {"look": "count", "released": "text"},
    "report_not_done": {},
    "report_failures": {},
    "report_failure": {"at": "text", "step": "step", "why": "event"},
    "report_seconds": {"steps": "events"},
    "report_step_seconds": {"step": "step", "seconds": "number"},
}  # fmt: skip
"""By code: its parameters with their types."""


@dataclass(frozen=True)
class Event:
    """What happened, as data. An event that was read may have a code or parameters that this release does not know."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)
    """Values as JSON holds them; an event within an event may also be an `Event`."""
    time: str | None = None
    """UTC, ISO 8601; None where it was not written down."""

    @classmethod
    def of(cls, code: str, /, **params: Any) -> "Event":
        """An event of a known code. Raises ValueError if the parameters are not those of `CODES`."""
        if code not in CODES or params.keys() != CODES[code].keys():
            raise ValueError(f"no event {code} with parameters {', '.join(params) or 'none'}")
        return cls(code, params)

    def content(self) -> dict[str, Any]:
        """The event as JSON holds it."""
        params = {name: _content(value) for name, value in self.params.items()}
        timed = {} if self.time is None else {"time": self.time}
        return {"code": self.code, "params": params, **timed}

    def line(self) -> str:
        """One line of JSON, without its line break."""
        return json.dumps(self.content(), ensure_ascii=False)


def text_event(text: str) -> Event:
    """An event that is shown as `text` in every language."""
    return Event.of("text", text=text)


def event_from(content: object) -> Event | None:
    """The event that JSON holds, or an `Event` itself; None for anything else."""
    if isinstance(content, Event):
        return content
    if not isinstance(content, Mapping):
        return None
    code, params, time = content.get("code"), content.get("params"), content.get("time")
    if not isinstance(code, str) or not isinstance(params, Mapping):
        return None
    return Event(code, params, time if isinstance(time, str) else None)


def event_from_line(line: str) -> Event:
    """The event in a line of JSON; a line that holds none, or is damaged, becomes a `text` event."""
    try:
        event = event_from(json.loads(line))
    except (ValueError, RecursionError):
        event = None
    return text_event(line) if event is None else event


def _content(value: Any) -> Any:
    if isinstance(value, Event):
        return value.content()
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return [_content(item) for item in value]
    return value
