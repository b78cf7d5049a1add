"""Held-out curves: training loss alone proves nothing, so rows kept away from training are looked at all along.

The version that is written is the one with the lowest held-out loss, and training ends once that loss has risen for
long enough: the oldest guard against overfitting (Prechelt 1998, "Early Stopping - But When?").
"""

import json
import math
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from alignment.errors import TrackerError

TRACKERS = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""Where curves can be sent, and the modules of which any one does it."""
ENOUGH_TO_STOP = 20
"""Held-out rows below which their loss is noise: it is shown, but decides nothing. A share of 20 has a 95 % interval
of about ±20 points."""


@dataclass
class Run:
    """How a stage is run and watched; the same flags for every stage."""

    dry_run: bool = field(
        default=False, metadata={"help": "show rows, steps, time, memory and examples; train nothing"}
    )
    evaluations: int = field(
        default=10, metadata={"help": "how often held-out rows are looked at, and saved"}
    )
    patience: int = field(
        default=3, metadata={"help": "stop after so many looks without a lower held-out loss; 0: never"}
    )
    report_to: str = field(
        default="none", metadata={"help": "also send curves to: tensorboard, trackio, wandb"}
    )

    def __post_init__(self) -> None:
        """Raises TrackerError where curves cannot be sent to what was named."""
        if self.report_to == "none":
            return
        if self.report_to not in TRACKERS:
            raise TrackerError(
                f"There is no tracker {self.report_to!r}. Give --report_to {', '.join(TRACKERS)}, or leave it out: "
                "curves are written beside the version anyway."
            )
        if not any(find_spec(module) for module in TRACKERS[self.report_to]):
            raise TrackerError(
                f"{self.report_to} is not installed: pip install {self.report_to}. Or leave --report_to out: curves "
                "are written beside the version anyway."
            )


def arguments(run: Run, steps: int, held_out: int, resumes: bool) -> dict[str, Any]:
    """Trainer arguments that look at held-out rows and save at the same steps, so that the best can be kept.

    `steps`: updates in all; `held_out`: rows; `resumes`: whether a checkpoint is continued.
    """
    every = max(1, math.ceil(steps / max(run.evaluations, 1)))
    return {
        "eval_strategy": "steps" if held_out else "no",
        "eval_steps": every,
        # The parent's own figure begins the curve; a run that goes on has it already.
        "eval_on_start": bool(held_out) and not resumes,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        "load_best_model_at_end": held_out >= ENOUGH_TO_STOP,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "prediction_loss_only": True,
        "logging_first_step": True,
        # Else the trainer hides a loss that is no number behind the mean of those before.
        "logging_nan_inf_filter": False,
        "report_to": run.report_to,
    }


class StopWhenHeldOutRises(TrainerCallback):
    """Stop after `patience` looks in a row at held-out rows without a new lowest loss.

    It counts from the log, which a checkpoint keeps, so that a resumed run stops where an uninterrupted one does.
    """

    def __init__(self, run: Run, held_out: int) -> None:
        """Never stops with fewer than `ENOUGH_TO_STOP` rows, or a patience of 0."""
        self.patience = run.patience if held_out >= ENOUGH_TO_STOP else 0

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask the trainer to stop."""
        losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        if self.patience and len(losses) - 1 - losses.index(min(losses)) >= self.patience:
            control.should_training_stop = True


def held_out_metrics(history: list[dict[str, Any]]) -> dict[str, float]:
    """Held-out loss of the parent (step 0), of the version that was kept, and the step it comes from."""
    looks = [entry for entry in history if "eval_loss" in entry]
    if not looks:
        return {}
    trained = [entry for entry in looks if entry["step"] > 0] or looks
    best = min(trained, key=lambda entry: entry["eval_loss"])
    return {
        "held_out_loss_before": float(looks[0]["eval_loss"]),
        "held_out_loss": float(best["eval_loss"]),
        "best_step": float(best["step"]),
    }


def write(trainer_state: Path, folder: Path) -> None:
    """Write a trainer's log as `curves.json`, and its losses as `curves.png` where matplotlib is installed.

    Where answers are scored (PPO), the score is drawn: that loss says nothing of how well it goes.
    """
    history = json.loads(trainer_state.read_text(encoding="utf-8"))["log_history"]
    (folder / "curves.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        print("curves.json is written; for a picture of it: pip install matplotlib")
        return
    # A figure of its own, not pyplot: nothing global is changed, and no display is looked for.
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    what = "score" if any("score" in entry for entry in history) else "loss"
    for key, label in ((what, "training"), (f"eval_{what}", "held out")):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), marker=".", label=label)
    axes.set_xlabel("updates")
    axes.set_ylabel(what)
    if axes.lines:
        axes.legend()
    figure.savefig(folder / "curves.png", dpi=120)
