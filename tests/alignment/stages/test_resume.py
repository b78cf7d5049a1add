"""A stage that was stopped is continued to exactly the weights of an uninterrupted run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.feedback import apples, rate_replies
from helpers.tiny_home import tiny_home
from safetensors.torch import load_file

from alignment.__main__ import main
from alignment.data.splits import is_held_out
from alignment.training.batching.trainer_compat import LengthGroupedTrainer
from alignment.training.checkpoints import StopOnBadLoss
from assistant.registry.versions import Versions


def demonstrations(folder: Path) -> Path:
    """A file of rows of very different lengths, so that they are grouped by length."""
    rows = []
    for number in range(40):
        messages = [{"role": "user", "content": f"What is {number} + 2? " + "Think. " * (number % 7)}]
        if not is_held_out(messages):
            rows.append({"messages": messages, "think": False, "thought": "", "answer": f"{number + 2}"})
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:24]), encoding="utf-8")
    return path


def trained(home: Path) -> dict[str, torch.Tensor]:
    """The weights in the folder of v2."""
    (file,) = Versions(home).open("v2").folder.rglob("*model.safetensors")
    return load_file(file)


class Stopped(BaseException):
    """Stands for a kill: nothing catches it, and nothing is cleaned up."""


def settings_of(stage: str, folder: Path) -> list[str]:
    """Flags for more than four updates, with a checkpoint after every second one or more often."""
    if stage == "sft":
        # Several passes, so that the order of the later ones must be the same too.
        return ["--demonstrations", str(demonstrations(folder)), "--batch_size=8", "--save_steps=2"]
    if stage == "pretrain":
        text = folder / "text.txt"
        text.write_text(
            " ".join(f"{number} and 2 are {number + 2}." for number in range(60)), encoding="utf-8"
        )
        return ["--text", str(text), "--block_length=32", "--batch_size=2", "--save_steps=2"]
    if stage == "rloo":
        score = [
            "--reward_functions=helpers.tiny_ppo:evens",
            "--max_new_tokens=6",
            "--answers=2",
            "--batch_size=2",
            "--preflight_prompts=2",
            "--preflight_samples=2",
        ]
        return ["--prompts", str(demonstrations(folder)), *score, "--updates=5", "--evaluations=5"]
    return ["--min_steps=4", "--epochs=1", "--batch_size=8", "--evaluations=4"]


@pytest.mark.parametrize(
    "stage",
    [
        "pretrain",
        "kto",
        "rloo",
        pytest.param("sft", marks=pytest.mark.slow),
        pytest.param("reward", marks=pytest.mark.slow),
    ],
)
def test_a_stopped_stage_is_continued_to_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    homes = [tiny_home(tmp_path / "straight"), tiny_home(tmp_path / "stopped")]
    settings = settings_of(stage, tmp_path)
    if stage in ("kto", "reward"):
        # The same replies in both homes, ids included, because the fingerprint covers them.
        rate_replies(homes[0], apples(20))
        (homes[1] / "feedback.db").write_bytes((homes[0] / "feedback.db").read_bytes())
    assert main([stage, "--home", str(homes[0]), *settings]) == 0

    check = StopOnBadLoss.on_pre_optimizer_step

    def stop(
        self: StopOnBadLoss, args: Any, state: Any, control: Any, model: Any = None, **options: Any
    ) -> None:
        check(self, args, state, control, model, **options)
        if state.global_step == 3:
            raise Stopped

    monkeypatch.setattr(StopOnBadLoss, "on_pre_optimizer_step", stop)
    with pytest.raises(Stopped):
        main([stage, "--home", str(homes[1]), *settings])
    monkeypatch.setattr(StopOnBadLoss, "on_pre_optimizer_step", check)
    assert Versions(homes[1]).ids() == ["v1"]
    capsys.readouterr()
    assert main([stage, "--home", str(homes[1]), *settings]) == 0
    assert "going on from step" in capsys.readouterr().out
    straight, resumed = trained(homes[0]), trained(homes[1])
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    assert not list((homes[1] / "training" / stage).iterdir())


def test_a_gradient_that_is_not_finite_ends_training_before_it_moves_a_weight(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loss = LengthGroupedTrainer.compute_loss

    def spoil(self: Any, *arguments: Any, **options: Any) -> Any:
        value = loss(self, *arguments, **options)
        return value * float("nan") if self.state.global_step == 1 else value

    monkeypatch.setattr(LengthGroupedTrainer, "compute_loss", spoil)
    settings = ["--demonstrations", str(demonstrations(tmp_path)), "--batch_size=8", "--save_steps=1"]
    assert main(["sft", "--home", str(tiny_home(home)), *settings]) == 2
    assert "batch 2 is not a finite number" in capsys.readouterr().err
    assert Versions(home).ids() == ["v1"]
    (checkpoint,) = (home / "training" / "sft").glob("*/checkpoint-*")
    weights = load_file(checkpoint / "adapter_model.safetensors")
    assert all(torch.isfinite(value).all() for value in weights.values())
