"""The state of a cycle, step by step, so that one that was killed goes on where it was; and its reports.

HOME/cycles/NUMBER/state.json is replaced as a whole after every step; a cycle without "ended" in it is unfinished.
`assistant.admin.cycle_records` reads it.
"""

import json
from pathlib import Path
from typing import Any

from alignment.errors import CycleError
from alignment.evaluation import comparison_report
from alignment.evaluation.comparison import VersionComparison
from assistant.admin import cycle_records, cycle_report
from assistant.admin.cycle_records import STEPS
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.registry.versions import now
from feedback_store.atomic_files import write_atomically

State = dict[str, Any]


class Journal:
    """The state of one cycle, and its folder. Every change is written at once."""

    def __init__(self, folder: Path, state: State) -> None:
        self.folder = folder
        self.state = state

    @property
    def number(self) -> int:
        """Cycles of a home are numbered from 1."""
        return int(self.folder.name)

    @property
    def discarded(self) -> bool:
        """Whether it was ended before its time."""
        return (self.state.get("outcome") or {}).get("what") == "discarded"

    @property
    def whole(self) -> Path:
        """The folder of the snapshot of all feedback, which reward models and evaluations read."""
        return self.folder / str(self.state["snapshot"]["folder"])

    @property
    def own(self) -> Path:
        """The folder of the snapshot that candidates learn from."""
        return self.folder / str(self.state["snapshot"]["own"]["folder"])

    def free(self, name: str) -> Path:
        """A path in the cycle's folder that does not exist yet: a killed run leaves snapshots that no state names."""
        names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
        return next(self.folder / name for name in names if not (self.folder / name).exists())

    def save(self, **new: Any) -> None:
        """Add to the state, and write it."""
        self.state.update(new)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "state.json", _json(self.state))

    def fail(self, failure: Event) -> int:
        """Keep that the step under way, or after all steps the report, failed; how often it has failed by now."""
        step = next((step for step in STEPS if step not in self.state), "report")
        failures = [*self.state.get("failures", []), {"at": now(), "step": step, "event": failure.content()}]
        self.save(failures=failures)
        return sum(earlier["step"] == step for earlier in failures)

    def note(self, event: Event) -> None:
        """Keep an event for the report, once: its English text in "notes", and its data in "note_events"."""
        text = describe(event)
        notes, events = self.state.get("notes", []), self.state.get("note_events", {})
        if text not in notes:
            self.save(notes=[*notes, text], note_events={**events, text: event.content()})


def cycles(home: Path) -> list[Journal]:
    """All cycles of a home, first to last. Raises CycleError for a state that cannot be read."""
    return [Journal(cycle.folder, cycle.state) for cycle in reversed(cycle_records.cycles(home, _refuse))]


def _refuse(path: Path, error: Exception) -> None:
    raise CycleError(Event.of("cycle_state_unreadable", path=str(path), error=str(error))) from error


def begin(home: Path, earlier: list[Journal], released: str) -> Journal:
    """A new cycle. Its folder appears with its first state."""
    number = 1 + max((journal.number for journal in earlier), default=0)
    journal = Journal(home / "cycles" / str(number), {"number": number, "began": now(), "released": released})
    journal.save()
    return journal


def known_votes(earlier: list[Journal]) -> set[str]:
    """Names of the votes that the last ended cycle knew. What a discarded cycle was to learn from is still new."""
    return cycle_records.known_votes(
        cycle_records.Cycle(journal.folder, journal.state) for journal in reversed(earlier)
    )


def looks(earlier: list[Journal], released: str) -> int:
    """How many candidates were compared with this released version before, by discarded cycles too."""
    made = [journal.state.get("decisions") or journal.state.get("looked", []) for journal in earlier]
    return sum(decision["released"] == released for decisions in made for decision in decisions)


def write_votes(journal: Journal, votes: set[str], new: int) -> None:
    """Keep the names of the votes that this cycle knows, so that the next one can count those that are new."""
    write_atomically(journal.folder / "votes.json", json.dumps(sorted(votes)) + "\n")
    journal.save(new_votes=new)


def write_report(journal: Journal) -> Path:
    """Write report.md for people and report.json for programs; the path of report.md."""
    path = journal.folder / "report.md"
    write_atomically(path, cycle_report.markdown(journal.number, journal.state, plots=True))
    write_atomically(journal.folder / "report.json", _json(journal.state))
    return path


def write_comparison(folder: Path, comparison: VersionComparison) -> None:
    """Write every value of a comparison as JSON, and its plot."""
    name = f"{comparison.candidate.version}-against-{comparison.released.version}"
    write_atomically(folder / f"{name}.json", _json(comparison_report.content(comparison)))
    comparison_report.plot(comparison, folder / f"{name}.png")


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
