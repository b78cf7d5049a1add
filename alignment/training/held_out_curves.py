"""Held-out curves: the loss on rows that are never trained on, measured throughout training.

The weights with the lowest held-out loss are kept, and training ends once that loss has risen for long enough: the
oldest guard against overfitting (Prechelt 1998, "Early Stopping - But When?").
"""

import json
import math
import time
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from alignment.training.flags import RunOptions
from alignment.training.progress_lines import ProgressLines

ENOUGH_TO_STOP = 20
"""With fewer held-out rows their loss is noise: it is shown, but decides nothing. A share of 20 has a 95 % interval
of about ±20 points."""
SHOWN = 2
"""How often, at most, a loss that decides nothing is measured during training: ten times took a tenth of a short
run."""


def held_out_decide(run: RunOptions, held_out: int) -> bool:
    """Whether the loss on so many held-out rows chooses the weights, and when to stop."""
    return not run.keep_last and held_out >= ENOUGH_TO_STOP


def evaluation_arguments(
    run: RunOptions, updates: int, held_out: int, checkpoint: str | None
) -> dict[str, Any]:
    """Arguments of a Trainer that evaluates where it saves, so that the best weights can be kept.

    Where their loss decides nothing, it evaluates less often than it saves.

    `updates`: how many there are in all; `held_out`: number of held-out rows; `checkpoint`: the one that is continued.
    """
    every = max(1, math.ceil(updates / max(run.evaluations, 1)))
    decides = held_out_decide(run, held_out)
    return {
        "eval_strategy": "steps" if held_out else "no",
        "eval_steps": every if decides else max(every, math.ceil(updates / SHOWN)),
        # The parent's own loss begins the curve; a continued run has measured it already.
        "eval_on_start": bool(held_out) and checkpoint is None,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        "load_best_model_at_end": decides,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "prediction_loss_only": True,
        "logging_first_step": True,
        # By default the trainer replaces a loss that is not a number by the mean of those before.
        "logging_nan_inf_filter": False,
        "report_to": run.report_to,
    }


class StopWhenHeldOutRises(TrainerCallback):
    """Stop after `patience` evaluations in a row, and a whole pass, without a new lowest held-out loss.

    Within a pass the loss may rise because of the rows that come first: of `kto` on 200 thumbs it rose for most of the
    first pass and fell in the second. It counts from the log, which a checkpoint keeps, so that a resumed run stops
    where an uninterrupted one does.
    """

    def __init__(self, run: RunOptions, held_out: int) -> None:
        """Never stops in the first pass, where the loss decides nothing, or with a patience of 0."""
        self.patience = run.patience if held_out_decide(run, held_out) else 0

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell the trainer to stop."""
        evaluations = [entry for entry in state.log_history if "eval_loss" in entry]
        lowest = min(range(len(evaluations)), key=lambda number: evaluations[number]["eval_loss"])
        passes = evaluations[-1]["epoch"] - evaluations[lowest]["epoch"]
        if self.patience and len(evaluations) - 1 - lowest >= self.patience and passes >= 1:
            control.should_training_stop = True


def run_trainer(trainer: Any, checkpoint: str | None, began: float | None = None) -> dict[str, float]:
    """Train, continuing `checkpoint` if there is one, and save the trainer's log. Returns losses and seconds.

    `loss` is the mean of the last ten training losses that were logged. `began`: the monotonic clock before the trainer
    was constructed, if that reads the reference; its time counts too.
    """
    began = time.monotonic() if began is None else began
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(ProgressLines())
    result = trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_state()
    # Whoever uses the model from now on decides itself in which precision it computes.
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    history = trainer.state.log_history
    last = [entry["loss"] for entry in history if "loss" in entry][-10:]
    return {
        "loss": sum(last) / len(last) if last else float(result.training_loss),
        "seconds": round(time.monotonic() - began, 2),
        **held_out_metrics(history, keeps_best=trainer.args.load_best_model_at_end),
    }


def held_out_metrics(history: list[dict[str, Any]], keeps_best: bool) -> dict[str, float]:
    """Held-out loss of the parent (step 0) and of the weights that were kept, and the step these come from.

    `keeps_best`: whether those with the lowest loss were kept, or the last.
    """
    evaluations = [entry for entry in history if "eval_loss" in entry]
    if not evaluations:
        return {}
    trained = [entry for entry in evaluations if entry["step"] > 0] or evaluations
    kept = min(trained, key=lambda entry: entry["eval_loss"]) if keeps_best else trained[-1]
    return {
        "held_out_loss_before": float(evaluations[0]["eval_loss"]),
        "held_out_loss": float(kept["eval_loss"]),
        "best_step": float(kept["step"]),
    }


def write_curves(trainer_state: Path, folder: Path) -> None:
    """Write a trainer's log as `curves.json`, and its losses as `curves.png` if matplotlib is installed.

    If the log has scores (PPO), they are drawn instead: PPO's loss does not show how well it does.
    """
    history = json.loads(trainer_state.read_text(encoding="utf-8"))["log_history"]
    (folder / "curves.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        print("curves.json is written; for a picture of it: pip install matplotlib")
        return
    # Not pyplot: a figure of its own changes nothing global and looks for no display.
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    quantity = "score" if any("score" in entry for entry in history) else "loss"
    for key, label in ((quantity, "training"), (f"eval_{quantity}", "held out")):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), marker=".", label=label)
    axes.set_xlabel("updates")
    axes.set_ylabel(quantity)
    if axes.lines:
        axes.legend()
    figure.savefig(folder / "curves.png", dpi=120)
