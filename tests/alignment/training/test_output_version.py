"""The output of a stage: its work folder, and a version that is a plain PEFT folder."""

import errno
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from helpers.tiny_home import tiny_home
from peft import PeftModel

from alignment.errors import LockError
from alignment.stages import dpo
from alignment.training.flags import RunOptions, StageLocation
from alignment.training.output_version import work_folder, write_version
from alignment.training.parent_version import merged_model, open_parent
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
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


def test_the_same_run_in_another_process_is_refused(home: Path) -> None:
    parent = open_parent(StageLocation(home=tiny_home(home)))
    arguments = (parent, StageLocation(home=home), "dpo", dpo.DPORecipe(), RunOptions(), "rows")
    lock = work_folder(*arguments) / "lock"
    # This process has it, and may have it again.
    assert work_folder(*arguments) == lock.parent
    code = f"import fcntl; fcntl.lockf(open({str(lock)!r}, 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "BlockingIOError" in other.stderr


def test_a_run_that_another_process_does_already_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    parent = open_parent(StageLocation(home=tiny_home(home)))
    monkeypatch.setattr("fcntl.lockf", held)
    with pytest.raises(LockError, match="The same command is running already"):
        work_folder(parent, StageLocation(home=home), "dpo", dpo.DPORecipe(), RunOptions(), "rows")


@pytest.mark.parametrize("full", [False, True])
def test_a_version_gets_the_next_id_if_another_run_took_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    parent = open_parent(StageLocation(home=tiny_home(home)))
    model = merged_model(parent) if full else parent.loaded.model
    location = StageLocation(home=home)
    planned = iter(["v1"])
    next_id = Versions.next_id
    monkeypatch.setattr(Versions, "next_id", lambda self: next(planned, None) or next_id(self))
    work = home / "training"
    work.mkdir()
    (work / "trainer_state.json").write_text('{"log_history": []}', encoding="utf-8")
    recipe = dpo.DPORecipe()
    written = write_version(
        parent, location, model, stage="dpo", recipe=recipe, data={}, metrics={}, work=work
    )
    assert written == "v2"
    version = Versions(home).open("v2")
    assert "manifest.json" not in version.manifest.files
    assert version.manifest.base.name == ("versions/v2/base" if full else "tiny")


def test_a_version_folder_is_a_plain_peft_folder(home: Path) -> None:
    version = version_to_serve(home, "starter")
    base = load_base(version.manifest.base, home, torch.float32).model
    plain = PeftModel.from_pretrained(base, str(version.folder)).eval()
    served = load_for_serving(version, home).model
    ids = torch.arange(10, 30)[None]
    with torch.no_grad():
        assert torch.allclose(plain(ids).logits, served(ids).logits, atol=1e-4)
