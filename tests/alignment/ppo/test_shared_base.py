"""The base that policy, value function, reference and reward models of PPO share."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.tiny_ppo import tiny_base, tiny_config, tiny_model
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import Qwen3ForSequenceClassification

from alignment.errors import DataError
from alignment.ppo.shared_base import SharedBase, batch_episodes
from assistant.errors import VersionError
from assistant.registry.versions import Version

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [14]]
COMPLETIONS = [[20, 21], [22, 23, 24, 25], [26, 27, 28]]


def test_padding_changes_neither_probabilities_nor_values_nor_gradients() -> None:
    shared = SharedBase(tiny_model(), True, 1.0, 1)
    with torch.no_grad():
        shared.value_head.outer.weight.normal_()
    padded = shared.policy_output(batch_episodes(PROMPTS, COMPLETIONS, "cpu"), entropy=True)
    for row, (prompt, completion) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        alone = shared.policy_output(batch_episodes([prompt], [completion], "cpu"), entropy=True)
        scores = torch.log_softmax(shared.model(torch.tensor([prompt + completion])).logits[0], dim=-1)
        plain = scores[len(prompt) - 1 : -1].gather(1, torch.tensor(completion)[:, None])[:, 0]
        length = len(completion)
        assert torch.allclose(padded.logps[row, :length], plain, atol=1e-4)
        for name in ("logps", "values", "entropy"):
            assert torch.allclose(getattr(padded, name)[row, :length], getattr(alone, name)[0], atol=1e-4), (
                name
            )
    padded.logps[torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0]]).bool()].sum().backward()
    assert all(
        bool(weight.grad.isfinite().all())
        for weight in shared.policy_weights().values()
        if weight.grad is not None
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
    batch = batch_episodes(PROMPTS, COMPLETIONS, "cpu")
    with torch.no_grad():
        before = parent.policy_output(batch).logps
        for weight in shared.policy_weights().values():
            weight.add_(0.1)
        assert not torch.allclose(
            shared.policy_output(batch).logps[batch.mask], before[batch.mask], atol=1e-2
        )
    assert torch.allclose(shared.reference_logps(batch)[batch.mask], before[batch.mask], atol=1e-5)
    # After a pass of the reference, the policy is still the adapter that is trained.
    assert shared.policy_weights()
    assert all(".default." in name for name in shared.policy_weights())


def reward_version(folder: Path, seed: int) -> tuple[Version, Any]:
    """A version of a reward model on the tiny base, saved by PEFT, and the model itself."""
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
    manifest: Any = SimpleNamespace(stage="reward", base=SimpleNamespace(name="tiny"))
    version: Any = SimpleNamespace(id="v3", manifest=manifest, folder=folder)
    return version, model


def test_a_reward_model_on_the_shared_base_scores_as_it_does_alone(tmp_path: Path) -> None:
    version, alone = reward_version(tmp_path / "first", seed=1)
    other, _ = reward_version(tmp_path / "second", seed=2)
    shared = SharedBase(tiny_model(), True, 1.0, 1)
    batch = batch_episodes(PROMPTS, COMPLETIONS, "cpu")
    before = shared.policy_output(batch).logps.detach()
    shared.add_reward("reward", version)
    shared.add_reward("watch", other)
    sequences = [prompt + completion for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True)]
    with torch.no_grad():
        expected = [float(alone(torch.tensor([ids])).logits) for ids in sequences]
    assert shared.reward("reward", sequences, at_once=2) == pytest.approx(expected, abs=1e-4)
    assert shared.reward("watch", sequences, at_once=2) != pytest.approx(expected, abs=1e-2)
    # The policy and the weights that are trained have not changed.
    assert torch.equal(shared.policy_output(batch).logps.detach(), before)
    assert all(".default." in name for name in shared.policy_weights())


def test_a_version_other_than_a_reward_model_is_refused(tmp_path: Path) -> None:
    version, _ = reward_version(tmp_path, seed=1)
    version.manifest.stage = "sft"  # type: ignore[misc]
    with pytest.raises(DataError, match="not a reward model: it was made by 'sft'"):
        SharedBase(tiny_model(), True, 1.0, 1).add_reward("reward", version)


def test_a_reward_model_with_other_shapes_or_without_numbers_is_refused(tmp_path: Path) -> None:
    version, _ = reward_version(tmp_path, seed=1)
    path = tmp_path / "adapter_model.safetensors"
    sound = load_file(path)
    name = next(name for name in sound if "lora_B" in name)
    for change, message in (
        (sound[name][:-1], f"{re.escape(name)} is"),
        (sound[name] * float("inf"), f"{re.escape(name)} holds NaN or infinite"),
    ):
        save_file({**sound, name: change.contiguous()}, path)
        with pytest.raises(VersionError, match=message):
            SharedBase(tiny_model(), True, 1.0, 1).add_reward("reward", version)


def test_batches_of_many_lengths_have_few_widths() -> None:
    widths = {
        batch_episodes([[1] * prompt], [[2] * completion], "cpu").ids.shape[1]
        for prompt in range(1, 40)
        for completion in range(1, 20)
    }
    assert widths == {32, 64}
