"""How the policy draws answers: in a batch, with seeds, and with its adapter merged."""

from typing import Any

import pytest
import torch
from helpers.tiny_ppo import tiny_model

from alignment.ppo.rollout import generate
from assistant.serving.peft_compat import temporarily_merged

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [14]]


def greedy(model: Any, prompts: list[list[int]], limits: list[int]) -> list[list[int]]:
    # A very low temperature leaves the likeliest token alone.
    return generate(model, prompts, limits, [2], 1e-6, [0] * len(prompts))


def test_answers_are_the_same_alone_and_in_a_batch_that_others_leave() -> None:
    model = tiny_model().eval()
    limits = [3, 12, 7]
    batch = greedy(model, PROMPTS, limits)
    assert [len(completion) for completion in batch] == limits
    alone = [greedy(model, [prompt], [limit])[0] for prompt, limit in zip(PROMPTS, limits, strict=True)]
    assert batch == alone


def test_an_answer_ends_with_its_end_token() -> None:
    model = tiny_model().eval()
    completion = greedy(model, PROMPTS[:1], [10])[0]
    stopped = generate(model, PROMPTS[:1], [10], [completion[4]], 1e-6, [0])[0]
    assert stopped == completion[: completion.index(completion[4]) + 1]


def test_tokens_are_drawn_from_the_policys_own_distribution() -> None:
    model = tiny_model().eval()
    drawn = generate(model, [PROMPTS[0]] * 4000, [1] * 4000, [2], 1.5, range(4000))
    with torch.no_grad():
        expected = torch.softmax(model(torch.tensor(PROMPTS[:1])).logits[0, -1] / 1.5, dim=-1)
    shares = torch.bincount(torch.tensor(drawn)[:, 0], minlength=4096) / 4000
    likely = expected.topk(5).indices
    assert torch.allclose(shares[likely], expected[likely], atol=0.03)
    assert float((shares * expected.log()).sum()) == pytest.approx(
        float((expected * expected.log()).sum()), abs=0.1
    )


def test_merging_changes_no_logits_and_restores_the_base_exactly() -> None:
    model = tiny_model().eval()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    ids = torch.tensor([PROMPTS[1]])
    with torch.no_grad():
        plain = model(ids).logits
        with temporarily_merged(model, "default"):
            assert torch.allclose(model(ids).logits, plain, atol=1e-5)
        assert torch.equal(model(ids).logits, plain)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
