"""Reward models as judges: how well each judges what it has not seen, and which version's answers they prefer.

Judges count only where together they are surely better than chance on judgements of prompts that they did not learn
from. A score is given to one answer alone, so that no order of two answers can matter; what greater length alone earns
is taken off.
"""

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import permutation_test

from alignment.data.judgements import JudgedCompletion
from alignment.data.matched_pairs import MatchedPair, matched_pairs
from alignment.data.splits import half_of
from alignment.scoring import reward_metrics, reward_model
from assistant.registry.versions import Version
from feedback_store.rows import normal_prompt
from feedback_store.stats.intervals import wilson

SURE = 0.025
"""Judges decide if chance alone would judge as well with at most this probability."""
MOST_JUDGED = 200
"""Judgements that a judge is measured on, drawn from those that it has not seen."""


@dataclass(frozen=True)
class JudgeMeasure:
    """How well one reward model judges pairs that it has not seen: compared answers, and a liked beside a disliked."""

    version: str
    half: str
    """The half of the prompts that it learned from."""
    right: int
    of: int
    low: float
    high: float
    """95 % Wilson interval of the share of right judgements."""
    by_prompt: tuple[float, ...]
    """For each prompt, or two whose replies are compared with each other, how much higher the judge scores what people
    preferred, in units of its own spread."""
    brier: float | None
    """Mean squared error of the probabilities that it gives; 0.25 for a coin."""
    length_right: int
    """Of the same pairs, those that "the longer one is better" judges rightly."""


@dataclass(frozen=True)
class Wins:
    """What the judges say of two versions' answers to the same prompts."""

    judges: tuple[str, ...]
    candidate: list[float]
    released: list[float]
    """Scores by prompt; those of several judges in units of each judge's spread."""
    controlled: list[float]
    """By prompt, the candidate's advantage without what greater length alone earns."""


def measure(judge: Version, home: Path, unseen: Sequence[JudgedCompletion]) -> JudgeMeasure:
    """Measure a judge on judgements of prompts that it did not learn from."""
    half = str(judge.manifest.recipe.get("split", "all"))
    pairs = _pairs(unseen)
    scorer = reward_model.load(judge, home)
    pairs = [pair for pair in pairs if max(len(pair.better), len(pair.worse)) <= scorer.window]
    scores = scorer([ids for pair in pairs for ids in (pair.better, pair.worse)])
    margins = [better - worse for better, worse in zip(scores[::2], scores[1::2], strict=True)]
    right = sum(margin > 0 for margin in margins)
    share = wilson(right, len(margins)) if margins else None
    chances = [reward_metrics.chance(margin) for margin in margins]
    spread = float(np.std(scores)) or 1.0 if scores else 1.0
    by_unit: dict[str, float] = defaultdict(float)
    for pair, margin in zip(pairs, margins, strict=True):
        by_unit[pair.unit] += margin / spread
    return JudgeMeasure(
        judge.id,
        half,
        right,
        len(margins),
        share.low if share else 0.0,
        share.high if share else 1.0,
        tuple(by_unit.values()),
        sum((1 - chance) ** 2 for chance in chances) / len(chances) if chances else None,
        sum(len(pair.better) > len(pair.worse) for pair in pairs),
    )


def p_of_chance(judges: Sequence[JudgeMeasure]) -> float:
    """Probability that judges without any sense score what people preferred higher by as much, together.

    Each prompt's sum of margins is as likely to have the other sign then: the signs are flipped at random (Fisher 1935,
    "The Design of Experiments", section 21). Four answers to one question make pairs that are right or wrong together,
    so that not pairs but prompts are independent. Margins are summed and not counted, because many votes are slips: of
    two replies that are about as good, a judge can only guess which one was liked.
    """
    margins = [margin for judge in judges for margin in judge.by_prompt]
    if len(margins) < 2:
        return 1.0
    tested = permutation_test(
        (margins,), np.sum, permutation_type="samples", alternative="greater", n_resamples=9_999, rng=1
    )
    return float(tested.pvalue)


def are_sure(judges: Sequence[JudgeMeasure]) -> bool:
    """Whether judges that each judge what the others learned from are together surely better than chance."""
    return p_of_chance(judges) <= SURE


def _pairs(judgements: Sequence[JudgedCompletion]) -> list[MatchedPair[list[int]]]:
    """Replies that people preferred to others, as token ids with their prompt; at most MOST_JUDGED, drawn at random."""
    pairs = matched_pairs(
        [
            (normal_prompt(row.messages), row.first, row.second)
            for row in judgements
            if row.second is not None
        ],
        [(normal_prompt(row.messages), row.first, row.sign > 0) for row in judgements if row.second is None],
    )
    return pairs if len(pairs) <= MOST_JUDGED else random.Random("judged").sample(pairs, MOST_JUDGED)


def wins(
    judges: Sequence[Version],
    home: Path,
    prompts: Sequence[Sequence[Mapping[str, str]]],
    new: Sequence[Any],
    old: Sequence[Any],
) -> Wins:
    """Score two versions' answers to the same prompts of people, exactly the tokens that were drawn.

    Each answer is scored by a judge that learned from the other half than the prompt's, where there is one. `new` and
    `old`: EvaluatedAnswers in the order of `prompts`.
    """
    judged_by = [_judge_of(judges, messages) for messages in prompts]
    scores: dict[int, tuple[float, float]] = {}
    for number, judge in enumerate(judges):
        mine = [index for index, chosen in enumerate(judged_by) if chosen == number]
        if not mine:
            continue
        score = reward_model.load(judge, home)
        ids = [[*answers[i].prompt_ids, *answers[i].completion_ids] for answers in (new, old) for i in mine]
        values = score(ids)
        scale = (float(np.std(values)) or 1.0) if len(judges) > 1 else 1.0
        for place, index in enumerate(mine):
            scores[index] = values[place] / scale, values[len(mine) + place] / scale
    candidate, released = ([scores[i][side] for i in range(len(prompts))] for side in (0, 1))
    lengths = [
        (len(mine.completion_ids), len(other.completion_ids)) for mine, other in zip(new, old, strict=True)
    ]
    advantages = [mine - other for mine, other in zip(candidate, released, strict=True)]
    controlled = without_length(advantages, lengths)
    return Wins(tuple(judge.id for judge in judges), candidate, released, controlled)


def without_length(advantages: Sequence[float], lengths: Sequence[tuple[int, int]]) -> list[float]:
    """Advantages in score without what greater length earns by itself.

    As in length-controlled AlpacaEval (Dubois et al. 2024, section 3), an advantage is taken as a part that the
    difference of lengths explains and a rest, and only the rest counts. Least squares with an intercept, on the
    logarithm of lengths. Where the judge prefers shorter answers nothing is taken off: people may ask for brevity, and
    brevity is no way to fill a page.
    """
    longer = np.array([math.log((new + 1) / (old + 1)) for new, old in lengths])
    values = np.array(advantages, dtype=np.float64)
    spread = longer - longer.mean() if len(longer) else longer
    variation = float(spread @ spread)
    if variation < 1e-9:
        return [float(value) for value in values]
    slope = max(0.0, float(spread @ (values - values.mean())) / variation)
    return [float(value) for value in values - slope * longer]


def _judge_of(judges: Sequence[Version], messages: Sequence[Mapping[str, str]]) -> int:
    own = half_of([dict(message) for message in messages])
    others = [
        number for number, judge in enumerate(judges) if judge.manifest.recipe.get("split", "all") != own
    ]
    return others[0] if others else 0
