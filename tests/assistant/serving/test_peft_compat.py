"""Canaries: each fails with the installed version if an internal of PEFT goes away that this project uses."""

from pathlib import Path

import pytest
import torch
from helpers.canary import gone
from helpers.tiny_ppo import tiny_model
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from assistant.registry.first_version import version_to_serve
from assistant.serving.loading import load_for_serving
from assistant.serving.peft_compat import merge_adapter, name_base, temporarily_merged, weights_by_name


@pytest.fixture
def tuned(home: Path) -> torch.nn.Module:
    """The starter with a fresh adapter beside it."""
    base = load_for_serving(version_to_serve(home, "starter"), home).model
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    return get_peft_model(base, config)  # type: ignore[no-any-return]


def test_a_weight_with_an_adapter_beside_it_is_found_by_its_own_name(
    tuned: torch.nn.Module, home: Path
) -> None:
    if not any(".base_layer." in name for name, _ in tuned.named_parameters()):
        gone("peft", "'.base_layer.' in the names of weights that have an adapter beside them")
    inner = tuned.get_base_model()  # type: ignore[operator]
    fresh = load_for_serving(version_to_serve(home, "starter"), home).model
    assert set(weights_by_name(fresh)) <= set(weights_by_name(inner))


def test_an_adapters_file_names_the_layer_and_the_part(tuned: torch.nn.Module, tmp_path: Path) -> None:
    tuned.save_pretrained(tmp_path)  # type: ignore[operator]
    names = load_file(tmp_path / "adapter_model.safetensors")
    if not all(name.startswith("base_model.model.") and ".lora_" in name for name in names):
        gone("peft", "'base_model.model.….lora_A.weight' in the names of a saved adapter")


def test_the_base_that_an_adapter_names_can_be_set(tuned: torch.nn.Module) -> None:
    if not hasattr(tuned.peft_config["default"], "base_model_name_or_path"):  # type: ignore[index]
        gone("peft", "base_model_name_or_path of an adapter's configuration")
    name_base(tuned)
    assert tuned.peft_config["default"].base_model_name_or_path == tuned.config.name_or_path  # type: ignore[index, union-attr]
    name_base(tuned, "starter")
    assert tuned.peft_config["default"].base_model_name_or_path == "starter"  # type: ignore[index]


def test_merging_gives_the_logits_of_the_adapter_beside_its_base(tuned: torch.nn.Module) -> None:
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        beside = tuned(ids).logits
        cores = torch.get_num_threads()
        merged = merge_adapter(tuned)
        assert torch.get_num_threads() == cores
        assert torch.allclose(merged(ids).logits, beside, atol=1e-4)


def test_merging_changes_no_logits_and_restores_the_base_exactly() -> None:
    model = tiny_model().eval()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    ids = torch.tensor([[8, 9, 10, 11, 12, 13]])
    with torch.no_grad():
        plain = model(ids).logits
        with temporarily_merged(model, "default"):
            assert torch.allclose(model(ids).logits, plain, atol=1e-5)
        assert torch.equal(model(ids).logits, plain)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
