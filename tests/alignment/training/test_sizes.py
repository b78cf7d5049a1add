"""Defaults by size: what a recipe becomes for a model, and what was given stays."""

from pathlib import Path

import pytest
from helpers.feedback import apples, rate_replies
from helpers.tiny_home import tiny_home
from peft import LoraConfig, get_peft_model

from alignment.__main__ import main
from alignment.stages.correct import CorrectRecipe
from alignment.stages.dpo import DPORecipe
from alignment.stages.kto import KTORecipe
from alignment.stages.ppo import PPORecipe
from alignment.stages.reward import RewardRecipe
from alignment.stages.rloo import RLOORecipe
from alignment.stages.sft import SFTRecipe
from alignment.training.sizes import BY_SIZE, FILLED, UP_TO, base_parameters, for_size
from assistant.registry.versions import Versions
from assistant.serving.loading import load_for_serving

RECIPES = {
    "sft": SFTRecipe,
    "correct": CorrectRecipe,
    "reward": RewardRecipe,
    "dpo": DPORecipe,
    "kto": KTORecipe,
    "rloo": RLOORecipe,
    "ppo": PPORecipe,
}


@pytest.mark.parametrize("stage", BY_SIZE)
@pytest.mark.parametrize("parameters", [5e6, 135e6, 0.6e9, 1.7e9, 8e9])
def test_every_recipe_is_complete_at_every_size(stage: str, parameters: float) -> None:
    recipe = for_size(RECIPES[stage](), stage, parameters)
    assert all(getattr(recipe, name, 0) is not None for name in FILLED)


@pytest.mark.parametrize("stage", BY_SIZE)
def test_learning_rates_do_not_rise_with_the_size(stage: str) -> None:
    rates = list(BY_SIZE[stage]["learning_rate"])
    assert len(rates) == len(UP_TO)
    # KTO's smallest models have a `beta` of their own, which a rate goes with; RLOO's rates below 0.5B were measured
    # on other rewards.
    rates = rates[1:] if stage in ("kto", "rloo") else rates
    assert rates == sorted(rates, reverse=True)


def test_the_starters_values_are_those_that_were_measured() -> None:
    kto, dpo, sft, reward = (
        for_size(RECIPES[stage](), stage, 5e6) for stage in ("kto", "dpo", "sft", "reward")
    )
    assert (kto.learning_rate, kto.epochs, kto.beta, kto.lora_r, kto.lora_alpha) == (1e-4, 4, 1, 32, 64)
    assert (dpo.learning_rate, dpo.epochs) == (7e-5, 3)
    assert (sft.learning_rate, sft.epochs, sft.lora_r, sft.lora_alpha) == (1.5e-3, 1, 32, 64)
    assert (reward.learning_rate, reward.epochs, reward.lora_r, reward.lora_alpha) == (3e-4, 3, 16, 32)


def test_an_adapter_does_not_count_to_the_size_of_a_model(home: Path) -> None:
    tiny_home(home, adapter=False)
    model = load_for_serving(Versions(home).open("v1"), home).model
    size = model.num_parameters()
    adapted = get_peft_model(model, LoraConfig(r=64, target_modules="all-linear"))
    adapted.add_adapter("reference", LoraConfig(r=64, target_modules="all-linear"))
    assert base_parameters(adapted) == size


def test_what_was_given_stays() -> None:
    recipe = for_size(KTORecipe(learning_rate=1e-6, lora_r=8), "kto", 5e6)
    assert (recipe.learning_rate, recipe.lora_r, recipe.lora_alpha) == (1e-6, 8, 16)


def test_a_new_adapter_is_as_the_flags_say_and_the_manifest_names_what_was_used(home: Path) -> None:
    rate_replies(tiny_home(home, adapter=False), apples(8))
    flags = ["--lora_r=2", "--lora_target_modules", "q_proj", "v_proj", "--epochs=1", "--min_steps=1"]
    assert main(["kto", "--home", str(home), *flags]) == 0
    version = Versions(home).open("v2")
    assert version.manifest.recipe["learning_rate"] == 1e-4
    assert (version.manifest.recipe["lora_r"], version.manifest.recipe["lora_alpha"]) == (2, 4)
    config = (version.folder / "adapter_config.json").read_text(encoding="utf-8")
    assert '"r": 2' in config
    assert "q_proj" in config
    assert "gate_proj" not in config


@pytest.mark.parametrize(
    ("adapter", "flags", "message"),
    [
        (True, ["--lora_r=8"], "--lora_r would shape a new adapter, but v1 has one"),
        (False, ["--full", "--lora_alpha=8"], "--lora_alpha would shape a new adapter, but --full"),
        (False, ["--lora_target_modules", "nonsense"], "--lora_target_modules nonsense: "),
        (True, ["--learning_rate=-1"], "--learning_rate is -1: it must be a number above 0"),
        (True, ["--learning_rate=0"], "--learning_rate is 0: it must be a number above 0"),
        (True, ["--learning_rate=nan"], "--learning_rate is nan: it must be a number above 0"),
        (True, ["--batch_size=0"], "--batch_size is 0: KTO compares"),
        (True, ["--batch_size=1"], "--batch_size is 1: KTO compares"),
        (True, ["--epochs=inf"], "--epochs is inf: it must be a number above 0"),
        (True, ["--memory=0"], "--memory is 0: it must be a number above 0"),
        (True, ["--memory=0.1"], "Training takes about"),
        (True, ["--max_length=5"], "None of the"),
    ],
)
def test_a_value_that_nothing_can_be_trained_with_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], adapter: bool, flags: list[str], message: str
) -> None:
    rate_replies(tiny_home(home, adapter=adapter), apples(8))
    assert main(["kto", "--home", str(home), *flags]) == 2
    assert message in capsys.readouterr().err
    assert Versions(home).ids() == ["v1"]
