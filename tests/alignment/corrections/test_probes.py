"""Probes of corrections: when an answer says what the correction says."""

from pathlib import Path

import pytest
from helpers.tiny_home import tiny_home

from alignment.corrections.correction_rows import CorrectedPrompt
from alignment.corrections.probes import is_fixed, probe_fixes
from assistant.registry.versions import Versions
from assistant.serving.loading import load_for_serving

ASKED = "What is the capital of Brazil?"
RIGHT = "The capital of Brazil is Brasília."
WRONG = "The capital of Brazil is Rio de Janeiro."


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        (RIGHT, True),
        ("It is Brasilia, in the middle of the country.", True),
        (WRONG, False),
        ("Rio de Janeiro was, and Brasília is.", False),
        ("The capital of Brazil is São Paulo.", False),
        ("", False),
    ],
)
def test_the_words_that_only_the_correction_has_decide(answer: str, holds: bool) -> None:
    assert is_fixed(answer, RIGHT, WRONG, ASKED) is holds


@pytest.mark.parametrize(("answer", "holds"), [("首都是巴西利亚。", True), ("首都是里约热内卢。", False)])
def test_chinese_answers_are_compared_too(answer: str, holds: bool) -> None:
    assert is_fixed(answer, "巴西的首都是巴西利亚。", "巴西的首都是里约热内卢。", "巴西首都在哪里？") is holds


def test_a_correction_that_leaves_words_out_holds_while_they_stay_away() -> None:
    correction, wrong = "It rains.", "Great question! Well, as an assistant, I think it rains."

    assert is_fixed("It rains today.", correction, wrong)
    assert not is_fixed("Great question! As an assistant I think it rains.", correction, wrong)
    assert not is_fixed("", correction, wrong)


def test_every_correction_is_asked_in_several_wordings(tmp_path: Path) -> None:
    loaded = load_for_serving(Versions(tiny_home(tmp_path)).open("v1"), tmp_path)
    messages = [{"role": "user", "content": ASKED}]
    corrections = [
        CorrectedPrompt(messages, False, [], RIGHT, WRONG),
        CorrectedPrompt([{"role": "user", "content": "x" * 3000}], False, [], RIGHT, WRONG),
    ]

    own = {ASKED.upper(): ["Brazil's capital?", ASKED], "Other?": ["Another?"]}

    (probe,) = probe_fixes(loaded, corrections)
    (also_own,) = probe_fixes(loaded, corrections, own)

    assert (probe.asked, probe.wordings, also_own.wordings) == (ASKED, 4, 5)
    assert not probe.holds
