"""Held-out curves: when they end training, which weights are kept, and what is drawn."""

import json
from pathlib import Path
from typing import Any

import pytest

from alignment.training import held_out_curves
from alignment.training.flags import RunOptions


def test_a_rising_held_out_loss_stops_training_and_that_of_the_kept_weights_is_reported() -> None:
    class State:
        log_history: list[dict[str, Any]] = []  # noqa: RUF012

    class Control:
        should_training_stop = False

    def stops(
        losses: list[float],
        rows: int = held_out_curves.ENOUGH_TO_STOP,
        patience: int = 2,
        each: float = 0.5,
    ) -> bool:
        State.log_history = [
            {"eval_loss": loss, "step": step, "epoch": each * step} for step, loss in enumerate(losses)
        ]
        control = Control()
        held_out_curves.StopWhenHeldOutRises(RunOptions(patience=patience), rows).on_evaluate(
            None, State, control
        )
        return control.should_training_stop

    assert not stops([0.7, 0.6, 0.65])
    assert stops([0.7, 0.6, 0.65, 0.61])
    assert not stops([0.7, 0.6, 0.65, 0.5])
    assert not stops([0.7, 0.6, 0.65, 0.61], rows=held_out_curves.ENOUGH_TO_STOP - 1)
    assert not stops([0.7, 0.6, 0.65, 0.61], patience=0)
    assert not stops([0.7, 0.6, 0.65, 0.61], each=0.4)  # no whole pass since the lowest
    assert held_out_curves.held_out_metrics(State.log_history, keeps_best=True) == {
        "held_out_loss_before": 0.7,
        "held_out_loss": 0.6,
        "best_step": 1.0,
    }
    last = held_out_curves.held_out_metrics(State.log_history, keeps_best=False)
    assert (last["held_out_loss"], last["best_step"]) == (0.61, 3.0)


def test_a_loss_that_decides_nothing_is_measured_twice_and_checkpoints_are_as_many_as_asked_for() -> None:
    few, enough = (
        held_out_curves.evaluation_arguments(RunOptions(evaluations=8), 40, rows, None)
        for rows in (held_out_curves.ENOUGH_TO_STOP - 1, held_out_curves.ENOUGH_TO_STOP)
    )
    assert (few["eval_steps"], few["save_steps"], few["load_best_model_at_end"]) == (20, 5, False)
    assert (enough["eval_steps"], enough["save_steps"], enough["load_best_model_at_end"]) == (5, 5, True)


def test_rows_that_test_the_weights_afterwards_do_not_choose_them() -> None:
    run = RunOptions(keep_last=True, evaluations=8)
    arguments = held_out_curves.evaluation_arguments(run, 40, 100, None)
    assert (arguments["eval_steps"], arguments["load_best_model_at_end"]) == (20, False)
    assert held_out_curves.StopWhenHeldOutRises(run, 100).patience == 0


def test_curves_are_drawn_where_matplotlib_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    state = tmp_path / "trainer_state.json"
    state.write_text(json.dumps({"log_history": [{"loss": 1.0, "step": 1}, {"eval_loss": 0.9, "step": 1}]}))
    held_out_curves.write_curves(state, tmp_path)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
