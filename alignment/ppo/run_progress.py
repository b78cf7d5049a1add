"""The progress of a PPO run: whether it should end early, the metrics of the whole, and where they are tracked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

from accelerate import Accelerator

from alignment.ppo.trainer import PPO
from alignment.scoring import reward_functions
from alignment.training.flags import RunOptions
from alignment.training.processes import on_cpu


def early_stop(ppo: PPO, run: RunOptions) -> str:
    """Why training should end before its last update, as a sentence; empty if it should go on."""
    kept = "The weights of the best evaluation of held-out prompts are kept."
    if is_over_optimised(ppo):
        return (
            f"Over-optimisation at update {ppo.done}: the score rises while the watching reward model's falls, so the "
            f"policy learns the reward's mistakes. {kept} Train the reward model on more ratings, or raise --kl_coef."
        )
    if is_falling(ppo, run.patience):
        return f"Stopped at update {ppo.done}: held-out prompts are answered worse than before. {kept}"
    return ""


def is_falling(ppo: PPO, patience: int) -> bool:
    """Whether the last `patience` evaluations were each worse than the best by more than its standard error."""
    evaluations = [entry for entry in ppo.history if "eval_score" in entry]
    best = max(evaluations, key=lambda entry: entry["eval_score"], default=None)
    if best is None or not patience or len(evaluations) <= patience:
        return False
    threshold = best["eval_score"] - best["eval_error"]
    return all(entry["eval_score"] < threshold for entry in evaluations[-patience:])


def is_over_optimised(ppo: PPO) -> bool:
    """Whether the score rises while that of the watching reward model falls; see `reward_functions.over_optimised`."""
    updates = [entry for entry in ppo.history if "score" in entry]
    return ppo.watch is not None and reward_functions.over_optimised(
        [entry["score"] for entry in updates],
        [entry["watch"] for entry in updates],
        ppo.recipe.watch_window,
    )


def run_metrics(ppo: PPO, stopped_early: bool) -> dict[str, float]:
    """Metrics for the manifest: means over the last ten updates, held-out scores, and those of the pre-flight."""
    updates = [entry for entry in ppo.history if "score" in entry][-10:]
    evaluations = [entry for entry in ppo.history if "eval_score" in entry]
    last = {
        name: fmean(entry[name] for entry in updates if name in entry)
        for name in updates[-1]
        if name != "step"
    }
    held_out = {}
    if evaluations:
        key = "eval_watch" if ppo.watch else "eval_score"
        kept = max(evaluations, key=lambda entry: entry[key]) if stopped_early else evaluations[-1]
        held_out = {
            "held_out_score_before": evaluations[0]["eval_score"],
            "held_out_score": kept["eval_score"],
        }
    return {
        **ppo.before,
        **last,
        **held_out,
        "updates": float(ppo.done),
        "stopped_early": float(stopped_early),
    }


@contextmanager
def open_tracker(run: RunOptions, work: Path) -> Iterator[Any]:
    """The tracker that the run reports to, with a method `log`; None if it reports to none."""
    if run.report_to == "none":
        yield None
        return
    tracker = Accelerator(cpu=on_cpu(), log_with=run.report_to, project_dir=str(work))
    tracker.init_trackers("ppo")
    yield tracker
    tracker.end_training()
