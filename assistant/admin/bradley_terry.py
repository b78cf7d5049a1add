"""Versions rated by the choices that people made between two of their answers: the model of Bradley & Terry.

Bradley & Terry (1952, "Rank analysis of incomplete block designs: I", Biometrika 39): version i is preferred to j with
the chance σ(θᵢ - θⱼ). Its log-likelihood is concave (Hunter 2004, "MM algorithms for generalized Bradley-Terry
models", Annals of Statistics 32), so Newton's method finds the maximum; the interval is Wald's, from the observed
information there.

Two things on top. Where people liked both answers or neither, each version gets half a win. And half a win is added to
each side of every two versions that were compared (Haldane 1956; Anscombe 1956): else a version that has never lost
would have no finite rating. Of two versions with w and l wins that gives log((w+½)/(l+½)) ± 1.96 √(1/(w+½) + 1/(l+½)).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feedback_store.stats.intervals import Z

ADDED = 0.5
"""Wins added to each side of a pair that was compared."""
STEPS, ENOUGH = 100, 1e-10

Wins = Mapping[tuple[str, str], float]
"""How often the first was preferred to the second; half for either where both were as good."""


@dataclass(frozen=True)
class Rating:
    """One version beside the reference."""

    version: str
    chance: float
    """That people prefer it to the reference, from 0 to 1."""
    low: float
    high: float
    """The chance's 95 % interval; that of the reference itself is ½ by definition."""
    choices: int
    """Between it and any other version."""


def rate(wins: Wins, reference: str) -> list[Rating]:
    """Every version that can be placed beside `reference` by a chain of choices, the best first; empty for none.

    `reference` itself is among them. Raises ValueError for a count below zero or a version compared with itself.
    """
    for (first, second), count in wins.items():
        if count < 0 or first == second:
            raise ValueError(f"{first} cannot have won {count} times against {second}")
    pairs = {frozenset(pair) for pair, count in wins.items() if count > 0}
    versions = connected(pairs, reference)
    if len(versions) < 2:
        return []
    index = {version: number for number, version in enumerate(versions)}
    table = np.zeros((len(versions), len(versions)))
    for pair in pairs:
        first, second = sorted(pair)
        if first in index:
            for one, other in ((first, second), (second, first)):
                table[index[one], index[other]] = wins.get((one, other), 0.0) + ADDED
    strength, variance = _fit(table, index[reference])
    half = Z * np.sqrt(variance)
    added = ADDED * (table > 0)
    choices = (table - added + (table - added).T).sum(axis=1)
    found = [
        Rating(
            version,
            float(_sigma(strength[i])),
            float(_sigma(strength[i] - half[i])),
            float(_sigma(strength[i] + half[i])),
            round(float(choices[i])),
        )
        for version, i in index.items()
    ]
    return sorted(found, key=lambda one: -one.chance)


def connected(pairs: set[frozenset[str]], reference: str) -> list[str]:
    """`reference` and all that a chain of pairs leads to, in order."""
    found, edge = {reference}, {reference}
    while edge:
        edge = {other for pair in pairs if pair & edge for other in pair} - found
        found |= edge
    return sorted(found)


def _fit(table: np.ndarray, reference: int) -> tuple[np.ndarray, np.ndarray]:
    """Strengths θ (the reference's is 0) and the variance of each, from table[i, j]: how often i beat j."""
    games = table + table.T
    free = np.arange(len(table)) != reference
    strength = np.zeros(len(table))
    for _ in range(STEPS):
        chance = _sigma(strength[:, None] - strength[None, :])
        slope = (table - games * chance).sum(axis=1)
        step = np.linalg.solve(_information(games, chance)[np.ix_(free, free)], slope[free])
        # Far from the maximum a full step may overshoot; four units are a chance of 98 %.
        strength[free] += np.clip(step, -4, 4)
        if np.abs(step).max() < ENOUGH:
            break
    chance = _sigma(strength[:, None] - strength[None, :])
    variance = np.zeros(len(table))
    variance[free] = np.diag(np.linalg.inv(_information(games, chance)[np.ix_(free, free)]))
    return strength, variance


def _information(games: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """The negative second derivative of the log-likelihood."""
    weight = games * chance * (1 - chance)
    return np.diag(weight.sum(axis=1)) - weight


def _sigma(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(value, -500, 500)))


def wins_of(choices: Sequence[tuple[str, str, str, int]]) -> dict[tuple[str, str], float]:
    """Wins from (left version, right version, choice, how many), as the store counts them."""
    found: dict[tuple[str, str], float] = {}
    for left, right, choice, count in choices:
        left_wins = {"left": 1.0, "right": 0.0}.get(choice, 0.5)
        found[left, right] = found.get((left, right), 0.0) + left_wins * count
        found[right, left] = found.get((right, left), 0.0) + (1 - left_wins) * count
    return found
