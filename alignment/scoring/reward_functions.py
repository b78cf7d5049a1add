"""Reward functions: Python functions that score answers, by name, alone or as a weighted sum with reward models."""

import importlib
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alignment.errors import DataError, TrainingError
from alignment.suites.task_file import Task, Verdict, judge


@dataclass(frozen=True)
class Rollout:
    """A prompt with an answer that the policy drew for it."""

    messages: list[dict[str, str]]
    think: bool
    task: Task | None
    """The task that the prompt asks, if its answer can be checked."""
    prompt_ids: list[int]
    completion_ids: list[int]
    """Ends in the end token, if the model wrote it."""
    thought: str
    answer: str
    ended: bool
    """The model wrote the end token before the limit."""


Reward = Callable[[Sequence[Rollout]], list[float]]
"""Scores rollouts, in their order. A score above 0 is good; the greater the better."""


@dataclass
class Source:
    """One part of the reward: a function or a reward model."""

    name: str
    score: Reward
    weight: float = 1.0
    model: bool = False
    """Whether it is a reward model, whose zero and unit are arbitrary and are set from the parent's answers."""
    shift: float = 0.0
    scale: float = 1.0

    def __call__(self, rollouts: Sequence[Rollout]) -> list[float]:
        """Scores before `weight` is applied. Raises TrainingError if one is missing or is not a finite number."""
        scores = [(float(score) - self.shift) / self.scale for score in self.score(rollouts)]
        if len(scores) != len(rollouts) or not all(map(math.isfinite, scores)):
            raise TrainingError(
                f"The reward {self.name!r} gave {len(scores)} scores for {len(rollouts)} answers, or one that is not a "
                "finite number. Correct it, and run this again: training goes on from its last checkpoint."
            )
        return scores


def total(sources: Sequence[Source], parts: dict[str, list[float]]) -> list[float]:
    """The weighted sum for each answer; `parts` has each source's scores by its name."""
    rows = zip(*(parts[source.name] for source in sources), strict=True)
    return [sum(source.weight * part for source, part in zip(sources, row, strict=True)) for row in rows]


def preflight(sources: Sequence[Source], rollouts: Sequence[Rollout], samples: int) -> dict[str, float]:
    """Check before training that there is something to reinforce.

    `rollouts` holds `samples` answers to each of some prompts, those to one prompt side by side. Reinforcement learning
    makes likelier what the policy already draws; it cannot teach what is never drawn. Sets the zero and unit of reward
    models to these answers' mean and standard deviation (Ziegler et al. 2019, section 2.2). Returns the mean of every
    source and, for functions, the share of prompts with an answer above 0. Raises TrainingError if a function scores no
    answer above 0, or all scores are equal.
    """
    metrics: dict[str, float] = {}
    prompts = len(rollouts) // samples
    for source in sources:
        scores = source(rollouts)
        if source.model:
            source.shift, source.scale = statistics.fmean(scores), statistics.pstdev(scores)
            if source.scale < 1e-6:
                raise TrainingError(
                    f"The reward model {source.name!r} gives all {len(rollouts)} answers to {prompts} prompts the same "
                    f"score ({scores[0]:.3g}): there is nothing to learn from. Train it on more ratings, or give the "
                    "parent more to say with `python -m alignment sft`."
                )
        else:
            good = sum(max(scores[row : row + samples]) > 0 for row in range(0, len(rollouts), samples))
            metrics[f"{source.name}_good"] = good / prompts
            if not good and max(scores) == min(scores):
                raise TrainingError(
                    f"None of {len(rollouts)} answers to {prompts} prompts is good by {source.name!r} ({samples} tries "
                    "each): there is nothing to reinforce. Show the model good answers first, with "
                    "`python -m alignment sft`, or choose easier prompts."
                )
        metrics[f"{source.name}_before"] = statistics.fmean(scores)
    sums = total(sources, {source.name: source(rollouts) for source in sources})
    if max(sums) == min(sums):
        raise TrainingError(
            f"All {len(rollouts)} answers to {prompts} prompts have the same score ({sums[0]:.3g}): there is nothing "
            "to learn. Choose harder prompts, or another reward."
        )
    return metrics


def over_optimised(scores: Sequence[float], watched: Sequence[float], window: int) -> bool:
    """Whether the reward `scores` rise while those of a second reward model, `watched`, fall.

    Then the policy learns the reward's mistakes (Gao et al. 2023, "Scaling Laws for Reward Model Overoptimization").
    Compares the last `window` updates with the `window` before; both changes must be larger than their standard errors.
    False while there are too few updates.
    """
    if window < 2 or min(len(scores), len(watched)) < 2 * window:
        return False
    return _rise(scores, window) > 1.0 and _rise(watched, window) < -1.0


def _rise(values: Sequence[float], window: int) -> float:
    """Change from the last window but one to the last, in standard errors."""
    before, after = values[-2 * window : -window], values[-window:]
    error = math.sqrt((statistics.variance(before) + statistics.variance(after)) / window)
    return (statistics.fmean(after) - statistics.fmean(before)) / max(error, 1e-9)


def checker(rollouts: Sequence[Rollout]) -> list[float]:
    """1 for a right answer to a task, else 0. Raises DataError where a prompt is no task."""
    return [float(_verdict(rollout, "checker").correct) for rollout in rollouts]


def unit(rollouts: Sequence[Rollout]) -> list[float]:
    """1 for an answer that names its unit, else 0. Raises DataError where a prompt is no task."""
    return [float(_verdict(rollout, "unit").has_unit is True) for rollout in rollouts]


def ends(rollouts: Sequence[Rollout]) -> list[float]:
    """1 for an answer that ends by itself, else 0."""
    return [float(rollout.ended) for rollout in rollouts]


NAMED: dict[str, Reward] = {"checker": checker, "unit": unit, "ends": ends}


def find(name: str) -> Reward:
    """The function of that name in NAMED, or "module:function". Raises DataError if there is none."""
    if name in NAMED:
        return NAMED[name]
    module, colon, function = name.partition(":")
    try:
        reward = getattr(importlib.import_module(module), function) if colon else None
    except (ImportError, AttributeError) as error:
        raise DataError(f"The reward function {name!r} cannot be imported: {error}.") from error
    if not callable(reward):
        raise DataError(
            f"There is no reward function {name!r}. Known: {', '.join(NAMED)}; or your own as module:function."
        )
    return reward


def _verdict(rollout: Rollout, name: str) -> Verdict:
    if rollout.task is None:
        raise DataError(
            f"The reward function {name!r} checks tasks, and a prompt is none. Draw prompts with --suite, "
            "or name a file of tasks with --prompts."
        )
    return judge(rollout.task, rollout.answer)
