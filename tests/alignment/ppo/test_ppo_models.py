"""What PPO stands on: how answers are drawn, and the one base that policy, value, reference and judges share."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.ppo_parts import tiny_base, tiny_config, tiny_model
from peft import LoraConfig, get_peft_model
from transformers import Qwen3ForSequenceClassification

from alignment.errors import DataError
from alignment.ppo.rollout import generate, merged
from alignment.ppo.shared_base import SharedBase, batch_episodes
from assistant.registry.versions import Version

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [14]]
COMPLETIONS = [[20, 21], [22, 23, 24, 25], [26, 27, 28]]


def greedy(model: Any, prompts: list[list[int]], limits: list[int]) -> list[list[int]]:
    # A very low temperature leaves the likeliest token alone.
    return generate(model, prompts, limits, [2], 1e-6, [0] * len(prompts))


def test_answers_are_the_same_alone_and_in_a_batch_that_others_leave() -> None:
    model = tiny_model().eval()
    limits = [3, 12, 7]
    together = greedy(model, PROMPTS, limits)
    assert [len(one) for one in together] == limits
    assert together == [greedy(model, [one], [limit])[0] for one, limit in zip(PROMPTS, limits, strict=True)]


def test_an_answer_ends_with_its_end_and_not_after_it() -> None:
    model = tiny_model().eval()
    said = greedy(model, PROMPTS[:1], [10])[0]
    stopped = generate(model, PROMPTS[:1], [10], [said[4]], 1e-6, [0])[0]
    assert stopped == said[: said.index(said[4]) + 1]


def test_tokens_are_drawn_from_the_policys_own_distribution() -> None:
    model = tiny_model().eval()
    drawn = generate(model, [PROMPTS[0]] * 4000, [1] * 4000, [2], 1.5, range(4000))
    with torch.no_grad():
        expected = torch.softmax(model(torch.tensor(PROMPTS[:1])).logits[0, -1] / 1.5, dim=-1)
    found = torch.bincount(torch.tensor(drawn)[:, 0], minlength=4096) / 4000
    likely = expected.topk(5).indices
    assert torch.allclose(found[likely], expected[likely], atol=0.03)
    assert float((found * expected.log()).sum()) == pytest.approx(
        float((expected * expected.log()).sum()), abs=0.1
    )


def test_merging_for_generation_changes_no_answer_and_leaves_the_base_as_it_was() -> None:
    model = tiny_model().eval()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    ids = torch.tensor([PROMPTS[1]])
    with torch.no_grad():
        plain = model(ids).logits
        with merged(model, "default"):
            assert torch.allclose(model(ids).logits, plain, atol=1e-5)
        assert torch.equal(model(ids).logits, plain)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_padding_changes_neither_probabilities_nor_values_nor_gradients() -> None:
    shared = SharedBase(tiny_model(), True, 1.0, 1)
    with torch.no_grad():
        shared.value_head.outer.weight.normal_()
    together = shared.policy_output(batch_episodes(PROMPTS, COMPLETIONS, "cpu"), entropy=True)
    for row, (asked_ids, said_ids) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        alone = shared.policy_output(batch_episodes([asked_ids], [said_ids], "cpu"), entropy=True)
        scores = torch.log_softmax(shared.model(torch.tensor([asked_ids + said_ids])).logits[0], dim=-1)
        plain = scores[len(asked_ids) - 1 : -1].gather(1, torch.tensor(said_ids)[:, None])[:, 0]
        length = len(said_ids)
        assert torch.allclose(together.logps[row, :length], plain, atol=1e-4)
        for name in ("logps", "values", "entropy"):
            assert torch.allclose(
                getattr(together, name)[row, :length], getattr(alone, name)[0], atol=1e-4
            ), name
    together.logps[torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0]]).bool()].sum().backward()
    assert all(
        bool(one.grad.isfinite().all()) for one in shared.policy_weights().values() if one.grad is not None
    )


def test_the_value_head_never_moves_the_policy() -> None:
    shared = SharedBase(tiny_model(), True, 1.0, 1)
    with torch.no_grad():
        shared.value_head.outer.weight.normal_()
    values = shared.policy_output(batch_episodes(PROMPTS, COMPLETIONS, "cpu")).values
    assert values is not None
    values.sum().backward()
    assert all(weight.grad is None for weight in shared.policy_weights().values())
    assert all(weight.grad is not None for weight in shared.value_head.parameters())


@pytest.mark.parametrize("continued", [True, False])
def test_the_reference_stays_the_parent_while_the_policy_moves(continued: bool) -> None:
    model = tiny_model(moved=continued)
    parent = SharedBase(tiny_model(moved=continued), True, 1.0, 1)
    shared = SharedBase(model, continued, 1.0, 1)
    given = batch_episodes(PROMPTS, COMPLETIONS, "cpu")
    with torch.no_grad():
        before = parent.policy_output(given).logps
        for weight in shared.policy_weights().values():
            weight.add_(0.1)
        assert not torch.allclose(
            shared.policy_output(given).logps[given.mask], before[given.mask], atol=1e-2
        )
    assert torch.allclose(shared.reference_logps(given)[given.mask], before[given.mask], atol=1e-5)
    # Looking at the reference leaves the policy the one that is trained.
    assert shared.policy_weights()
    assert all(".default." in name for name in shared.policy_weights())


def reward_version(folder: Path, seed: int) -> tuple[Version, Any]:
    """A reward model of the tiny base, saved as PEFT saves one; and the model itself."""
    base: Any = Qwen3ForSequenceClassification(tiny_config())
    base.config.num_labels = 1
    base.score = torch.nn.Linear(32, 1, bias=False)
    base.model.load_state_dict(tiny_base().model.state_dict())
    torch.manual_seed(seed)
    model = get_peft_model(
        base.float(),
        LoraConfig(task_type="SEQ_CLS", r=4, target_modules="all-linear", modules_to_save=["score"]),
    ).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name or "score" in name:
                weight.normal_(std=0.3)
    model.save_pretrained(str(folder))
    manifest: Any = SimpleNamespace(stage="reward")
    version: Any = SimpleNamespace(id="v3", manifest=manifest, folder=folder)
    return version, model


def test_a_reward_model_on_the_shared_base_scores_as_it_does_alone(tmp_path: Path) -> None:
    version, alone = reward_version(tmp_path / "first", seed=1)
    other, _ = reward_version(tmp_path / "second", seed=2)
    shared = SharedBase(tiny_model(), True, 1.0, 1)
    given = batch_episodes(PROMPTS, COMPLETIONS, "cpu")
    before = shared.policy_output(given).logps.detach()
    shared.add_reward("reward", version)
    shared.add_reward("watch", other)
    sequences = [one + two for one, two in zip(PROMPTS, COMPLETIONS, strict=True)]
    with torch.no_grad():
        expected = [float(alone(torch.tensor([one])).logits) for one in sequences]
    assert shared.reward("reward", sequences, at_once=2) == pytest.approx(expected, abs=1e-4)
    assert shared.reward("watch", sequences, at_once=2) != pytest.approx(expected, abs=1e-2)
    # Policy and trainable weights are what they were.
    assert torch.equal(shared.policy_output(given).logps.detach(), before)
    assert all(".default." in name for name in shared.policy_weights())


def test_a_version_that_is_no_reward_model_is_refused(tmp_path: Path) -> None:
    version, _ = reward_version(tmp_path, seed=1)
    version.manifest.stage = "sft"  # type: ignore[misc]
    with pytest.raises(DataError, match="no reward model but was made by 'sft'"):
        SharedBase(tiny_model(), True, 1.0, 1).add_reward("reward", version)
