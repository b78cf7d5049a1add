"""Judges are measured on what they have not seen, and length alone wins nothing."""

import random

from alignment.data.judgements import JudgedCompletion
from alignment.scoring.judging import JudgeMeasure, matched_pairs, without_length


def thumb(sign: int, length: int = 3) -> JudgedCompletion:
    return JudgedCompletion([{"role": "user", "content": "?"}], 1, [sign + 5] * length, None, sign)


def test_each_disliked_reply_is_beside_a_liked_one_and_no_thumb_counts_twice() -> None:
    pairs = matched_pairs([*(thumb(1) for _ in range(9)), *(thumb(-1) for _ in range(4))])
    assert len(pairs) == 4
    assert all(better[0] == 6 and worse[0] == 4 for better, worse in pairs)
    assert matched_pairs([thumb(1)] * 9) == []


def test_a_judge_is_sure_only_where_chance_would_seldom_judge_as_well() -> None:
    def known(p: float | None) -> JudgeMeasure:
        return JudgeMeasure("v2", "a", 1, 2, 0.1, 0.9, p, 0.25, 1)

    assert (known(0.02).is_sure, known(0.03).is_sure, known(None).is_sure) == (True, False, False)


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
