"""Rank versions by people's choices between two of their answers, with the model of Bradley and Terry.

Bradley & Terry (1952, "Rank analysis of incomplete block designs: I", Biometrika 39): version i is preferred to j with
probability σ(θᵢ - θⱼ). Its log-likelihood is concave (Hunter 2004, "MM algorithms for generalized Bradley-Terry
models", Annals of Statistics 32), so Newton's method finds the maximum; the interval is Wald's, from the observed
information there.

Two additions. Where people liked both answers or neither, each version gets half a win. And half a win is added to each
side of every two versions that were compared (Haldane 1956; Anscombe 1956), because a version that has never lost would
else have no finite strength. Two versions with w and l wins then get log((w+½)/(l+½)) ± 1.96 √(1/(w+½) + 1/(l+½)).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feedback_store.stats.intervals import Z

ADDED = 0.5
"""Wins added to each side of two versions that were compared."""
MAX_STEPS, TOLERANCE = 100, 1e-10
"""Newton's method: maximum number of steps, and largest step that counts as converged."""

Wins = Mapping[tuple[str, str], float]
"""Number of times the winner was preferred, by (winner, loser). A tie counts half for each."""


@dataclass(frozen=True)
class VersionStrength:
    """A version compared with the reference version."""

    version: str
    chance: float
    """Probability that people prefer it to the reference."""
    low: float
    high: float
    """The 95 % interval of `chance`. The reference itself has ½ by definition."""
    choices: int
    """Number of choices between it and any other version."""


def rate(wins: Wins, reference: str) -> list[VersionStrength]:
    """The strength of every version that a chain of choices connects to `reference` (included), the best first.

    Empty if no choice involves `reference`. Raises ValueError for a negative count or a version compared with itself.
    """
    for (winner, loser), count in wins.items():
        if count < 0 or winner == loser:
            raise ValueError(f"{winner} cannot have won {count} times against {loser}")
    pairs = {frozenset(pair) for pair, count in wins.items() if count > 0}
    versions = connected(pairs, reference)
    if len(versions) < 2:
        return []
    index = {version: number for number, version in enumerate(versions)}
    table = np.zeros((len(versions), len(versions)))
    for pair in pairs:
        version, other = sorted(pair)
        if version in index:
            for winner, loser in ((version, other), (other, version)):
                table[index[winner], index[loser]] = wins.get((winner, loser), 0.0) + ADDED
    strength, variance = _fit(table, index[reference])
    half = Z * np.sqrt(variance)
    added = ADDED * (table > 0)
    choices = (table - added + (table - added).T).sum(axis=1)
    strengths = [
        VersionStrength(
            version,
            float(_sigma(strength[i])),
            float(_sigma(strength[i] - half[i])),
            float(_sigma(strength[i] + half[i])),
            round(float(choices[i])),
        )
        for version, i in index.items()
    ]
    return sorted(strengths, key=lambda entry: -entry.chance)


def connected(pairs: set[frozenset[str]], reference: str) -> list[str]:
    """`reference` and every version that a chain of pairs connects to it, sorted."""
    reached, edge = {reference}, {reference}
    while edge:
        edge = {other for pair in pairs if pair & edge for other in pair} - reached
        reached |= edge
    return sorted(reached)


def _fit(table: np.ndarray, reference: int) -> tuple[np.ndarray, np.ndarray]:
    """Strengths θ (0 for the reference) and their variances, each of shape (versions,).

    `table`: shape (versions, versions); entry i, j is the number of wins of i over j.
    """
    games = table + table.T
    free = np.arange(len(table)) != reference
    strength = np.zeros(len(table))
    for _ in range(MAX_STEPS):
        chance = _sigma(strength[:, None] - strength[None, :])
        slope = (table - games * chance).sum(axis=1)
        step = np.linalg.solve(_information(games, chance)[np.ix_(free, free)], slope[free])
        # Far from the maximum a full step may overshoot; four units are a chance of 98 %.
        strength[free] += np.clip(step, -4, 4)
        if np.abs(step).max() < TOLERANCE:
            break
    chance = _sigma(strength[:, None] - strength[None, :])
    variance = np.zeros(len(table))
    variance[free] = np.diag(np.linalg.inv(_information(games, chance)[np.ix_(free, free)]))
    return strength, variance


def _information(games: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """The observed information: the negative second derivative of the log-likelihood."""
    weight = games * chance * (1 - chance)
    return np.diag(weight.sum(axis=1)) - weight


def _sigma(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(value, -500, 500)))


def wins_of(choices: Sequence[tuple[str, str, str, int]]) -> dict[tuple[str, str], float]:
    """Wins from rows of (left version, right version, choice, count), as the store counts choices."""
    wins: dict[tuple[str, str], float] = {}
    for left, right, choice, count in choices:
        left_wins = {"left": 1.0, "right": 0.0}.get(choice, 0.5)
        wins[left, right] = wins.get((left, right), 0.0) + left_wins * count
        wins[right, left] = wins.get((right, left), 0.0) + (1 - left_wins) * count
    return wins
