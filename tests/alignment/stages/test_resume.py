"""A stage that was stopped anywhere goes on to the very weights of one that was not."""

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
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint
from alignment.training.trainer_compat import LengthGroupedTrainer
from assistant.registry.versions import Versions


def demonstrations(folder: Path) -> Path:
    """Of very different lengths, so that rows are grouped by it."""
    rows = []
    for number in range(40):
        messages = [{"role": "user", "content": f"What is {number} + 2? " + "Think. " * (number % 7)}]
        if not is_held_out(messages):
            rows.append({"messages": messages, "think": False, "thought": "", "answer": f"{number + 2}"})
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:24]), encoding="utf-8")
    return path


def trained(home: Path) -> dict[str, torch.Tensor]:
    """The weights that v2 has of its own."""
    (file,) = Versions(home).open("v2").folder.rglob("*model.safetensors")
    return load_file(file)


class Stopped(BaseException):
    """Like a kill: nothing catches it, nothing is tidied."""


def settings_of(stage: str, folder: Path) -> list[str]:
    """More than four updates, with a checkpoint at least at every second."""
    if stage == "sft":
        # Several passes, so that the later ones' order must come out the same too.
        return ["--demonstrations", str(demonstrations(folder)), "--batch_size=8", "--save_steps=2"]
    if stage == "pretrain":
        text = folder / "text.txt"
        text.write_text(
            " ".join(f"{number} and 2 are {number + 2}." for number in range(60)), encoding="utf-8"
        )
        return ["--text", str(text), "--block_length=32", "--batch_size=2", "--save_steps=2"]
    if stage == "rloo":
        score = [
            "--reward_functions=helpers.ppo_parts:evens",
            "--max_new_tokens=6",
            "--answers=2",
            "--batch_size=2",
        ]
        return ["--prompts", str(demonstrations(folder)), *score, "--updates=5", "--evaluations=5"]
    return ["--min_steps=4", "--epochs=1", "--batch_size=8", "--evaluations=4"]


@pytest.mark.parametrize("stage", ["pretrain", "sft", "kto", "reward", "rloo"])
def test_a_stopped_stage_goes_on_to_the_very_weights_of_one_that_was_not(
    tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    homes = [tiny_home(tmp_path / "straight"), tiny_home(tmp_path / "stopped")]
    settings = settings_of(stage, tmp_path)
    if stage in ("kto", "reward"):
        # The same replies in both, ids included: the fingerprint covers them.
        rate_replies(homes[0], apples(20))
        (homes[1] / "feedback.db").write_bytes((homes[0] / "feedback.db").read_bytes())
    assert main([stage, "--home", str(homes[0]), *settings]) == 0

    check = StopOnBadLoss.on_pre_optimizer_step

    def stop(
        self: StopOnBadLoss, args: Any, state: Any, control: Any, model: Any = None, **more: Any
    ) -> None:
        check(self, args, state, control, model, **more)
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


def test_half_a_checkpoint_is_not_gone_on_from(tmp_path: Path) -> None:
    for number, text in ((2, "{}"), (4, '{"log_hist'), (6, None)):
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        if text is not None:
            (folder / "trainer_state.json").write_text(text)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-2")


def test_a_gradient_that_is_no_number_stops_before_it_moves_a_weight(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loss = LengthGroupedTrainer.compute_loss

    def spoil(self: Any, *given: Any, **more: Any) -> Any:
        value = loss(self, *given, **more)
        return value * float("nan") if self.state.global_step == 1 else value

    monkeypatch.setattr(LengthGroupedTrainer, "compute_loss", spoil)
    settings = ["--demonstrations", str(demonstrations(tmp_path)), "--batch_size=8", "--save_steps=1"]
    assert main(["sft", "--home", str(tiny_home(home)), *settings]) == 2
    assert "batch 2 is not a finite number" in capsys.readouterr().err
    assert Versions(home).ids() == ["v1"]
    (kept,) = (home / "training" / "sft").glob("*/checkpoint-*")
    weights = load_file(kept / "adapter_model.safetensors")
    assert all(torch.isfinite(value).all() for value in weights.values())
