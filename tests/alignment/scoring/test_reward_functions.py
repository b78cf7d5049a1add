"""What PPO and RLOO ask, and what their answers are worth: prompts, reward functions, and the pre-flight."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.feedback import rate_replies
from helpers.ppo_parts import QUESTIONS, TOKENIZER

from alignment.data import prompts
from alignment.errors import DataError, TrainingError
from alignment.scoring import reward_functions
from alignment.scoring.reward_functions import Rollout, Source
from assistant.serving import prompt
from feedback_store import FeedbackStore


def said(score: float) -> Rollout:
    return Rollout([], False, None, [1], [int(score * 10)], "", "", True)


def tens(some: Any) -> list[float]:
    return [one.completion_ids[0] / 10 for one in some]


def test_the_pre_flight_tells_how_many_prompts_have_a_good_answer() -> None:
    found = reward_functions.preflight(
        [Source("tens", tens)], [said(s) for s in (0, 0, 0, 1, 1, 1)], samples=2
    )
    assert found == {"tens_good": pytest.approx(2 / 3), "tens_before": pytest.approx(0.5)}


def test_the_pre_flight_gives_a_reward_model_a_zero_and_a_unit() -> None:
    source = Source("model", tens, model=True)
    reward_functions.preflight([source], [said(s) for s in (10, 20, 30, 20)], samples=2)
    assert source([said(20)]) == [pytest.approx(0.0)]
    assert source([said(30)])[0] == pytest.approx(1.414, abs=1e-3)


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
def test_the_pre_flight_stops_where_there_is_nothing_to_learn(
    scores: list[float], model: bool, why: str
) -> None:
    with pytest.raises(TrainingError, match=why):
        reward_functions.preflight([Source("tens", tens, model=model)], [said(s) for s in scores], samples=2)


def test_scores_are_summed_with_their_weights() -> None:
    sources = [Source("a", tens, 2.0), Source("b", tens, -0.5)]
    assert reward_functions.total(sources, {"a": [1.0, 2.0], "b": [4.0, 0.0]}) == [0.0, 4.0]


def test_the_checkers_reward_what_is_right_and_names_its_unit() -> None:
    asking = next(one for one in prompts.from_suite(["word_two_step"], 8, "off", 1) if one.task)
    assert asking.task is not None
    right = asking.task.answer
    answers = [
        Rollout(asking.messages, False, asking.task, [1], [2], "", text, ended)
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
        reward_functions.find("checker")([said(1)])


def test_prompts_are_read_in_every_form_and_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    task = {
        "kind": "addition",
        "language": "en",
        "answer": "3",
        "checks": {"correct": [{"checker": "number", "value": 3}]},
    }
    turns = [{"role": "user", "content": "What is 1 + 2?"}]
    lines = [{"prompt": "Hello"}, {"messages": turns, "think": True}, {**task, "messages": turns}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    found = prompts.from_file(path, "both")
    assert [(one.messages[0]["content"], one.think, one.task is not None) for one in found] == [
        ("Hello", True, False),
        ("Hello", False, False),
        ("What is 1 + 2?", True, False),
        ("What is 1 + 2?", True, True),
        ("What is 1 + 2?", False, True),
    ]
    path.write_text('{"prompt": "Hello"}\n{"messages": []}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"prompts.jsonl, line 2"):
        prompts.from_file(path, "off")


def test_what_people_asked_is_asked_again_in_the_tokens_that_were_served(home: Path) -> None:
    home.mkdir()
    FeedbackStore.open(home / "feedback.db").close()
    with pytest.raises(DataError, match="Nobody has asked anything yet"):
        prompts.from_store(home)
    rate_replies(home, [("What is 1 + 2?", "3", 1), ("What is 5 + 6?", "12", -1)])
    found = prompts.from_store(home)
    assert [one.messages[-1]["content"] for one in found] == ["What is 1 + 2?", "What is 5 + 6?"]
    assert found[0].rendered(TOKENIZER) == prompt.render(TOKENIZER, found[0].messages, False)


def test_every_prompt_is_asked_once_before_any_is_asked_again() -> None:
    first = [one.messages[0]["content"] for n in range(4) for one in prompts.drawn(QUESTIONS, n, 4, seed=1)]
    second = [
        one.messages[0]["content"] for n in range(4, 8) for one in prompts.drawn(QUESTIONS, n, 4, seed=1)
    ]
    assert len(set(first)) == len(set(second)) == 16
    assert first != second
