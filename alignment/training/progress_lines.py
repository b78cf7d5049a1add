"""What a run of a Trainer shows: bars with the time that is left, and a line in words for each entry of its log."""

from typing import Any

from tqdm import tqdm
from transformers import ProgressCallback

MEASURES = {
    "loss": ("loss", "{:.4g}"),
    "accuracy": ("pairs in the right order", "{:.0%}"),
    "rewards/accuracies": ("pairs in the right order", "{:.0%}"),
    "reward": ("score", "{:.3g}"),
    "kl": ("KL", "{:.3g}"),
}
"""What a line says of the log's names. `curves.json` keeps all of them."""
HELD_OUT = "eval_"
"""Before the names of what was measured on held-out rows."""


class ProgressLines(ProgressCallback):
    """transformers' bars, with readable lines in place of the log's dictionaries."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Show the bar of updates."""
        super().on_train_begin(args, state, control, **kwargs)
        if self.training_bar is not None:
            self.training_bar.set_description("updates")

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Print a line for an entry of the log."""
        text = line(logs or {}, state.global_step, state.max_steps)
        if state.is_world_process_zero and text:
            tqdm.write(text)


def line(logs: dict[str, Any], update: int, updates: int) -> str:
    """An entry of the log in words; empty for one that has none of MEASURES, as the summary at the end."""
    held_out = any(name.startswith(HELD_OUT) for name in logs)
    found = [
        f"{words} {form.format(float(logs[name]))}"
        for measure, (words, form) in MEASURES.items()
        if (name := f"{HELD_OUT if held_out else ''}{measure}") in logs
    ]
    return (
        f"update {update} of {updates}{', held out' if held_out else ''}: {', '.join(found)}" if found else ""
    )
