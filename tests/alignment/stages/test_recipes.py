"""The defaults fit few rows and many: enough updates to move something, few enough passes not to learn by heart."""

import importlib
import math

import pytest
from helpers.paths import ROOT

from alignment.__main__ import STAGES, main
from alignment.stages import dpo, kto, reward, sft
from alignment.training.sizes import for_size

STARTER, SMOLLM2 = 5e6, 135e6
UPDATES = {
    "sft": {STARTER: (8, 24, 157), SMOLLM2: (8, 32, 314)},
    "kto": {STARTER: (24, 128, 1252), SMOLLM2: (24, 64, 626)},
    "dpo": {STARTER: (24, 96, 939), SMOLLM2: (24, 96, 939)},
    "reward": {STARTER: (48, 96, 939), SMOLLM2: (48, 96, 939)},
}
"""By the model's parameters, for 50, 500 and 5,000 rows; the same table stands in docs/how-to.md."""
RECIPES = {
    "sft": sft.SFTRecipe(),
    "kto": kto.KTORecipe(),
    "dpo": dpo.DPORecipe(),
    "reward": reward.RewardRecipe(),
}
COUNTS = {"sft": sft.updates, "kto": kto.updates, "dpo": dpo.updates, "reward": reward.updates}


@pytest.mark.parametrize("name", UPDATES)
def test_fifty_five_hundred_and_five_thousand_rows_get_as_many_updates_as_the_how_to_says(name: str) -> None:
    for parameters, expected in UPDATES[name].items():
        recipe = for_size(RECIPES[name], name, parameters)
        assert tuple(COUNTS[name](count, recipe) for count in (50, 500, 5000)) == expected  # type: ignore[operator]
    cells = [
        str(small) if small == larger else f"{small}; SmolLM2 {larger}"
        for small, larger in zip(UPDATES[name][STARTER], UPDATES[name][SMOLLM2], strict=True)
    ]
    text = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    assert f"| `{name}` | {' | '.join(cells)} |" in text


def test_few_demonstrations_are_passed_over_four_times_at_most() -> None:
    recipe = for_size(sft.SFTRecipe(), "sft", STARTER)
    assert sft.passes(10, recipe) == sft.passes(50, recipe) == sft.MOST_PASSES
    assert sft.passes(500, recipe) == pytest.approx(1.5)
    assert sft.passes(100_000, recipe) == recipe.epochs
    assert sft.updates(10, sft.SFTRecipe(epochs=6)) == 6
    assert math.ceil(sft.passes(3, sft.SFTRecipe(epochs=1, min_steps=1))) == 1


@pytest.mark.parametrize("name", STAGES)
def test_the_help_of_a_stage_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    shown, stage = capsys.readouterr().out, importlib.import_module(f"alignment.stages.{name}")
    assert str(stage.__doc__).strip() in shown
    assert "(default: " in shown
