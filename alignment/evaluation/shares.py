"""Shares of evaluated answers by kind, language and thinking mode, each with its 95 % interval, and their table."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from alignment.evaluation.aligned_table import with_interval
from alignment.evaluation.answering import EvaluatedAnswer
from feedback_store.stats.intervals import wilson

OVERALL, DOMAIN = "all kinds", "all of the domain"
_OF_ALL = ("ended", "refused", "asks")
"""Measures that the table shows over all kinds together, not kind by kind."""


@dataclass(frozen=True)
class Cell:
    """A share with its 95 % Wilson interval, all from 0 to 1."""

    kind: str
    language: str
    think: bool
    measure: str
    """ "correct", "ended", "unit", "refused", "asks" or "pass@k"."""
    count: int
    of: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """`count` / `of`."""
        return self.count / self.of


def cells(answers: Sequence[EvaluatedAnswer]) -> list[Cell]:
    """Shares by kind, language and thinking mode: correct, ended, asks, and unit and refused where tasks check them."""

    def key(answer: EvaluatedAnswer) -> tuple[str, str, bool]:
        return answer.task.kind, answer.task.language, answer.think

    result = []
    for (kind, language, think), group in itertools.groupby(sorted(answers, key=key), key=key):
        rows = list(group)
        measures: dict[str, list[bool]] = {
            "correct": [row.correct for row in rows],
            "ended": [row.ended for row in rows],
            "unit": [row.has_unit for row in rows if row.has_unit is not None],
            "refused": [row.refused for row in rows if row.refused is not None],
            "asks": [row.asks for row in rows],
        }
        for measure, values in measures.items():
            if values:
                share = wilson(sum(values), len(values))
                result.append(
                    Cell(kind, language, think, measure, share.count, share.of, share.low, share.high)
                )
    return result


def overall(answers: Sequence[EvaluatedAnswer]) -> list[Cell]:
    """Over all kinds: how many replies ended or asked on, and how many questions were refused by mistake."""
    everything, domain = (
        [replace(answer, task=replace(answer.task, kind=kind)) for answer in answers]
        for kind in (OVERALL, DOMAIN)
    )
    return [
        *(cell for cell in cells(everything) if cell.measure in ("ended", "asks")),
        *(cell for cell in cells(domain) if cell.measure == "refused"),
    ]


def any_correct(rounds: Sequence[Sequence[EvaluatedAnswer]]) -> list[Cell]:
    """Pass@k (Chen et al. 2021), k rounds of the same tasks: the share of tasks that any round got right."""
    best = [
        replace(tries[0], correct=any(answer.correct for answer in tries))
        for tries in zip(*rounds, strict=True)
    ]
    measure = f"pass@{len(rounds)}"
    return [replace(cell, measure=measure) for cell in cells(best) if cell.measure == "correct"]


def table(shares: Sequence[Cell]) -> str:
    """One line for each kind and measure; columns are language and thinking mode. Percent, with the interval.

    Single kinds have a line for what they get right and for units; whether replies end, ask on or refuse has a line
    over all kinds.
    """
    languages = sorted({cell.language for cell in shares})
    columns = [(language, think) for language in languages for think in (True, False)]
    headings = [f"{language}, thinking {'on' if think else 'off'}" for language, think in columns]
    lines = [f"{'':<30}" + "".join(f"{heading:>22}" for heading in headings)]
    by_place = {(cell.kind, cell.measure, cell.language, cell.think): cell for cell in shares}
    whole = {OVERALL, DOMAIN}
    shown = {
        (cell.kind, cell.measure) for cell in shares if (cell.measure in _OF_ALL) == (cell.kind in whole)
    }
    for kind, measure in sorted(shown, key=lambda row: (row[0] in whole, *row)):
        line = f"{f'{kind}, {measure}':<30}"
        for language, think in columns:
            cell = by_place.get((kind, measure, language, think))
            line += f"{with_interval(cell.share, cell.low, cell.high) if cell else '-':>22}"
        lines.append(line)
    return "\n".join(lines)
