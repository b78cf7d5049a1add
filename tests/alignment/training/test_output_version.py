"""The output of a stage: its work folder, and a version that is a plain PEFT folder."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from helpers.tiny_home import tiny_home
from peft import PeftModel

from alignment.stages import dpo
from alignment.training.flags import RunOptions, StageLocation
from alignment.training.output_version import work_folder
from alignment.training.parent_version import open_parent
from assistant.registry.first_version import version_to_serve
from assistant.serving.loading import load_base, load_for_serving


def test_a_run_with_another_recipe_other_data_or_options_has_another_work_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alignment.training.flags.find_spec", lambda name: "installed")
    parent = open_parent(StageLocation(home=tiny_home(home)))
    location, recipe = StageLocation(home=home), dpo.DPORecipe()

    def folder(recipe: dpo.DPORecipe = recipe, data: str = "first", run: RunOptions | None = None) -> Path:
        return work_folder(parent, location, "dpo", recipe, run or RunOptions(), data)

    assert folder() == folder()
    assert folder() == folder(run=RunOptions(report_to="tensorboard"))
    others = [
        folder(recipe=dpo.DPORecipe(**{**asdict(recipe), "seed": 2})),
        folder(data="second"),
        folder(run=RunOptions(patience=1)),
    ]
    assert len({folder(), *others}) == 4


def test_a_version_folder_is_a_plain_peft_folder(home: Path) -> None:
    version = version_to_serve(home, "starter")
    base = load_base(version.manifest.base, home, torch.float32).model
    plain = PeftModel.from_pretrained(base, str(version.folder)).eval()
    served = load_for_serving(version, home).model
    ids = torch.arange(10, 30)[None]
    with torch.no_grad():
        assert torch.allclose(plain(ids).logits, served(ids).logits, atol=1e-4)
