"""Measure the error rates of the gate on simulated candidates whose true quality is known.

    python -m benchmarks.loop.gate_errors [--runs 2000] [--plot docs/images/gate.svg]

Both versions answer the same prompts and mostly agree, so what matters is the share of prompts on which they differ.
"differ 20 %, +10" means 15 % gained and 5 % lost; from 60 % to 70 % right, that is a correlation of 0.58 between the
answers. Independent answers would differ on 46 % there. Rows without a promised rate show the limits of the gate.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from alignment.evaluation.gate import Compared, Kind, judge
from alignment.evaluation.paired_tests import Paired
from alignment.evaluation.release_policy import GatePolicy
from benchmarks.loop.interval_plot import Row, line, plot

PROMPTS = 300
Looks = Iterator[tuple[int, list[Compared]]]
"""Pairs of (number of the look, measures that the gate sees at it)."""


@dataclass(frozen=True)
class Scenario:
    """Candidates of one true quality. A run counts as promoted if any of its looks promotes."""

    name: str
    looks: Callable[[np.random.Generator], Looks]
    at_most: float | None = None
    at_least: float | None = None
    policy: GatePolicy = field(default_factory=GatePolicy)


def answers(
    rng: np.random.Generator, differ: float, gain: float, kind: Kind = "primary", prompts: int = PROMPTS
) -> Compared:
    """Right-or-wrong answers that differ on a share `differ` of the prompts; the true gain is `gain`."""
    drawn = rng.random(prompts)
    values = np.where(drawn < (differ + gain) / 2, 1.0, np.where(drawn < differ, -1.0, 0.0))
    return Compared(f"{kind} {rng.random()}", kind, Paired(values, binary=True))


def once(*measures: tuple[float, float, Kind], look: int = 1) -> Callable[[np.random.Generator], Looks]:
    """One look at measures given as (share that differs, gain, kind)."""

    def looks(rng: np.random.Generator) -> Looks:
        yield look, [answers(rng, *measure) for measure in measures]

    return looks


def new_candidates(count: int, primaries: int = 1) -> Callable[[np.random.Generator], Looks]:
    """`count` candidates in turn, none of them better than the released version."""

    def looks(rng: np.random.Generator) -> Looks:
        for look in range(1, count + 1):
            guards = [answers(rng, 0.04, 0.0, "guard") for _ in range(2)]
            yield look, [answers(rng, 0.2, 0.0) for _ in range(primaries)] + guards

    return looks


def growing(rng: np.random.Generator) -> Looks:
    """One candidate that is no better, evaluated again after every 50 further prompts."""
    whole = answers(rng, 0.2, 0.0)
    for look, seen in enumerate(range(100, PROMPTS + 1, 50), 1):
        yield look, [Compared(whole.name, "primary", Paired(whole.paired.differences[:seen], binary=True))]


def skewed(prompts: int) -> Callable[[np.random.Generator], Looks]:
    """Real values with rare large losses and a mean of zero: the skew for which a t-test errs more."""

    def looks(rng: np.random.Generator) -> Looks:
        values = np.exp(0.5) - rng.lognormal(0.0, 1.0, prompts)
        yield 1, [Compared("reward", "primary", Paired(values, binary=False))]

    return looks


STEADY: list[tuple[float, float, Kind]] = [(0.02, 0.0, "guard")] * 4
GUARDS: list[tuple[float, float, Kind]] = [(0.04, 0.0, "guard")] * 4
WIDER: list[tuple[float, float, Kind]] = [(0.10, 0.0, "guard")] * 4
SCENARIOS = [
    Scenario("no better, differ 20 %", once((0.2, 0, "primary")), at_most=0.05),
    Scenario("no better, differ 40 %", once((0.4, 0, "primary")), at_most=0.05),
    Scenario("2 points worse, differ 20 %", once((0.2, -0.02, "primary")), at_most=0.05),
    Scenario("no better on three primary measures", once(*[(0.2, 0, "primary")] * 3), at_most=0.05),
    Scenario(
        "the same, with four guards that only vary", once(*[(0.2, 0, "primary")] * 3, *GUARDS), at_most=0.05
    ),
    Scenario("no better, five looks on growing prompts", growing, at_most=0.05),
    Scenario("twenty candidates no better, one after the other", new_candidates(20), at_most=0.05),
    Scenario("the same, three primary measures", new_candidates(20, primaries=3), at_most=0.05),
    Scenario("no better, skewed real values, 300 prompts", skewed(300), at_most=0.05),
    Scenario("no better, skewed real values, 100 prompts", skewed(100), at_most=0.05),
    Scenario(
        "+15, but one guard worse by exactly its margin",
        once((0.25, 0.15, "primary"), (0.08, -0.05, "guard")),
        at_most=0.05,
    ),
    Scenario("+10, differ 15 %", once((0.15, 0.1, "primary")), at_least=0.9),
    Scenario("+10, differ 20 %", once((0.2, 0.1, "primary")), at_least=0.9),
    Scenario("+10, differ 25 %", once((0.25, 0.1, "primary")), at_least=0.9),
    Scenario("+10, differ 20 %, four guards differ 2 %", once((0.2, 0.1, "primary"), *STEADY), at_least=0.9),
    Scenario(
        "+10 on one of two primary measures, differ 20 %",
        once((0.2, 0.1, "primary"), (0.2, 0, "primary")),
        at_least=0.9,
    ),
    Scenario("+10, differ 20 %, at the second look", once((0.2, 0.1, "primary"), look=2), at_least=0.9),
    Scenario("+10, differ 20 %, at the fifth look", once((0.2, 0.1, "primary"), look=5)),
    Scenario("+10, differ 20 %, four guards differ 4 %", once((0.2, 0.1, "primary"), *GUARDS)),
    Scenario("+10, differ 20 %, four guards differ 10 %", once((0.2, 0.1, "primary"), *WIDER)),
    Scenario(
        "the same, margin of 8 points", once((0.2, 0.1, "primary"), *WIDER), policy=GatePolicy(margin=0.08)
    ),
    Scenario("+10, differ 46 %: as if answered independently", once((0.46, 0.1, "primary"))),
    Scenario("+5, differ 20 %", once((0.2, 0.05, "primary"))),
]


def simulate(scenario: Scenario, runs: int, seed: int) -> Row:
    """Let the gate judge `runs` candidates; returns how many were promoted."""
    rng = np.random.default_rng([seed, *scenario.name.encode()])
    promoted = rejected = 0
    for _ in range(runs):
        verdicts = []
        for look, compared in scenario.looks(rng):
            verdicts.append(judge(compared, scenario.policy, look)[0])
            if verdicts[-1] == "promote":
                break
        promoted += verdicts[-1] == "promote"
        rejected += verdicts[-1] == "reject"
    note = f"last look rejected {100 * rejected / runs:.1f}"
    return Row(scenario.name, promoted, runs, scenario.at_most, scenario.at_least, note)


def main() -> None:
    """Print the table and write the plot. Exit code 1 if a promised rate is exceeded or missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="SVG to write")
    options = parser.parse_args()
    print(f"promoted, percent of {options.runs} runs with 95 % intervals; {PROMPTS} held-out prompts\n")
    rows = []
    for scenario in SCENARIOS:
        rows.append(simulate(scenario, options.runs, options.seed))
        print(line(rows[-1], max(len(each.name) for each in SCENARIOS)), flush=True)
    if options.plot:
        plot(rows, f"How often the gate promotes ({PROMPTS} held-out prompts)", options.plot)
    sys.exit(not all(row.kept for row in rows))


if __name__ == "__main__":
    main()
