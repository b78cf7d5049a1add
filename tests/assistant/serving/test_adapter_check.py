"""The check of adapters: what is refused, in the same words everywhere, and where the expected shapes come from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.changed_version import DAMAGES, Weights, with_weights
from helpers.tiny_home import tiny_home
from helpers.toy_models import FAMILIES, make
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from assistant.bases.base import Base
from assistant.bases.gguf_layout import ARCHITECTURES
from assistant.bases.model_folder import LINEAR, USUAL_LAYOUT, linear_layers
from assistant.errors import VersionError
from assistant.registry.versions import Manifest, Version, Versions, now
from assistant.serving.adapter_check import (
    check_plain_adapter,
    lora_shapes,
    plain_lora_settings,
)
from assistant.serving.llama_cpp.converted_adapter import adapter_file
from assistant.serving.loading import Placement, load_for_serving, load_for_training
from assistant.serving.peft_compat import tensor_shapes

Refuse = Callable[[Version], object]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    return Versions(tiny_home(tmp_path_factory.mktemp("tiny") / "home"))


def readers(versions: Versions, cache: Path) -> dict[str, Refuse]:
    """Everything that reads an adapter, by name."""
    home, base = versions.home, versions.home / "tiny"
    config = json.loads((base / "config.json").read_text())
    return {
        "a remote server": lambda version: check_plain_adapter(version, config),
        "llama.cpp": lambda version: adapter_file(version, base, cache),
        "transformers": lambda version: load_for_serving(version, home, Placement(device="cpu")),
        "training": lambda version: load_for_training(version, home),
    }


def refusals(version: Version, versions: Versions, cache: Path) -> set[str]:
    messages = set()
    for read in readers(versions, cache).values():
        with pytest.raises(VersionError) as raised:
            read(version)
        messages.add(str(raised.value))
    assert not list(cache.glob("*"))
    return messages


def test_a_sound_adapter_is_taken_everywhere(versions: Versions, tmp_path: Path) -> None:
    for read in readers(versions, tmp_path / "cache").values():
        read(versions.open("v1"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_adapter_is_refused_everywhere_in_the_same_words(
    versions: Versions, tmp_path: Path, damage: str
) -> None:
    change, message = DAMAGES[damage]
    bad = with_weights(versions.open("v1"), versions, change)
    (refusal,) = {text.replace(bad.id, "v2") for text in refusals(bad, versions, tmp_path / "cache")}
    with pytest.raises(VersionError, match=message):
        raise VersionError(refusal)


def test_a_file_that_is_cut_off_and_unreadable_settings_are_refused_everywhere(
    versions: Versions, tmp_path: Path
) -> None:
    sound = versions.open("v1")

    def broken(name: str, content: bytes) -> Version:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for file in sound.manifest.files:
            (folder / file).write_bytes((sound.folder / file).read_bytes())
        (folder / name).write_bytes(content)
        return Version(sound.manifest, folder)

    weights = (sound.folder / "adapter_model.safetensors").read_bytes()
    for content in (b"", weights[:5], weights[:200], weights[:-40], b"\xff" * 8 + weights[8:]):
        for message in refusals(broken("adapter_model.safetensors", content), versions, tmp_path / "cache"):
            assert "adapter_model.safetensors are damaged" in message or "does not fit" in message
    settings = json.loads((sound.folder / "adapter_config.json").read_text())
    for content in (b"{", b"[]", json.dumps({**settings, "lora_alpha": float("nan")}).encode()):
        (message,) = refusals(broken("adapter_config.json", content), versions, tmp_path / "cache")
        assert "its adapter_config.json is damaged" in message


def test_an_adapter_that_changes_nothing_is_refused_everywhere(versions: Versions, tmp_path: Path) -> None:
    other = versions.open("v1")
    with versions.staging() as folder:
        settings = json.loads((other.folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps({**settings, "target_modules": ["w_proj"]}))
        (folder / "adapter_model.safetensors").write_bytes(
            (other.folder / "adapter_model.safetensors").read_bytes()
        )
        manifest = Manifest(versions.next_id(), other.manifest.base, "v1", "sft", now())
        other = versions.add(manifest, folder)
    refusals(other, versions, tmp_path / "cache")


# Where the expected shapes come from


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("toys")
    return {name: make(name, folder / name) for name in FAMILIES}


def config_of(toy: Path) -> dict[str, Any]:
    return dict(AutoConfig.from_pretrained(toy).to_dict())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_configuration_tells_the_sizes_of_the_linear_layers(toys: dict[str, Path], name: str) -> None:
    config = config_of(toys[name])
    model = AutoModelForCausalLM.from_pretrained(toys[name])
    actual = {
        path: (module.out_features, module.in_features)
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and path != "lm_head"
    }
    known = config["architectures"][0] in USUAL_LAYOUT
    assert linear_layers(config) == (actual if known else {})
    assert known or name == "phi"


def test_what_llama_cpp_converts_has_the_usual_layout() -> None:
    assert set(ARCHITECTURES) <= set(USUAL_LAYOUT)


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": "all-linear"},
        {"target_modules": ["q_proj", "down_proj"], "r": 2},
        {"target_modules": r".*\.[kv]_proj"},
        {"target_modules": ["model.layers.1.self_attn.o_proj"]},
        {"target_modules": list(LINEAR), "exclude_modules": ["mlp.up_proj"]},
        {"target_modules": ["q_proj"], "layers_to_transform": 1},
        {"target_modules": ["q_proj"], "layers_to_transform": [0], "use_rslora": True},
    ],
)
def test_the_tensors_of_plain_lora_are_those_that_peft_saves(
    toys: dict[str, Path], tmp_path: Path, settings: dict[str, Any]
) -> None:
    model = AutoModelForCausalLM.from_pretrained(toys["qwen3"])
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    tuned.save_pretrained(str(tmp_path))
    version = Version(Manifest("v2", Base("qwen3", ""), None, "sft", now()), tmp_path)
    expected = lora_shapes(plain_lora_settings(version), linear_layers(config_of(toys["qwen3"])))
    assert expected == tensor_shapes(tuned)


@pytest.mark.parametrize(
    "settings",
    [
        {"use_dora": True},
        {"rank_pattern": {"q_proj": 2}},
        {"alpha_pattern": {"q_proj": 2}},
        {"modules_to_save": ["norm"]},
    ],
)
def test_more_than_plain_lora_is_served_by_transformers_alone(
    versions: Versions, tmp_path: Path, settings: dict[str, Any]
) -> None:
    model = AutoModelForCausalLM.from_pretrained(versions.home / "tiny")
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], **settings))
    with versions.staging() as folder:
        tuned.save_pretrained(str(folder), save_embedding_layers=False)
        manifest = Manifest(versions.next_id(), versions.manifest("v1").base, "v1", "sft", now())
        version = versions.add(manifest, folder)
    for name, read in readers(versions, tmp_path / "cache").items():
        if name in ("transformers", "training"):
            read(version)
        else:
            with pytest.raises(VersionError, match=rf"{next(iter(settings))}.*--engine transformers"):
                read(version)


def test_on_a_base_of_another_layout_both_matrices_of_each_target_must_be_there(
    toys: dict[str, Path], tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(toys["phi"])
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["qkv_proj"]))
    config = config_of(toys["phi"])
    base = Versions(tmp_path / "home")

    def saved(change: Callable[[Weights], Weights]) -> Version:
        with base.staging() as folder:
            tuned.save_pretrained(str(folder))
            (folder / "README.md").unlink(missing_ok=True)
            first = base.add(Manifest(base.next_id(), Base("phi", ""), None, "sft", now()), folder)
        return with_weights(first, base, change)

    check_plain_adapter(saved(lambda weights: weights), config)
    for change in (
        lambda weights: {name: weight for name, weight in weights.items() if "lora_A" in name},
        lambda weights: {name.replace("qkv_proj", "qqq_proj"): weight for name, weight in weights.items()},
        lambda weights: {name: weight[:3] for name, weight in weights.items() if "lora_A" in name},
        lambda weights: {name: weight * float("nan") for name, weight in weights.items()},
    ):
        with pytest.raises(VersionError):
            check_plain_adapter(saved(change), config)
