"""Events of the gate, live comparisons, cycles and the rater audit are wholly Chinese in Chinese."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from helpers.chinese_text import english_left
from helpers.fake_dashboard import gate as made_up

from alignment.cycle import rater_audit
from alignment.cycle.candidates import plan_events
from alignment.evaluation import comparison_report, gate
from alignment.evaluation.comparison import ShownShare, VersionComparison
from alignment.evaluation.gate import Evaluation, Measure
from alignment.evaluation.release_policy import CyclePolicy, GatePolicy, LivePolicy
from alignment.live import sequential_test
from assistant.admin.cycle_report import markdown
from assistant.admin.cycle_rule import CandidatePlan, RowCounts
from assistant.events.describe import describe
from assistant.events.event import Event, event_from


def evaluation(version: str, gained: int, lost: int, prompts: int, kind: Any) -> Evaluation:
    values = np.zeros(prompts)
    values[: gained if version == "v2" else 0] = 1
    values[gained : gained + (lost if version == "v1" else 0)] = 1
    names = ["right, thinking"] if kind == "primary" else ["right, thinking", "ends"]
    kinds = ["primary"] if kind == "primary" else ["primary", "guard"]
    return Evaluation(
        version,
        [
            Measure(name, one, {str(n): float(v) for n, v in enumerate(values)})
            for name, one in zip(names, kinds, strict=True)
        ],
    )


@pytest.mark.parametrize(
    ("gained", "lost", "prompts"),
    [(60, 0, 200), (0, 60, 200), (0, 0, 200), (3, 3, 40), (12, 14, 200)],
    ids=["better", "worse", "equal", "too few", "undecided"],
)
@pytest.mark.parametrize("kind", ["primary", "guard"])
def test_every_reason_of_the_gate_is_known_in_chinese(
    gained: int, lost: int, prompts: int, kind: Any
) -> None:
    new, old = (evaluation(version, gained, lost, prompts, kind) for version in ("v2", "v1"))
    decision = gate.decide(new, old, GatePolicy(), 1)
    for event in (decision.event(), *(reason.event for reason in decision.reasons)):
        assert english_left(describe(event, "zh")) == []


@pytest.mark.parametrize("votes", [0, 8, 60])
@pytest.mark.parametrize("liked", ["candidate", "released", "neither"])
def test_every_state_of_a_live_comparison_is_known_in_chinese(votes: int, liked: str) -> None:
    given = [
        sequential_test.ArmVote(
            arm, f"person {number % 30}", 1 if liked in (arm, "neither") else -1, 2 * number + place
        )
        for number in range(votes)
        for place, arm in enumerate(sequential_test.ARMS)
    ]
    assert english_left(describe(sequential_test.follow(given, LivePolicy()).event, "zh")) == []


def test_what_a_cycle_would_do_is_known_in_chinese() -> None:
    for counted in (
        RowCounts(0, 0, 0, 0),
        RowCounts(60, 0, 0, 1),
        RowCounts(400, 0, 0, 5),
        RowCounts(200, 200, 200, 9),
    ):
        for event in plan_events(CandidatePlan(counted, counted), CyclePolicy()):
            assert english_left(describe(event, "zh")) == []


def cast(rater: str, text: str, value: int, at: float) -> rater_audit.CastVote:
    return rater_audit.CastVote(rater, text, value, at)


def test_a_whole_report_is_known_in_chinese() -> None:
    new, old = (evaluation(version, 60, 0, 200, "guard") for version in ("v2", "v1"))
    figures = [
        ShownShare("wins by the reward model v3", 3, 4, 0.3, 0.9, "v3"),
        ShownShare("held-out votes judged as people did (implicit reward)", 3, 4, 0.3, 0.9),
    ]
    compared = VersionComparison(new, old, shown=figures)
    decision = {
        **dataclasses.asdict(gate.decide(new, old, GatePolicy(), 1)),
        "table": comparison_report.table(compared),
        "measures": comparison_report.measures(compared),
        "shares": [share.content() for share in comparison_report.shown_shares(compared)],
    }
    odd = rater_audit.find(
        [cast("person 1", f"text {n}", -1, n) for n in range(60)]
        + [cast(f"person {rater}", f"text {n}", 1, 900 * n) for n in range(60) for rater in (2, 3)]
        + [cast("person 4", f"text {n % 6}", (-1) ** (n // 6), 900 * n) for n in range(60)]
        + [cast(f"person {rater}", f"text {n}", -1, 900 * n) for n in range(20) for rater in (5, 6)],
        {"person 1": (0, 60)},
    )
    odd += rater_audit.find(
        [cast(f"person {n % 9}", f"other {n}", -1 if n % 9 else 1, 900 * n) for n in range(72)]
    )
    assert {one.what for one in odd} == {
        "against the others",
        "against the judges",
        "the other way round",
        "flood",
        "copies",
        "contradicts themselves",
    }
    notes = [
        Event.of("stage_not_run", stage="ppo", why=Event.of("reward_models_missing")),
        Event.of("stage_not_run", stage="dpo", why=Event.of("too_few_pairs", have=0, needed=50, missing=50)),
    ]
    state = {
        "began": "2026-11-25T10:00:16+00:00",
        "released": "v1",
        "new_votes": 96,
        "snapshot": {
            "id": "6422d6452531ab",
            "counts": {"unpaired": 70, "preference": 29, "demonstration": 0, "prompt": 24},
            "left_out": {"prompt": {"repeated": 72}},
        },
        "judges": {"a": "v3", "b": "v4"},
        "suspects": [dataclasses.asdict(one) for one in odd],
        "candidates": [{"stage": "kto", "version": "v2"}],
        "decisions": [decision],
        "notes": [describe(note) for note in notes],
        "note_events": {describe(note): note.content() for note in notes},
        "outcome": {"what": "nothing", "event": Event.of("none_promoted").content()},
        "seconds": {
            "snapshot": 0.5,
            "judges": 84.7,
            "suspects": 10.6,
            "candidates": 2.0,
            "decisions": 1.0,
            "outcome": 0.0,
        },
    }
    for outcome in (
        state["outcome"],
        {"what": "at once", "version": "v2"},
        {"what": "trial", "version": "v2"},
        {"what": "by hand", "version": "v2", "event": Event.of("release_by_hand", version="v2").content()},
    ):
        # As a cycle's state.json holds it.
        read = json.loads(json.dumps({**state, "outcome": outcome}, default=str))
        assert english_left(markdown(1, read, "zh")) == []
        english = markdown(1, read)
        assert "| right, thinking | primary |" in english
        assert "wins by the reward model v3: 75.0 [30.0, 90.0] of 4 (shown only)" in english


def test_the_gates_reasons_on_the_dashboards_test_home_are_the_gates() -> None:
    # The page reads them by these names; a home that is made up otherwise would test nothing.
    names = {field.name for field in dataclasses.fields(gate.Reason)}
    for reason in made_up("promote", "v2", "v1", 1)["reasons"]:
        assert reason.keys() == names
        event = event_from(reason["event"])
        assert event is not None and english_left(describe(event, "zh")) == []


def test_the_report_of_an_older_home_shows_its_texts_as_they_are() -> None:
    state = {
        "began": "2026-11-25T10:00:16+00:00",
        "released": "v1",
        "suspects": [{"rater": "`eve`", "what": "flood", "text": "gave 20 votes"}],
        "decisions": [
            {
                "candidate": "v2",
                "released": "v1",
                "verdict": "hold",
                "looks": 1,
                "table": "measure  kind",
                "reasons": [{"text": "ends (guard): fine"}],
            }
        ],
        "notes": ["no dpo: 0 of 50 pairs; 50 more are needed"],
        "outcome": {"what": "nothing", "why": "no candidate was promoted"},
    }
    report = markdown(3, state, "zh")
    for text in (
        "没有发布新版本：no candidate was promoted",
        "`'eve'`：评价过多：gave 20 votes",
        "```\nmeasure  kind\n```",
        "- ends (guard): fine",
        "- no dpo: 0 of 50 pairs",
    ):
        assert text in report


def test_a_report_is_made_of_any_state() -> None:
    assert markdown(3, {}).startswith("# Cycle 3\n")
