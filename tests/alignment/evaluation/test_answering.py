"""A version answers tasks in batches."""

from pathlib import Path

import pytest

from alignment.evaluation import answering
from alignment.evaluation.answering import answer
from alignment.starter.tasks.drawn_task import user
from alignment.suites.starter_suite import select_tasks
from alignment.suites.task_file import Task
from assistant.bases.built_in_cards import STARTER_CARD
from assistant.registry.first_version import version_to_serve
from assistant.serving.loading import load_for_serving


def test_batched_answers_are_those_of_each_task_alone(home: Path) -> None:
    loaded = load_for_serving(version_to_serve(home, "starter"), home)
    tasks = select_tasks(("addition", "identity"), each=2, seed=1)
    together = answer(loaded, tasks, think=False, max_new_tokens=20)
    alone = [answer(loaded, [task], think=False, max_new_tokens=20)[0] for task in tasks]
    assert together == alone


def test_the_examples_that_the_page_offers_are_answered_right_by_the_starter(home: Path) -> None:
    wanted = ("632", "badly on new data", "19", "score", "632", "新数据", "19", "分数")
    loaded = load_for_serving(version_to_serve(home, "starter"), home)
    examples = [example for texts in STARTER_CARD.texts.values() for example in texts.examples]
    tasks = [Task("concept", "en", user(text), "", {}) for text in examples]
    answers = [evaluated.answer for evaluated in answer(loaded, tasks, think=True)]
    assert [text for part, text in zip(wanted, answers, strict=True) if part not in text] == []


def test_the_progress_moves_while_a_batch_is_answered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_for_serving(version_to_serve(home, "starter"), home)
    moved: list[int] = []

    class Bar:
        def __init__(self, total: int, **_: str) -> None:
            self.total = total

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            assert sum(moved) == self.total == 20 * 4

        def update(self, steps: int = 1) -> None:
            moved.append(steps)

    monkeypatch.setattr(answering, "tqdm", Bar)
    monkeypatch.setattr(answering, "BATCH", 2)
    answer(loaded, select_tasks(("addition", "identity"), each=2, seed=1), think=False, max_new_tokens=20)
    assert len(moved) > 2
