"""The defaults fit few rows and many: enough updates to move something, few enough passes not to learn by heart."""

import math

import pytest
from helpers.paths import ROOT

from alignment.stages import dpo, kto, reward, sft
from alignment.training.sizes import for_size

UPDATES = {"sft": (8, 24, 157), "kto": (24, 128, 1252), "dpo": (24, 96, 939), "reward": (48, 96, 939)}
"""For 50, 500 and 5,000 rows; the same table stands in docs/how-to.md."""
STARTER = 5e6
RECIPES = {
    "sft": for_size(sft.SFTRecipe(), "sft", STARTER),
    "kto": for_size(kto.KTORecipe(), "kto", STARTER),
    "dpo": for_size(dpo.DPORecipe(), "dpo", STARTER),
    "reward": for_size(reward.RewardRecipe(), "reward", STARTER),
}
COUNTS = {"sft": sft.updates, "kto": kto.updates, "dpo": dpo.updates, "reward": reward.updates}


@pytest.mark.parametrize("name", UPDATES)
def test_fifty_five_hundred_and_five_thousand_rows_get_as_many_updates_as_the_how_to_says(name: str) -> None:
    counted = tuple(COUNTS[name](count, RECIPES[name]) for count in (50, 500, 5000))  # type: ignore[operator]
    assert counted == UPDATES[name]
    text = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    assert f"| `{name}` | {counted[0]} | {counted[1]} | {counted[2]} |" in text


def test_few_demonstrations_are_passed_over_four_times_at_most() -> None:
    recipe = RECIPES["sft"]
    assert sft.passes(10, recipe) == sft.passes(50, recipe) == sft.MOST_PASSES
    assert sft.passes(500, recipe) == pytest.approx(1.5)
    assert sft.passes(100_000, recipe) == recipe.epochs
    assert sft.updates(10, sft.SFTRecipe(epochs=6)) == 6
    assert math.ceil(sft.passes(3, sft.SFTRecipe(epochs=1, min_steps=1))) == 1
