"""Muon and AdamW as one optimiser: which weights each trains, a schedule for both, and an exact resume."""

import io

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from alignment.training.muon import MuonWithAdamW


def model(tied: bool = True) -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=32,
            hidden_size=16,
            num_hidden_layers=2,
            intermediate_size=24,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            tie_word_embeddings=tied,
            bos_token_id=None,
            eos_token_id=1,
            pad_token_id=0,
        )
    )


def optimizer(of: torch.nn.Module, rate: float = 1e-2) -> MuonWithAdamW:
    return MuonWithAdamW(of, rate, weight_decay=0.1, adam_beta2=0.95)


def step(of: Qwen3ForCausalLM, by: MuonWithAdamW, number: int) -> None:
    ids = torch.randint(0, 32, (2, 12), generator=torch.Generator().manual_seed(number))
    by.zero_grad()
    of(ids, labels=ids).loss.backward()
    by.step()


def weights(of: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in of.named_parameters()}


@pytest.mark.parametrize("tied", [True, False])
def test_matrices_go_to_muon_and_embeddings_and_vectors_to_adamw(tied: bool) -> None:
    trained = model(tied)
    names = {id(value): name for name, value in trained.named_parameters()}
    muon, adamw = (
        {names[id(value)] for value in group["params"]} for group in optimizer(trained).param_groups
    )
    embeddings = {"model.embed_tokens.weight"} | (set() if tied else {"lm_head.weight"})
    assert embeddings <= adamw
    assert all(name.endswith("proj.weight") for name in muon)
    assert all("norm" in name for name in adamw - embeddings)
    assert muon | adamw == set(names.values()) and not muon & adamw


def test_frozen_weights_belong_to_neither_and_do_not_move() -> None:
    trained = model()
    trained.model.layers[0].requires_grad_(False)
    by = optimizer(trained)
    held = {id(value) for group in by.param_groups for value in group["params"]}
    assert not any(id(value) in held for value in trained.model.layers[0].parameters())
    before = weights(trained)
    step(trained, by, 1)
    after = weights(trained)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if not name.startswith("model.layers.0.")}


def test_a_schedule_reaches_both_parts() -> None:
    trained = model()
    by = optimizer(trained)
    schedule = torch.optim.lr_scheduler.LambdaLR(by, lambda steps: 0.0 if steps else 1.0)
    step(trained, by, 1)
    schedule.step()
    before = weights(trained)
    # At a learning rate of 0 neither part may move a weight.
    step(trained, by, 2)
    assert all(torch.equal(value, before[name]) for name, value in weights(trained).items())


def test_a_schedule_reaches_both_parts_after_a_checkpoint_was_loaded() -> None:
    trained = model()
    by = optimizer(trained)
    schedule = torch.optim.lr_scheduler.LambdaLR(by, lambda steps: 0.0 if steps else 1.0)
    step(trained, by, 1)
    by.load_state_dict(by.state_dict())
    schedule.step()
    before = weights(trained)
    step(trained, by, 2)
    assert all(torch.equal(value, before[name]) for name, value in weights(trained).items())


def test_training_continues_from_a_checkpoint_to_the_same_weights() -> None:
    straight = model()
    by = optimizer(straight)
    for number in range(3):
        step(straight, by, number)
    file = io.BytesIO()
    torch.save({"model": straight.state_dict(), "optimizer": by.state_dict()}, file)
    for number in range(3, 6):
        step(straight, by, number)

    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed = model()
    resumed.load_state_dict(saved["model"])
    by = optimizer(resumed)
    by.load_state_dict(saved["optimizer"])
    for number in range(3, 6):
        step(resumed, by, number)
    expected = weights(straight)
    assert all(torch.equal(value, expected[name]) for name, value in weights(resumed).items())


def test_a_model_without_a_matrix_to_train_is_refused() -> None:
    trained = model().requires_grad_(False)
    trained.model.norm.requires_grad_(True)
    with pytest.raises(ValueError, match="empty parameter list"):
        optimizer(trained)
