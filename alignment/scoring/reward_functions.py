"""What an answer is worth: Python functions over answers, by name, alone or summed."""

import importlib
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alignment.errors import DataError, TrainingError
from alignment.suites.task_file import Task, Verdict, judge


@dataclass(frozen=True)
class Rollout:
    """A prompt with an answer that was drawn for it."""

    messages: list[dict[str, str]]
    think: bool
    task: Task | None
    """What is asked, where the prompt is a task that can be checked."""
    prompt_ids: list[int]
    completion_ids: list[int]
    """END included where it was said."""
    thought: str
    answer: str
    ended: bool
    """The model said END before the limit."""


Reward = Callable[[Sequence[Rollout]], list[float]]
"""Scores of answers, in their order. Above 0 is good; the greater the better."""


@dataclass
class Source:
    """One thing that answers are scored by: a function or a reward model."""

    name: str
    score: Reward
    weight: float = 1.0
    model: bool = False
    """A reward model: its zero and its unit mean nothing, so they are set from the parent's answers."""
    shift: float = 0.0
    scale: float = 1.0

    def __call__(self, said: Sequence[Rollout]) -> list[float]:
        """Scores, of which `weight` is not yet part. Raises TrainingError where one is no number."""
        found = [(float(score) - self.shift) / self.scale for score in self.score(said)]
        if len(found) != len(said) or not all(map(math.isfinite, found)):
            raise TrainingError(
                f"The reward {self.name!r} gave {len(found)} scores for {len(said)} answers, or one that is not a "
                "finite number. Correct it, and run this again: training goes on from its last checkpoint."
            )
        return found


def total(sources: Sequence[Source], parts: dict[str, list[float]]) -> list[float]:
    """Weighted sums, one an answer, of each source's scores by name."""
    rows = zip(*(parts[source.name] for source in sources), strict=True)
    return [sum(source.weight * part for source, part in zip(sources, row, strict=True)) for row in rows]


def preflight(sources: Sequence[Source], said: Sequence[Rollout], samples: int) -> dict[str, float]:
    """Whether there is anything to reinforce: `samples` answers to each of some prompts, next to each other.

    Reinforcement learning makes likelier what is drawn already; what is never drawn it cannot teach. Sets the zero
    and unit of reward models to these answers' mean and standard deviation (Ziegler et al. 2019, section 2.2). Returns
    the mean of every source and, of functions, the share of prompts with an answer above 0. Raises TrainingError
    where a function finds no answer good, or no two scores differ.
    """
    found: dict[str, float] = {}
    prompts = len(said) // samples
    for source in sources:
        scores = source(said)
        if source.model:
            source.shift, source.scale = statistics.fmean(scores), statistics.pstdev(scores)
            if source.scale < 1e-6:
                raise TrainingError(
                    f"The reward model {source.name!r} gives all {len(said)} answers to {prompts} prompts the same "
                    f"score ({scores[0]:.3g}): there is nothing to learn from. Train it on more ratings, or give the "
                    "parent more to say with `python -m alignment sft`."
                )
        else:
            good = sum(max(scores[row : row + samples]) > 0 for row in range(0, len(said), samples))
            found[f"{source.name}_good"] = good / prompts
            if not good and max(scores) == min(scores):
                raise TrainingError(
                    f"None of {len(said)} answers to {prompts} prompts is good by {source.name!r} ({samples} tries "
                    "each): there is nothing to reinforce. Show the model good answers first, with "
                    "`python -m alignment sft`, or choose easier prompts."
                )
        found[f"{source.name}_before"] = statistics.fmean(scores)
    sums = total(sources, {source.name: source(said) for source in sources})
    if max(sums) == min(sums):
        raise TrainingError(
            f"All {len(said)} answers to {prompts} prompts have the same score ({sums[0]:.3g}): there is nothing to "
            "learn. Choose harder prompts, or another reward."
        )
    return found


def over_optimised(scores: Sequence[float], watched: Sequence[float], window: int) -> bool:
    """Whether the reward rises while a second judge's falls: the policy learns the reward's mistakes.

    Gao et al. 2023, "Scaling Laws for Reward Model Overoptimization". Compares the last `window` updates with the
    `window` before; both changes must be larger than their standard errors. False as long as there are too few.
    """
    if window < 2 or min(len(scores), len(watched)) < 2 * window:
        return False
    return _rise(scores, window) > 1.0 and _rise(watched, window) < -1.0


def _rise(values: Sequence[float], window: int) -> float:
    # Change between two windows, in standard errors.
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
    """A function by its name here, or by "module:function". Raises DataError if there is none."""
    if name in NAMED:
        return NAMED[name]
    module, colon, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function) if colon else None
    except (ImportError, AttributeError) as error:
        raise DataError(f"The reward function {name!r} cannot be imported: {error}.") from error
    if not callable(found):
        raise DataError(
            f"There is no reward function {name!r}. Known: {', '.join(NAMED)}; or your own as module:function."
        )
    return found


def _verdict(rollout: Rollout, name: str) -> Verdict:
    if rollout.task is None:
        raise DataError(
            f"The reward function {name!r} checks tasks, and a prompt is none. Draw prompts with --suite, "
            "or name a file of tasks with --prompts."
        )
    return judge(rollout.task, rollout.answer)
