"""A decision in plain words: what got better, what got worse, how sure, and what follows, in both languages."""

from typing import Any

import pytest
from helpers.fake_dashboard import gate, reason

from assistant.admin.plain_words import in_words
from assistant.events.describe import describe


def test_a_promoted_candidate_is_told_by_what_got_better_and_how_sure_that_is() -> None:
    decision = gate("promote", "v4", "v1", 1)
    decision["reasons"][0]["p"] = 0.0004
    text = describe(in_words(decision))
    assert text.startswith(
        "In plain words, v4 beside v1. Better: right answers after thinking (better on 60 and worse on"
    )
    assert "once in 2500 times" in text and "Worse: nothing that could be shown" in text
    assert "coming to an end" in text.partition("About as good: ")[2]
    assert text.endswith("Not known yet: nothing. So it is promoted.")
    chinese = describe(in_words(decision), "zh")
    assert "更好：思考后答对" in chinese and chinese.endswith("因此通过。")


def test_what_got_worse_and_what_is_not_known_is_told_with_its_interval() -> None:
    text = describe(in_words(gate("reject", "v5", "v1", 1)))
    assert "Worse: right answers after thinking (by -8.0 points, surely between -14.0 and -2.0)" in text
    assert "naming the unit after thinking (anything between -3.0 and +7.0 points)" in text
    assert text.endswith("So it is rejected.")


@pytest.mark.parametrize(
    "reasons", [[], [None, {"measure": "ends"}], [reason("ends", "guard", "not worse", 0, 0, 0)]]
)
def test_a_decision_that_shows_nothing_better_is_held_and_damage_is_passed_over(reasons: list[Any]) -> None:
    text = describe(in_words({"verdict": "hold", "candidate": "v2", "released": "v1", "reasons": reasons}))
    assert "Better: nothing that could be shown" in text and text.endswith(
        "nothing that decides shows that it is better."
    )


def test_a_guard_that_is_surely_better_is_told_among_what_got_better() -> None:
    reasons = [
        reason("ends", "guard", "not worse", 0.283, 0.199, 0.374),
        reason("empty", "guard", "not worse", 0, -0.03, 0.03),
    ]
    text = describe(in_words({"verdict": "hold", "candidate": "v4", "released": "v1", "reasons": reasons}))
    assert (
        "Better: coming to an end (by +28.3 points, surely between +19.9 and +37.4; it does not decide)"
        in text
    )
    assert "coming to an end" not in text.partition("About as good: ")[2]
