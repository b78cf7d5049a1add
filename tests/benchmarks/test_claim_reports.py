"""What the claims make of a measurement: the verdict follows from the figures, and figures from what was counted."""

import re
from typing import Any

import pytest

from alignment.suites.task_file import judge
from benchmarks.claims import (
    base_and_assistant,
    chain_of_thought,
    occasionally_good,
    reward_model_saves_people,
    word_chain,
)
from benchmarks.claims.small_models import KIND_NAMES


def asked(different: int, ended: int = 50, greedy_differ: bool = False) -> dict[str, Any]:
    return {
        "times": 50,
        "different": different,
        "pairs": 25,
        "pairs_differ": 25 if different > 1 else 0,
        "ended": ended,
        "greedy_differ": greedy_differ,
        "entropy": [1.0, 0.5],
    }


@pytest.mark.parametrize(
    ("question", "verdict"),
    [
        (asked(30), "held"),
        (asked(1), "not held"),
        (asked(30, ended=5), "partly"),
        (asked(9, 50, True), "partly"),
    ],
)
def test_a_word_chain_draws_different_answers_that_end(question: dict[str, Any], verdict: str) -> None:
    assert word_chain.report({"starter": [question] * 4}).verdict == verdict


def test_a_reply_is_read_without_its_thought_and_asks_by_its_first_line() -> None:
    assert base_and_assistant.without_thought("?\n<think>\n1>2?\n</think>\n\nNo.") == "No."
    assert base_and_assistant.without_thought("Yes. <think>cut off") == "Yes."
    assert base_and_assistant.asks("What is SFT?\nIt is …")
    assert not base_and_assistant.asks("It is this.\nIs it?")


def replies(right: int, asks: int, unit: int = 30) -> dict[str, int]:
    """Of 192 questions, 36 of which want a unit."""
    rest = 192 - right - asks
    named = {"unit named": unit, "unit asked": 36, "replies": 192}
    return {"answers right": right, "asks on": asks, "something else": rest, **named}


@pytest.mark.parametrize(
    ("base_in_text", "verdict"),
    [(replies(20, 40), "held"), (replies(150, 40), "partly")],
)
def test_a_base_that_answers_bare_text_as_well_as_v1_holds_the_claim_in_part(
    base_in_text: dict[str, int], verdict: str
) -> None:
    both = {form: replies(160, 0, 5) for form in ("text", "chat")}
    aligned = {form: replies(160, 0, 30) for form in ("text", "chat")}
    seed = {"base": {"text": base_in_text, "chat": replies(5, 40)}, "v1": both, "aligned": aligned}
    assert base_and_assistant.report({"1": seed}).verdict == verdict


def test_a_sum_is_worked_step_by_step_or_answered_at_once() -> None:
    steps, at_once = (chain_of_thought.sum_task((5, 8, 4), mode) for mode in ("steps", "at once"))
    assert steps.answer == "5 + 8 = 13\n13 + 4 = 17\nThe answer is 17."
    assert at_once.answer == "The answer is 17."
    assert judge(steps, steps.answer).correct and not judge(steps, "5 + 8 = 13").correct
    assert [message["role"] for message in steps.messages] == ["user", "assistant"] * 2 + ["user"]


def kind(drawn: int, before: int, after: int | None) -> dict[str, Any]:
    """A kind of 100 tasks: `drawn` of them right in one of eight draws; so many greedy answers right."""

    def outcome(right: int) -> dict[str, list[int]]:
        return {
            "greedy": [1] * right + [0] * (100 - right),
            "drawn": [3 if right > before else 1] * drawn + [0] * (100 - drawn),
        }

    return {"1": {"before": outcome(before), "after": None if after is None else outcome(after)}}


@pytest.mark.parametrize(
    ("never", "good", "verdict"),
    [
        (kind(0, 0, None), kind(60, 30, 70), "held"),
        (kind(0, 0, 30), kind(60, 30, 70), "partly"),
        (kind(0, 0, 30), kind(60, 30, 30), "not held"),
    ],
)
def test_reinforcement_lifts_what_is_occasionally_good(never: Any, good: Any, verdict: str) -> None:
    report = occasionally_good.report({"division": good, "addition": never})
    assert report.verdict == verdict
    # The seldom right come first, and a kind that was not trained gains nothing.
    assert [row[0] for row in report.rows] == [
        KIND_NAMES["addition"],
        KIND_NAMES["division"],
    ]
    assert re.match(r"\+0\.0 |\+30\.0 ", str(report.rows[0][3]))


def test_one_lucky_training_is_no_gain() -> None:
    every, lucky = ([kind(60, 30, after)["1"] for after in gained] for gained in ((50, 51, 52), (97, 31, 30)))
    for trainings, gains in ((every, True), (lucky, False)):
        seeds = {str(seed): training for seed, training in enumerate(trainings)}
        assert occasionally_good.figures(seeds)["lift"].low > 0
        assert occasionally_good.gains(seeds, "lift") is gains


@pytest.mark.parametrize(("through", "verdict"), [(90, "held"), (60, "not held"), (30, "not held")])
def test_a_reward_model_saves_people_where_more_is_learned_through_it(through: int, verdict: str) -> None:
    def right(count: int) -> list[int]:
        return [1] * count + [0] * (100 - count)

    seed: dict[str, Any] = {"v1": right(40)}
    for count in ("50", "150", "500"):
        seed[count] = {"direct": right(60), "through": right(through), "agrees": right(80)}
    report = reward_model_saves_people.report({"1": seed})
    assert report.verdict == verdict
    assert [row[0] for row in report.rows] == ["50", "150", "500"]
    assert str(report.rows[0][1]).startswith("+20.0 [")
