"""Checkpoints of an unfinished run: which one to continue, and what must never get into one."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from alignment.errors import TrainingError
from alignment.training.processes import whole_tensor


def last_checkpoint(folder: Path) -> str | None:
    """The newest complete checkpoint in a trainer's folder, None if there is none."""
    complete = [path for path in folder.glob("checkpoint-*") if _is_complete(path)]
    newest = max(complete, key=lambda path: int(path.name.split("-")[1]), default=None)
    return str(newest) if newest else None


def _is_complete(checkpoint: Path) -> bool:
    # The trainer writes this file last; a kill can leave half of it.
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


class StopOnBadLoss(TrainerCallback):
    """End training at the first step whose loss or gradient is not finite, before any weight moves."""

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Raises TrainingError that names the step. A loss that is not finite has such a gradient too."""
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        sums = [whole_tensor(gradient.sum()) for gradient in gradients]
        if sums and not bool(torch.stack(sums).isfinite().all()):
            self._stop(state.global_step + 1, "gradient", args)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Raises TrainingError that names the step."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            self._stop(state.global_step, f"loss ({loss})", args)

    def _stop(self, step: int, quantity: str, args: Any) -> None:
        raise not_finite(quantity, step, Path(args.output_dir) if args is not None else None)


def not_finite(quantity: str, step: int, work: Path | None) -> TrainingError:
    """The error for a batch whose loss or gradient is not a finite number. `work`: the folder of checkpoints."""
    checkpoint = last_checkpoint(work) if work is not None else None
    kept = (
        f"the last good checkpoint is kept in {checkpoint}" if checkpoint else "there was no checkpoint yet"
    )
    return TrainingError(
        f"The {quantity} of batch {step} is not a finite number (step {step}). It moved no weight and no version was "
        f"written; {kept}. Lower --learning_rate, or look for damaged rows."
    )
