"""Reward functions score rollouts, and the pre-flight finds out whether there is anything to reinforce."""

import re
from collections.abc import Sequence

import pytest

from alignment.errors import DataError, TrainingError
from alignment.scoring import reward_functions
from alignment.scoring.reward_functions import Rollout, Source
from alignment.suites.starter_suite import select_tasks


def rollout(score: float) -> Rollout:
    return Rollout([], False, None, [1], [int(score * 10)], "", "", True)


def tens(rollouts: Sequence[Rollout]) -> list[float]:
    return [rollout.completion_ids[0] / 10 for rollout in rollouts]


def test_the_pre_flight_counts_prompts_with_a_good_answer() -> None:
    metrics = reward_functions.preflight(
        [Source("tens", tens)], [rollout(score) for score in (0, 0, 0, 1, 1, 1)], samples=2
    )
    assert metrics == {"tens_good": pytest.approx(2 / 3), "tens_before": pytest.approx(0.5)}


def test_the_pre_flight_sets_zero_and_unit_of_a_reward_model() -> None:
    source = Source("model", tens, model=True)
    reward_functions.preflight([source], [rollout(score) for score in (10, 20, 30, 20)], samples=2)
    assert source([rollout(20)]) == [pytest.approx(0.0)]
    assert source([rollout(30)])[0] == pytest.approx(1.414, abs=1e-3)


@pytest.mark.parametrize(
    ("scores", "model", "why"),
    [
        (
            [0, 0, 0, 0],
            False,
            r"None of 4 answers to 2 prompts is good by 'tens' \(2 tries each\).*alignment sft",
        ),
        ([1, 1, 1, 1], False, r"All 4 answers to 2 prompts have the same score"),
        ([2, 2, 2, 2], True, r"all 4 answers to 2 prompts the same score"),
    ],
)
def test_the_pre_flight_stops_if_there_is_nothing_to_learn(
    scores: list[float], model: bool, why: str
) -> None:
    with pytest.raises(TrainingError, match=why):
        reward_functions.preflight(
            [Source("tens", tens, model=model)], [rollout(score) for score in scores], samples=2
        )


def test_scores_are_summed_with_their_weights() -> None:
    sources = [Source("a", tens, 2.0), Source("b", tens, -0.5)]
    assert reward_functions.total(sources, {"a": [1.0, 2.0], "b": [4.0, 0.0]}) == [0.0, 4.0]


def test_checker_unit_and_ends_reward_right_answers_units_and_endings() -> None:
    task = select_tasks(["word_two_step"], each=1, seed=1)[0]
    right = task.answer
    answers = [
        Rollout(list(task.messages), False, task, [1], [2], "", text, ended)
        for text, ended in (
            (right, True),
            (re.sub(r"\D", "", right), True),
            ("I am not sure.", False),
        )
    ]
    assert reward_functions.find("checker")(answers) == [1.0, 1.0, 0.0]
    assert reward_functions.find("unit")(answers) == [1.0, 0.0, 0.0]
    assert reward_functions.find("ends")(answers) == [1.0, 1.0, 0.0]
    with pytest.raises(DataError, match="checks tasks, and a prompt is none"):
        reward_functions.find("checker")([rollout(1)])
