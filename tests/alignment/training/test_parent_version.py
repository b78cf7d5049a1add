"""The parent's model as a stage trains it: a new adapter, and an adapter's precision."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_home import tiny_home

from alignment.stages.kto import KTORecipe
from alignment.training import parent_version
from alignment.training.flags import StageLocation
from alignment.training.parent_version import open_parent, trainable_model, with_new_adapter
from alignment.training.processes import autocast
from alignment.training.trl_compat import in_float32
from assistant.bases.base import STARTER_FOLDER, Base, folder_hash
from assistant.serving.loading import load_base

RECIPE = KTORecipe(lora_r=4, lora_alpha=8)


def test_a_new_adapter_is_the_same_for_the_same_seed(home: Path) -> None:
    def first_weights(seed: int) -> dict[str, torch.Tensor]:
        base = load_base(Base("starter", folder_hash(STARTER_FOLDER / "base")), home, torch.float32).model
        model = with_new_adapter(base, rank=32, alpha=64, seed=seed)
        return {name: value for name, value in model.named_parameters() if "lora_A" in name}

    first, again, other = first_weights(1), first_weights(1), first_weights(2)
    assert first
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first)


def test_a_base_without_an_adapter_gets_one_that_changes_no_logit(home: Path) -> None:
    parent = open_parent(StageLocation(tiny_home(home, adapter=False)))
    ids = torch.arange(20, 60).view(2, 20)
    with torch.no_grad(), autocast(torch.device("cpu")):
        base_logits = parent.loaded.model.eval()(ids).logits
        model, reference = trainable_model(parent, RECIPE, full=False, needs_reference=True)
        assert torch.equal(model.eval()(ids).logits, base_logits)
    assert reference is None
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)


def test_frozen_weights_are_rounded_once_with_the_same_products(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = open_parent(StageLocation(tiny_home(home)))
    monkeypatch.setattr(parent_version, "fast_bfloat16", lambda: True)
    ids = torch.arange(20, 60).view(2, 20)

    def logits_and_gradients(model: Any) -> list[torch.Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            logits = model.eval()(ids).logits
        logits.float().logsumexp(-1).sum().backward()
        return [logits, *(weight.grad for weight in model.parameters() if weight.grad is not None)]

    exact = copy.deepcopy(parent.loaded.model)
    rounded, _ = trainable_model(parent, RECIPE, full=False, needs_reference=True)
    for before, after in zip(logits_and_gradients(exact), logits_and_gradients(rounded), strict=True):
        assert torch.equal(before, after)
    assert {weight.dtype for weight in exact.parameters()} == {torch.float32}
    products = [layer.weight for layer in rounded.modules() if isinstance(layer, torch.nn.Linear)]
    assert {weight.dtype for weight in products if not weight.requires_grad} == {torch.bfloat16}
    assert all(weight.dtype == torch.float32 for weight in rounded.parameters() if weight.requires_grad)
    assert rounded.get_input_embeddings().weight.dtype == torch.float32


def test_the_adapter_keeps_its_precision_while_a_trainer_is_constructed() -> None:
    model = torch.nn.Linear(4, 4)
    exact = model.weight.detach().clone()
    with in_float32(model):
        for weight in model.parameters():
            weight.data = weight.data.bfloat16()
    assert model.weight.dtype is torch.float32
    assert torch.equal(model.weight, exact)
