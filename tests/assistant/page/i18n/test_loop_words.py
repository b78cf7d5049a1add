"""What the loop says in English is known in Chinese: the sentences come from the loop itself, not from a copy."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from helpers.chinese_text import english_left
from helpers.fake_dashboard import gate as made_up

from alignment.cycle import rater_audit
from alignment.cycle.candidates import Counted, Plan
from alignment.cycle.cycle_report import markdown
from alignment.cycle.cycle_state import Journal
from alignment.evaluation import comparison_report, gate
from alignment.evaluation.comparison import ShownShare, VersionComparison
from alignment.evaluation.gate import Evaluation, Measure
from alignment.evaluation.release_policy import CyclePolicy, GatePolicy, LivePolicy
from alignment.live import sequential_test
from assistant.page.i18n.loop_chinese import SENTENCES, in_chinese, report_in_chinese


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
    for line in gate.decide(new, old, GatePolicy(), 1).text().splitlines():
        assert english_left(report_in_chinese(line)) == []


@pytest.mark.parametrize("votes", [0, 8, 60])
@pytest.mark.parametrize("liked", ["candidate", "released", "neither"])
def test_every_state_of_a_live_comparison_is_known_in_chinese(votes: int, liked: str) -> None:
    given = [
        sequential_test.Vote(
            arm, f"person {number % 30}", 1 if liked in (arm, "neither") else -1, 2 * number + place
        )
        for number in range(votes)
        for place, arm in enumerate(sequential_test.ARMS)
    ]
    assert english_left(in_chinese(sequential_test.follow(given, LivePolicy()).text)) == []


def test_what_a_cycle_would_do_is_known_in_chinese() -> None:
    for counted in (Counted(0, 0, 0), Counted(60, 0, 0), Counted(400, 0, 0), Counted(200, 200, 200)):
        for line in Plan(counted, counted).words(CyclePolicy()):
            assert english_left(in_chinese(line)) == []


def cast(rater: str, text: str, value: int, at: float) -> rater_audit.Cast:
    return rater_audit.Cast(rater, text, value, at)


def test_a_whole_report_is_known_in_chinese(tmp_path: Any) -> None:
    new, old = (evaluation(version, 60, 0, 200, "guard") for version in ("v2", "v1"))
    figures = [
        ShownShare("wins by the reward model v3", 3, 4, 0.3, 0.9),
        ShownShare("held-out votes judged as people did (implicit reward)", 3, 4, 0.3, 0.9),
    ]
    decision = {
        **dataclasses.asdict(gate.decide(new, old, GatePolicy(), 1)),
        "table": comparison_report.table(VersionComparison(new, old, shown=figures)),
    }
    odd = rater_audit.find(
        [cast("person 1", f"text {n}", -1, n) for n in range(60)]
        + [cast(f"person {rater}", f"text {n}", 1, 900 * n) for n in range(60) for rater in (2, 3)]
        + [cast("person 4", f"text {n % 6}", (-1) ** (n // 6), 900 * n) for n in range(60)]
        + [cast(f"person {rater}", f"text {n}", -1, 900 * n) for n in range(20) for rater in (5, 6)],
        {"person 1": (0, 60)},
    )
    assert {one.what for one in odd} == {
        "against the others",
        "against the judges",
        "flood",
        "copies",
        "contradicts themselves",
    }
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
        "notes": [
            "no ppo: there are no reward models to learn from",
            "no dpo: 0 of 50 pairs; 50 more are needed",
        ],
        "outcome": {"what": "nothing", "why": "no candidate was promoted"},
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
        {"what": "by hand", "version": "v2", "why": "release it with `python -m alignment release v2`"},
    ):
        report = markdown(Journal(tmp_path / "1", {**state, "outcome": outcome}))
        text = "\n".join(line for line in report.splitlines() if not line.startswith("!["))
        assert english_left(report_in_chinese(text)) == []


def test_the_gates_reasons_on_the_dashboards_test_home_are_the_gates() -> None:
    # The page reads them by these names; a home that is made up otherwise would test nothing.
    names = {field.name for field in dataclasses.fields(gate.Reason)}
    for reason in made_up("promote", "v2", "v1", 1)["reasons"]:
        assert reason.keys() == names
        assert english_left(in_chinese(reason["text"])) == []


def test_what_is_no_sentence_of_the_loops_stays_as_it_is() -> None:
    for text in ("", "Loading weights: 100%", "no parent has an adapter", "v3"):
        assert in_chinese(text) == text


def test_places_of_both_languages_agree() -> None:
    for english, chinese in SENTENCES.items():
        assert set(re.findall(r"{(\w+)}", english)) == set(re.findall(r"{(\w+)}", chinese)), english
