"""End a cycle that has not ended, and keep its record: by hand, or because it can never go on.

The next run begins a new cycle, to which the same feedback is still new. What the discarded one trained stays
registered and unreleased.
"""

import json
from pathlib import Path

from alignment.cycle import cycle_state
from alignment.cycle.cycle_state import Journal
from alignment.event_output import emit
from assistant.admin import cycle_records, cycle_report, last_run
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.events.event_error import event_of
from assistant.registry.versions import now
from feedback_store import SnapshotError
from feedback_store.atomic_files import write_atomically
from feedback_store.rows import snapshot

MOST_FAILURES = 3
"""Times that one step may fail before the cycle is given up: once by chance, once more, and once to be sure."""


def discard(journal: Journal, why: Event) -> Event:
    """End a cycle with its report. Returns what came of it: if all steps are done, their outcome stays."""
    discarded = {"what": "discarded", "why": describe(why), "event": why.content()}
    # Before the report, which may be what cannot be written.
    journal.save(outcome=journal.state.get("outcome", discarded), ended=now())
    cycle_state.write_report(journal)
    return cycle_report.outcome_event(journal.number, journal.state)


def discard_unfinished(home: Path) -> None:
    """End every cycle of a home that has not ended, also one whose state cannot be read."""
    cycle_records.cycles(home, _set_aside)
    unfinished = [journal for journal in cycle_state.cycles(home) if "ended" not in journal.state]
    for journal in unfinished:
        emit(discard(journal, Event.of("discarded_by_hand")))
    # Whoever discards a cycle knows of its failure, and what a failure says of the next run is no longer true.
    last_run.drop_failure(home)
    if not unfinished:
        emit(Event.of("cycle_nothing_to_discard"))


def lost_snapshot(journal: Journal) -> Event | None:
    """Why the cycle can never go on: the rows that its next steps read are gone, or not as they were written."""
    if "snapshot" not in journal.state or "decisions" in journal.state:
        return None
    try:
        snapshot.load(journal.whole)
        snapshot.load(journal.own)
    except SnapshotError as error:
        return Event.of("discarded_snapshot_gone", why=event_of(error))
    return None


def _set_aside(path: Path, error: Exception) -> None:
    """Keep a state that cannot be read beside a new one, which says so."""
    path.rename(path.with_name("state.damaged.json"))
    state = {"number": int(path.parent.name), "notes": [f"{path} could not be read: {error}"]}
    write_atomically(path, json.dumps(state) + "\n")
