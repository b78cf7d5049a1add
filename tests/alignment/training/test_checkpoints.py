"""Checkpoints: which one is continued, and a loss that is not finite ends training."""

from pathlib import Path

import pytest

from alignment.errors import TrainingError
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint


def test_an_incomplete_checkpoint_is_not_continued(tmp_path: Path) -> None:
    for number, text in ((2, "{}"), (4, '{"log_hist'), (6, None)):
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        if text is not None:
            (folder / "trainer_state.json").write_text(text)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-2")


def test_a_loss_that_is_not_a_number_ends_training() -> None:
    class State:
        global_step = 7

    callback = StopOnBadLoss()
    callback.on_log(None, State(), None, {"loss": 1.0})
    with pytest.raises(TrainingError, match="step 7"):
        callback.on_log(None, State(), None, {"loss": float("nan")})
