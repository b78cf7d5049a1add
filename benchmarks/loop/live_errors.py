"""Measure error rates and sample sizes of the live comparison on simulated thumbs, tested after every vote.

    python -m benchmarks.loop.live_errors [--runs 1000] [--plot docs/images/live.svg]

There are 300 raters unless a scenario names another number. A rater's chance of a thumb up is Beta-distributed, and
each conversation has one to six votes, all in one arm. "alike 60 %" means a correlation of 0.6 between the votes of one
rater; otherwise it is 0.2. A comparison has up to 3000 votes, of which the first five of each rater count: at most 1500
from 300 raters. A comparison that has not ended by then counts as neither a win nor a rollback.
"""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from alignment.evaluation.release_policy import LivePolicy
from alignment.live.sequential_test import CANDIDATE, RELEASED, VoteArrays, settle
from benchmarks.loop.interval_plot import Row, line, plot

VOTES = 3000


@dataclass(frozen=True)
class People:
    """A population of raters and the split between the two arms."""

    name: str
    up: float = 0.6
    """Chance of a thumb up for the released version, mean over raters."""
    gain: float = 0.0
    """Added to `up` for the candidate."""
    alike: float = 0.2
    """Correlation between the votes of one rater."""
    raters: int = 300
    share: float = 0.5
    """Share of the conversations that the candidate serves."""
    saboteur: bool = False
    """One more rater gives every fourth vote, down for the candidate and up for the released version."""
    policy: LivePolicy = field(default_factory=LivePolicy)


SCENARIOS = [
    People("no difference"),
    People("no difference, everyone of one mind with oneself (alike 60 %)", alike=0.6),
    People("no difference, every vote independent", alike=0.0),
    People("no difference, 95 % thumbs up", up=0.95),
    People("no difference, the candidate serves 20 %", share=0.2),
    People("no difference, 20 % served, 95 % thumbs up", share=0.2, up=0.95),
    People("no difference, one saboteur of every fourth vote", saboteur=True),
    People("+10 points", gain=0.1),
    People("+10 points, 1500 raters", gain=0.1, raters=1500),
    People("+10 points, every vote independent", gain=0.1, alike=0.0),
    People("+10 points, the candidate serves 20 %", gain=0.1, share=0.2),
    People("+10 points, one saboteur", gain=0.1, saboteur=True),
    People("10 points worse", gain=-0.1),
    People("20 points worse", gain=-0.2),
    People("20 points worse, the candidate serves 20 %", gain=-0.2, share=0.2),
]


def stream(people: People, rng: np.random.Generator) -> VoteArrays:
    """Draw the votes of one comparison and keep those that count."""
    size = rng.integers(1, 7, VOTES)
    conversation = np.repeat(np.arange(VOTES), size)[:VOTES]
    rater = rng.integers(0, people.raters, VOTES)[conversation]
    arm = np.where(rng.random(VOTES) < people.share, CANDIDATE, RELEASED)[conversation]
    if people.alike:
        spread = 1 / people.alike - 1  # a + b of the Beta distribution; the correlation is 1 / (a + b + 1).
        taste = rng.beta(people.up * spread, (1 - people.up) * spread, people.raters)[rater]
    else:
        taste = np.full(VOTES, people.up)
    # Flip a share of the votes, so that the mean changes by exactly `gain` whatever the taste.
    turned = rng.random(VOTES) < abs(people.gain) / (1 - people.up if people.gain > 0 else people.up)
    up = rng.random(VOTES) < taste
    up = np.where(turned & (arm == CANDIDATE), people.gain > 0, up)
    if people.saboteur:
        loud = rng.random(VOTES) < 0.25
        rater, up = np.where(loud, people.raters, rater), np.where(loud, arm == RELEASED, up)
    # Conversations go on side by side.
    order = np.argsort(np.arange(VOTES) + rng.uniform(0, 60, VOTES))
    whole = VoteArrays(arm[order].astype(np.intp), rater[order].astype(np.intp), up[order].astype(np.float64))
    return whole.first_of_each(people.policy.votes_per_rater)


def simulate(people: People, runs: int, seed: int) -> list[Row]:
    """Two rows: how often the candidate wins, and how often it is rolled back."""
    rng = np.random.default_rng([seed, *people.name.encode()])
    ended: dict[str, list[int]] = {"candidate wins": [], "roll back": [], "continue": []}
    for _ in range(runs):
        verdict, votes = settle(stream(people, rng), people.policy)
        ended[verdict].append(votes)
    rows = []
    for verdict in ("candidate wins", "roll back"):
        false = people.gain <= 0 if verdict == "candidate wins" else people.gain >= 0
        votes = ended[verdict]
        half, most = np.percentile(votes, (50, 90)) if votes else (0, 0)
        note = "" if false else f"counted votes until then: {half:.0f} in half, {most:.0f} in nine of ten"
        rows.append(Row(f"{people.name}: {verdict}", len(votes), runs, 0.05 if false else None, None, note))
    return rows


def main() -> None:
    """Print the table and write the plot. Exit code 1 if a promised rate is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="SVG to write")
    options = parser.parse_args()
    print(f"percent of {options.runs} comparisons with 95 % intervals, looked at after every vote\n")
    rows = []
    for people in SCENARIOS:
        for row in simulate(people, options.runs, options.seed):
            rows.append(row)
            print(line(row, 80), flush=True)
    if options.plot:
        plot(rows, "How the live comparison ends, looked at after every vote", options.plot)
    sys.exit(not all(row.kept for row in rows))


if __name__ == "__main__":
    main()
