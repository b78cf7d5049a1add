"""What every claim consists of. A claim is a module with these names, so that all of them read alike:

TEXTS                            what is claimed, what was done, and what would speak against it, by language
run(context) -> Measured         measure, part by part; only this costs time
report(measured) -> Report       the figures with their intervals, and whether the claim held
draw(measured, figure, language) the plot, on an empty matplotlib figure
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from assistant.page.tour.claim_results import Verdict

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

Measured = dict[str, Any]
"""What `run` measured: JSON values, counts rather than shares, so that intervals can be computed from them."""


class Text(NamedTuple):
    """A text in both languages."""

    en: str
    zh: str

    def of(self, language: Language) -> str:
        """The text in one of them."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class ClaimTexts:
    """The texts of a claim that are the same whatever is measured. Its title is the tour's."""

    claim: str
    done: str
    """What was done, with the sizes of a full run."""
    against: str
    """What would have spoken against the claim."""


class Condition(NamedTuple):
    """One thing that had to be seen for a claim to hold, and whether it was."""

    text: Text
    is_met: bool


def verdict_of(conditions: Sequence[Condition]) -> Verdict:
    """Held if every condition is met, not held if none is."""
    met = [condition.is_met for condition in conditions]
    return "held" if all(met) else "partly" if any(met) else "not held"


@dataclass(frozen=True)
class Report:
    """What a measurement says."""

    verdict: Verdict
    plain: Text
    """What was seen, in words for everybody: rounded counts, no intervals, no terms that a newcomer does not know."""
    conditions: Sequence[Condition]
    """What had to be seen for the claim to hold."""
    finding: Text
    """The figures that decide, with their intervals, in a sentence or two."""
    head: Sequence[Text | str]
    rows: Sequence[Sequence[Text | str]]
    """A table with every figure and its 95 % interval, and its heading."""


Texts = Mapping[Language, ClaimTexts]
