"""Training on a base in 4 or 8 bits: it learns, and the new version is served as it was trained."""

import importlib.util
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.feedback import apples, rate_replies
from helpers.pair_rows import numbers, row, write
from helpers.tiny_home import tiny_home
from helpers.tiny_ppo import quick
from safetensors.torch import load_file

from alignment.__main__ import main
from alignment.training.flags import StageLocation
from alignment.training.parent_version import open_parent
from assistant.bases.base import Base
from assistant.errors import ModelError
from assistant.registry.versions import Version, Versions
from assistant.serving.bitsandbytes_compat import keep_trainable
from assistant.serving.loading import Placement, load_for_serving, load_for_training, quantized

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"
)
IDS = torch.arange(10, 40)[None]


def run(home: Path, stage: str, *arguments: str) -> int:
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    return main([stage, "--home", str(home), *arguments])


def learn(home: Path, stage: str, bits: str) -> None:
    """Run a stage on a quantized base; its version is v2."""
    tiny_home(home, width=64)
    settings = ["--quantize", bits]
    if stage == "sft":
        rows = [
            {"messages": row(n)["messages"], "think": False, "thought": "", "answer": f"{n + 2} apples"}
            for n in numbers(False, 16)
        ]
        settings += [
            "--batch_size=4",
            "--epochs=10",
            "--learning_rate=2e-2",
            "--demonstrations",
            str(write(home / "rows.jsonl", rows)),
        ]
    else:
        settings += [
            "--batch_size=4",
            "--min_steps=24",
            "--epochs=1",
            "--learning_rate=1e-2",
            "--evaluations=1",
        ]
    if stage in ("kto", "reward"):
        rate_replies(home, apples(18))
    if stage == "dpo":
        settings += ["--pairs", str(write(home / "pairs.jsonl", [row(n) for n in numbers(False, 16)]))]
    assert run(home, stage, *settings) == 0


@pytest.fixture(scope="module")
def trained_homes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Homes after a stage on a quantized base, made once each: that takes seconds, and several tests begin there."""

    @cache
    def home_after(stage: str, bits: str) -> Path:
        home = tmp_path_factory.mktemp("round") / "home"
        learn(home, stage, bits)
        return home

    return home_after


@pytest.fixture
def learned(trained_homes: Callable[[str, str], Path], home: Path) -> Callable[[str, str], Version]:
    """A function that copies such a home to `home` and returns its new version."""

    def copy_version(stage: str, bits: str) -> Version:
        shutil.copytree(trained_homes(stage, bits), home)
        return Versions(home).open("v2")

    return copy_version


def weights(version: Version) -> dict[str, torch.Tensor]:
    return load_file(version.folder / "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("stage", "bits"),
    [
        ("sft", "4bit"),
        pytest.param("sft", "8bit", marks=pytest.mark.slow),
        ("reward", "8bit"),
        pytest.param("kto", "4bit", marks=pytest.mark.slow),
        ("dpo", "4bit"),
    ],
)
def test_training_on_a_quantized_base_learns_and_the_manifest_records_it(
    home: Path, stage: str, bits: str, learned: Callable[[str, str], Version]
) -> None:
    version = learned(stage, bits)
    history = json.loads((version.folder / "curves.json").read_text())
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert losses[-1] < 0.95 * losses[0]
    assert version.manifest.base.quantize == bits
    assert version.manifest.recipe["quantize"] == bits
    before, after = weights(Versions(home).open("v1")), weights(version)
    shared = before.keys() & after.keys()
    assert len(shared) == len(before)
    assert all(after[name].dtype == torch.float32 for name in shared)
    # The gradient reaches the first layer.
    assert all(not torch.equal(before[name], after[name]) for name in shared if "lora_B" in name)


def logits(model: Any) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(IDS).logits


@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_a_version_on_a_quantized_base_is_served_on_it_and_not_on_the_whole_base(
    home: Path, bits: str
) -> None:
    # Untrained: how much a trained adapter adds, beside which the rounding is small, differs from machine to machine.
    unquantized = Versions(tiny_home(home, width=64)).open("v1")
    rounded = replace(unquantized.manifest.base, quantize=bits)  # type: ignore[arg-type]
    version = replace(unquantized, manifest=replace(unquantized.manifest, base=rounded))
    trained = logits(load_for_training(version, home).model)
    served = load_for_serving(version, home, Placement(device="cpu")).model
    spread = trained.std()
    # On a CPU with a bfloat16 kernel the served base computes in bfloat16.
    assert (logits(served) - trained).square().mean().sqrt() < 0.02 * spread
    explicit = load_for_serving(version, home, Placement(device="cpu", quantize=bits)).model  # type: ignore[arg-type]
    assert torch.equal(logits(explicit), logits(served))
    whole = load_for_serving(unquantized, home, Placement(device="cpu")).model
    difference = (logits(whole) - trained).square().mean().sqrt() / spread
    assert difference > {"4bit": 0.05, "8bit": 0.01}[bits]
    other = "8bit" if bits == "4bit" else "4bit"
    with pytest.raises(ModelError, match=f"trained on tiny in {bits}.*Give --quantize {bits} instead"):
        load_for_serving(version, home, Placement(device="cpu", quantize=other))  # type: ignore[arg-type]


def test_merging_an_adapter_into_a_whole_base_changes_no_logit(home: Path) -> None:
    version = Versions(tiny_home(home, width=64)).open("v1")
    unmerged = logits(load_for_training(version, home).model)
    assert torch.allclose(
        logits(load_for_serving(version, home, Placement(device="cpu")).model), unmerged, atol=1e-4
    )


def test_the_next_stage_keeps_the_quantized_base_and_its_reference_is_the_parent(
    home: Path, capsys: pytest.CaptureFixture[str], learned: Callable[[str, str], Version]
) -> None:
    learned("sft", "4bit")
    Versions(home).release("v2")
    rate_replies(home, apples(18))
    capsys.readouterr()
    assert run(home, "kto", "--batch_size=8", "--min_steps=2", "--epochs=1") == 0
    assert "base: tiny in 4bit" in capsys.readouterr().out
    parent, child = (Versions(home).open(name) for name in ("v2", "v3"))
    assert child.manifest.base == parent.manifest.base
    assert (child.manifest.parent, child.manifest.base.quantize) == ("v2", "4bit")
    reopened = open_parent(StageLocation(home, "v2"))
    assert torch.equal(logits(reopened.loaded.model), logits(load_for_training(parent, home).model))
    assert run(home, "kto", "--quantize=8bit") == 2
    assert "trained on tiny in 4bit" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["pretrain", "sft"])
def test_all_weights_of_a_quantized_base_are_never_trained(
    home: Path, stage: str, capsys: pytest.CaptureFixture[str], learned: Callable[[str, str], Version]
) -> None:
    learned("sft", "4bit")
    text = home / "text.txt"
    text.write_text("One and two are three. " * 200, encoding="utf-8")
    settings = {
        "pretrain": ["--text", str(text), "--block_length=32"],
        "sft": ["--full", "--demonstrations", str(home / "rows.jsonl")],
    }
    assert run(home, stage, "--parent", "v2", *settings[stage]) == 2
    assert "base of this round is in 4bit" in capsys.readouterr().err
    assert Versions(home).ids() == ["v1", "v2"]


@pytest.mark.parametrize("stage", ["ppo", "rloo"])
def test_a_reward_model_and_the_policy_share_a_quantized_base(
    home: Path, stage: str, capsys: pytest.CaptureFixture[str], learned: Callable[[str, str], Version]
) -> None:
    learned("reward", "4bit")
    settings = {
        "ppo": quick(home, "--reward", "v2")[3:],
        "rloo": [
            *("--reward", "v2", "--suite=addition", "--updates=2"),
            # A high temperature, because nothing can be learned from answers that are the same.
            *("--batch_size=2", "--answers=4", "--max_new_tokens=6", "--temperature=1.5"),
        ],
    }[stage]
    if stage == "ppo":
        assert run(home, stage, *settings) == 2
        assert "on one in other bits" in capsys.readouterr().err
    assert run(home, stage, "--quantize", "4bit", *settings) == 0
    version = Versions(home).open("v3")
    assert version.manifest.base.quantize == "4bit"
    before, after = weights(Versions(home).open("v1")), weights(version)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(weight.isfinite().all() for weight in after.values())


def gradients(model: Any) -> dict[str, torch.Tensor]:
    model.train()
    model.zero_grad()
    model(IDS, labels=IDS).loss.backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def test_an_evaluation_does_not_change_later_gradients(home: Path) -> None:
    version = Versions(tiny_home(home, width=64)).open("v1")
    model = load_for_training(version, home, quantized(version.manifest.base, "4bit")).model
    before = gradients(model)
    logits(model)
    after = gradients(model)
    assert before.keys() == after.keys() and len(before) == 28
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_layers_are_kept_from_repacking_their_weights() -> None:
    layer = torch.nn.Linear(2, 2)
    layer.support_avx512bf16_for_cpu = True  # type: ignore[assignment]
    keep_trainable(torch.nn.Sequential(layer))
    assert layer.support_avx512bf16_for_cpu is False


def test_a_quantized_base_cannot_be_quantized_to_other_bits() -> None:
    base = Base("starter", "1")
    assert quantized(base, None) == base
    assert quantized(base, "4bit") == quantized(quantized(base, "4bit"), None) == Base("starter", "1", "4bit")
    with pytest.raises(ModelError, match="in 4bit"):
        quantized(Base("starter", "1", "4bit"), "8bit")
