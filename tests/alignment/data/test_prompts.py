"""Prompts of rollouts: from the store, from a file, or from the starter's practice tasks."""

import json
from pathlib import Path

import pytest
from helpers.feedback import rate_replies
from helpers.tiny_ppo import QUESTIONS, TOKENIZER

from alignment.data import prompts
from alignment.errors import DataError
from alignment.stages.ppo import PPORecipe
from alignment.suites.starter_suite import STARTER_PRACTICE, starter_tasks
from assistant.serving import prompt
from feedback_store import FeedbackStore


def test_a_file_may_hold_prompts_in_every_form_and_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    task = {
        "kind": "addition",
        "language": "en",
        "answer": "3",
        "checks": {"correct": [{"checker": "number", "value": 3}]},
    }
    messages = [{"role": "user", "content": "What is 1 + 2?"}]
    lines = [{"prompt": "Hello"}, {"messages": messages, "think": True}, {**task, "messages": messages}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    result = prompts.from_file(path, "both")
    assert [(each.messages[0]["content"], each.think, each.task is not None) for each in result] == [
        ("Hello", True, False),
        ("Hello", False, False),
        ("What is 1 + 2?", True, False),
        ("What is 1 + 2?", True, True),
        ("What is 1 + 2?", False, True),
    ]
    path.write_text('{"prompt": "Hello"}\n{"messages": []}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"prompts.jsonl, line 2"):
        prompts.from_file(path, "off")


def test_prompts_of_the_store_have_the_token_ids_that_were_served(home: Path) -> None:
    home.mkdir()
    FeedbackStore.open(home / "feedback.db").close()
    with pytest.raises(DataError, match="Nobody has asked anything yet"):
        prompts.from_store(home)
    rate_replies(home, [("What is 1 + 2?", "3", 1), ("What is 5 + 6?", "12", -1)])
    result = prompts.from_store(home)
    assert [each.messages[-1]["content"] for each in result] == ["What is 1 + 2?", "What is 5 + 6?"]
    assert result[0].rendered(TOKENIZER) == prompt.render(TOKENIZER, result[0].messages, False)


def test_every_prompt_is_drawn_once_before_any_is_drawn_again() -> None:
    first = [each.messages[0]["content"] for n in range(4) for each in prompts.drawn(QUESTIONS, n, 4, seed=1)]
    second = [
        each.messages[0]["content"] for n in range(4, 8) for each in prompts.drawn(QUESTIONS, n, 4, seed=1)
    ]
    assert len(set(first)) == len(set(second)) == 16
    assert first != second


def test_practice_tasks_are_drawn_evenly_and_differ_between_modes() -> None:
    drawn = prompts.from_suite(["word_two_step", "addition"], 400, "both", seed=1)
    cells = [(each.task.kind, each.task.language, each.think) for each in drawn if each.task]
    assert {cells.count(cell) for cell in set(cells)} == {50} and len(set(cells)) == 8
    thinking, direct = (
        {each.messages[-1]["content"] for each in drawn if each.think is think} for think in (True, False)
    )
    assert not thinking & direct
    assert drawn == prompts.from_suite(["word_two_step", "addition"], 400, "both", seed=1)
    assert drawn != prompts.from_suite(["word_two_step", "addition"], 400, "both", seed=2)


def test_a_run_that_needs_more_practice_tasks_than_there_are_says_so(home: Path) -> None:
    practice = starter_tasks(STARTER_PRACTICE)
    count = sum(len(tasks) for (kind, _), tasks in practice.items() if kind == "addition")
    for updates in (10, 30):
        recipe = PPORecipe(suite="addition", thinking="off", updates=updates, batch_size=100)
        chosen = prompts.choose(recipe, home, TOKENIZER, window=1024)
        assert chosen.missing == max(0, 120 * updates - count)
        assert ("are answered again" in chosen.shortage()) is (updates == 30)
