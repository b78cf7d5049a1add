"""Comparisons of judged replies: no thumb counts twice, and what depends on each other is one unit."""

import random

from alignment.data.matched_pairs import matched_pairs


def test_a_disliked_reply_is_beside_a_liked_one_and_no_thumb_counts_twice() -> None:
    liked = [(f"liked {n}", f"good {n}", True) for n in range(9)]
    disliked = [(f"disliked {n}", f"bad {n}", False) for n in range(4)]
    pairs = matched_pairs([], [*liked, *disliked])
    assert len(pairs) == len({pair.unit for pair in pairs}) == 4
    assert all(pair.better.startswith("good") and pair.worse.startswith("bad") for pair in pairs)
    assert len({pair.better for pair in pairs}) == len({pair.worse for pair in pairs}) == 4
    assert matched_pairs([], liked) == []


def test_replies_to_one_prompt_are_compared_with_each_other_first() -> None:
    thumbs = [("a", "good", True), ("a", "bad", False), ("b", "fine", True), ("c", "poor", False)]
    pairs = matched_pairs([], thumbs)
    assert {(pair.better, pair.worse) for pair in pairs} == {("good", "bad"), ("fine", "poor")}


def test_pairs_of_one_prompt_are_one_unit_and_its_thumbs_are_in_no_other() -> None:
    compared = [("a", "best", "worst"), ("a", "best", "middle")]
    pairs = matched_pairs(compared, [("a", "good", True), ("b", "poor", False), ("c", "fine", True)])
    assert [(pair.unit, pair.worse) for pair in pairs[:2]] == [("a", "worst"), ("a", "middle")]
    assert [(pair.better, pair.worse) for pair in pairs[2:]] == [("fine", "poor")]


def test_no_prompt_is_in_two_units() -> None:
    draw = random.Random(1)
    thumbs = [(f"<{draw.randrange(40)}>", n, draw.random() < 0.5) for n in range(200)]
    prompt_of = {reply: prompt for prompt, reply, _ in thumbs}
    units: dict[str, set[str]] = {}
    for pair in matched_pairs([], thumbs):
        for reply in (pair.better, pair.worse):
            units.setdefault(prompt_of[reply], set()).add(pair.unit)
    assert len(units) > 20 and all(len(found) == 1 for found in units.values())
