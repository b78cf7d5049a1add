"""Judges are measured on what they have not seen, and length alone wins nothing."""

import random

from alignment.scoring.judging import JudgeMeasure, are_sure, p_of_chance, without_length


def known(*by_prompt: float) -> JudgeMeasure:
    return JudgeMeasure("v2", "a", 1, 2, 0.1, 0.9, by_prompt, 0.25, 1)


def test_judges_are_sure_together_only_where_chance_would_seldom_judge_as_well() -> None:
    # Six prompts that are all right happen to a coin once in 64 times, five once in 32 times.
    assert p_of_chance([known(1, 1, 1), known(1, 1, 1)]) == 1 / 64
    assert are_sure([known(1, 1, 1), known(1, 1, 1)]) and not are_sure([known(1, 1, 1), known(1, 1)])
    assert not are_sure([]) and not are_sure([known(9)])


def test_four_answers_to_one_question_are_no_four_proofs() -> None:
    assert not are_sure([known(3, 3, 3, 3)])
    many = [random.Random(seed).choices((-3, 3), k=20) for seed in range(200)]
    assert sum(are_sure([known(*balances)]) for balances in many) <= 10


def test_what_a_judge_is_unsure_of_counts_little() -> None:
    guesses = [0.1, -0.1] * 8
    assert are_sure([known(*guesses, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, -0.2)])
    assert not are_sure([known(*guesses, 0.1, 0.1, 0.1, 0.1, -2.0, 2.0)])


def test_an_advantage_that_length_explains_is_taken_off_and_another_is_kept() -> None:
    draw = random.Random(1)
    lengths = [(draw.randint(10, 400), draw.randint(10, 400)) for _ in range(300)]
    by_length = [0.01 * (new - old) + draw.gauss(0, 0.2) for new, old in lengths]
    left = without_length(by_length, lengths)
    assert 0.35 < sum(value > 0 for value in left) / 300 < 0.65
    longer = [(2 * old, old) for _, old in lengths]
    assert all(value > 0 for value in without_length([1.0] * 300, longer))


def test_a_judge_that_prefers_shorter_answers_is_believed() -> None:
    draw = random.Random(2)
    lengths = [(draw.randint(10, 100), draw.randint(100, 400)) for _ in range(100)]
    advantages = [0.01 * (old - new) for new, old in lengths]
    assert without_length(advantages, lengths) == advantages
    assert without_length([], []) == []
