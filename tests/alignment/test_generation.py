"""Answers drawn in batches: rows that leave, ends, seeds, and the distribution they come from."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_ppo import tiny_model
from helpers.toy_models import make
from transformers import TopPLogitsWarper

from alignment.generation import generate, nucleus
from assistant.registry.first_version import version_to_serve
from assistant.serving.loading import load_for_serving

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [14]]


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model().eval()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_answers_are_the_same_alone_and_in_a_batch_that_others_leave(model: Any, temperature: float) -> None:
    limits, seeds = [3, 12, 7], [4, 5, 6]
    batch = generate(model, PROMPTS, limits, [2], temperature, seeds)
    assert [len(completion) for completion in batch] == limits
    alone = [
        generate(model, [prompt], [limit], [2], temperature, [seed])[0]
        for prompt, limit, seed in zip(PROMPTS, limits, seeds, strict=True)
    ]
    assert batch == alone


def test_an_answer_ends_with_its_end_token(model: Any) -> None:
    completion = generate(model, PROMPTS[:1], [10], [2])[0]
    stopped = generate(model, PROMPTS[:1], [10], [completion[4]])[0]
    assert stopped == completion[: completion.index(completion[4]) + 1]


def test_tokens_are_drawn_from_the_models_own_distribution(model: Any) -> None:
    drawn = generate(model, [PROMPTS[0]] * 4000, [1] * 4000, [2], 1.5, range(4000))
    with torch.no_grad():
        expected = torch.softmax(model(torch.tensor(PROMPTS[:1])).logits[0, -1] / 1.5, dim=-1)
    shares = torch.bincount(torch.tensor(drawn)[:, 0], minlength=4096) / 4000
    likely = expected.topk(5).indices
    assert torch.allclose(shares[likely], expected[likely], atol=0.03)
    assert float((shares * expected.log()).sum()) == pytest.approx(
        float((expected * expected.log()).sum()), abs=0.1
    )


@pytest.mark.parametrize("spread", [0.01, 1.0, 8.0], ids=["flat", "usual", "peaked"])
def test_the_nucleus_is_the_one_that_a_sorted_vocabulary_gives(spread: float) -> None:
    logits = spread * torch.randn(6, 5000, generator=torch.Generator().manual_seed(0)) / 1.5
    probabilities = torch.softmax(logits, dim=-1)
    kept = nucleus(probabilities, 0.9)
    warped = TopPLogitsWarper(top_p=0.9)(None, logits)
    assert torch.equal(kept == 0, warped.isinf())
    assert torch.equal(kept[kept > 0], probabilities[kept > 0])


@pytest.mark.parametrize("family", ["gemma3", "smollm3"])
def test_answers_are_those_of_the_librarys_own_loop(family: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    loaded = load_for_serving(version_to_serve(home, str(make(family, tmp_path / family))), home)
    prompts = [[7, 8, 9, 10, 11], [12, 13], [14, 15, 16], [17]]

    def alone(ids: list[int], ends: list[int]) -> list[int]:
        (completion,) = loaded.model.generate(
            torch.tensor([ids]), max_new_tokens=11, do_sample=False, eos_token_id=ends, pad_token_id=0
        )[:, len(ids) :].tolist()
        return completion[: next((n + 1 for n, token in enumerate(completion) if token in ends), None)]

    # What one answer writes early ends it; the others may write it later, or never.
    ends = [alone(prompts[1], [-1])[1]]
    expected = [alone(ids, ends) for ids in prompts]
    assert len({len(completion) for completion in expected}) > 1
    assert generate(loaded.model, prompts, [11] * 4, ends) == expected
