"""Whether a correction holds in a version, as far as cycles have asked again."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from assistant.admin import cycle_records
from assistant.admin.cycle_records import Probe

State = Literal["right", "still right", "lost", "wrong"]
"""Right for the first time, right as before, not right any more, never right yet."""


class CorrectedAnswer(NamedTuple):
    """A correction by its texts: cycles keep no ids of replies."""

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
    """What became of every correction that a cycle has asked `version`.

    That it was right before is known from the versions that were released when a cycle asked them, and from itself.
    """
    asked: dict[CorrectedAnswer, list[_Asked]] = defaultdict(list)
    for cycle in cycle_records.iter_cycles(home):
        released = str(cycle.state.get("released"))
        found: dict[CorrectedAnswer, dict[str, _Asked]] = defaultdict(dict)
        for candidate, probe in _probes_of(home, cycle):
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


def _probes_of(home: Path, cycle: cycle_records.Cycle) -> Iterator[tuple[str, Probe]]:
    """(candidate, what was found) of every probe of a cycle."""
    for path in sorted(cycle.folder.glob("probes-*.json")):
        candidate = path.stem.removeprefix("probes-")
        for probe in cycle_records.probes(home, cycle.number, candidate):
            yield candidate, probe
