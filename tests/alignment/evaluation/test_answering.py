"""A version answers tasks in batches."""

from pathlib import Path

import pytest
import torch
from helpers.toy_models import make
from transformers import TopPLogitsWarper

from alignment.evaluation import answering
from alignment.evaluation.answering import Nucleus, answer, generate
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


@pytest.mark.parametrize("spread", [0.01, 1.0, 8.0], ids=["flat", "usual", "peaked"])
def test_the_nucleus_is_the_one_that_a_sorted_vocabulary_gives(spread: float) -> None:
    torch.manual_seed(0)
    logits = spread * torch.randn(6, 5000)
    warped = TopPLogitsWarper(top_p=0.9)(None, logits / 1.5)
    mine = Nucleus(0.9, temperature=1.5)(torch.empty(0), logits)
    assert torch.equal(mine.isinf(), warped.isinf())
    assert torch.equal(mine[~mine.isinf()], logits[~warped.isinf()])


@pytest.mark.parametrize("family", ["gemma3", "smollm3"])
def test_answers_that_end_leave_a_batch_and_the_others_go_on(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "STEPS", 3)
    home = tmp_path / "home"
    loaded = load_for_serving(version_to_serve(home, str(make(family, tmp_path / family))), home)
    prompts = [[7, 8, 9, 10, 11], [12, 13], [14, 15, 16], [17]]

    def alone(ids: list[int], ends: list[int]) -> list[int]:
        (completion,) = loaded.model.generate(
            torch.tensor([ids]), max_new_tokens=11, do_sample=False, eos_token_id=ends, pad_token_id=0
        )[:, len(ids) :].tolist()
        return cut(completion, ends)

    def cut(completion: list[int], ends: list[int]) -> list[int]:
        return completion[: next((n + 1 for n, token in enumerate(completion) if token in ends), None)]

    # What one answer writes early ends it; the others may write it later, or never.
    ends = [alone(prompts[1], [-1])[1]]
    expected = [alone(ids, ends) for ids in prompts]
    assert len({len(completion) for completion in expected}) > 1
    found = generate(loaded, prompts, ends, max_new_tokens=11)
    assert [cut(completion, ends) for completion in found] == expected
