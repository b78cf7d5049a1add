"""Whether a correction holds in a version, as far as cycles and `evaluate` have asked again."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from assistant.admin import cycle_records

State = Literal["right", "still right", "lost", "wrong"]
"""Right for the first time, right as before, not right any more, never right yet."""


class CorrectedAnswer(NamedTuple):
    """A correction by its texts: records keep no ids of replies."""

    asked: str
    correction: str
    wrong: str


@dataclass(frozen=True)
class FixState:
    """What a version made of a correction when it was asked last."""

    state: State
    answer: str


class _Asked(NamedTuple):
    version: str
    holds: bool
    answer: str


def fix_states(home: Path, version: str) -> dict[CorrectedAnswer, FixState]:
    """What became of every correction that `version` was asked again.

    That it was right before is known from the versions that were released when they were asked, and from itself.
    """
    asked: dict[CorrectedAnswer, list[_Asked]] = defaultdict(list)
    for record in cycle_records.asked_again(home):
        released = record.released
        found: dict[CorrectedAnswer, dict[str, _Asked]] = defaultdict(dict)
        for candidate, probes in record.candidates.items():
            for probe in probes:
                of = found[CorrectedAnswer(probe.asked, probe.correction, probe.wrong)]
                if candidate == version:
                    of[candidate] = _Asked(candidate, probe.holds, probe.answer)
                # The same for each candidate, and asked of an earlier version than they are.
                of[released] = _Asked(released, probe.held_before, probe.answer_before)
        for correction, of in found.items():
            asked[correction] += sorted(of.values(), key=lambda one: one.version == released)
    states = {}
    for correction, newest_first in asked.items():
        place = next((place for place, one in enumerate(newest_first) if one.version == version), None)
        if place is not None:
            before = any(one.holds for one in newest_first[place + 1 :])
            states[correction] = _state(newest_first[place], before)
    return states


def _state(last: _Asked, before: bool) -> FixState:
    if last.holds:
        return FixState("still right" if before else "right", last.answer)
    return FixState("lost" if before else "wrong", last.answer)
