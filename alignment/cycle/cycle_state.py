"""What a cycle has done so far, step by step, so that one that was killed goes on from there.

HOME/cycles/N/state.json is replaced whole after every step; a cycle without "ended" in it is unfinished.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alignment.errors import CycleError
from assistant.registry.versions import now, write_atomically

State = dict[str, Any]


class Journal:
    """The state of one cycle, in its folder."""

    def __init__(self, folder: Path, state: State) -> None:
        self.folder = folder
        self.state = state

    @property
    def number(self) -> int:
        return int(self.folder.name)

    @property
    def whole(self) -> Path:
        """The folder of the snapshot that reward models and evaluations read: everything that people said."""
        return self.folder / str(self.state["snapshot"]["folder"])

    @property
    def own(self) -> Path:
        """The folder of the snapshot that candidates learn from."""
        return self.folder / str(self.state["snapshot"]["own"]["folder"])

    def free(self, name: str) -> Path:
        """A folder in the cycle's that is not there yet: a kill leaves whole snapshots that nobody knows of."""
        tries = [name, *(f"{name}-{number}" for number in range(2, 1000))]
        return next(self.folder / one for one in tries if not (self.folder / one).exists())

    def save(self, **new: Any) -> None:
        """Add to the state, and write it."""
        self.state.update(new)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(
            self.folder / "state.json", json.dumps(self.state, ensure_ascii=False, indent=1) + "\n"
        )

    def note(self, text: str) -> None:
        """Keep a sentence for the report, once."""
        notes = self.state.setdefault("notes", [])
        if text not in notes:
            self.save(notes=[*notes, text])


def cycles(home: Path) -> list[Journal]:
    """All cycles of a home, first to last. Raises CycleError for a state that cannot be read."""
    return list(_read(home))


def _read(home: Path) -> Iterator[Journal]:
    folder = home / "cycles"
    found = [entry for entry in folder.iterdir() if entry.name.isdigit()] if folder.is_dir() else []
    for entry in sorted(found, key=lambda entry: int(entry.name)):
        path = entry / "state.json"
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(state, dict):
                raise ValueError("it is no object")
        except FileNotFoundError:
            continue  # Killed before its first step.
        except (OSError, ValueError) as error:
            raise CycleError(
                f"{path} cannot be read ({error}). Restore it, or delete the folder {entry}: "
                "its candidates stay registered and unreleased."
            ) from error
        yield Journal(entry, state)


def begin(home: Path, earlier: list[Journal], released: str) -> Journal:
    """A new cycle; its folder appears with its first state."""
    number = 1 + max((one.number for one in earlier), default=0)
    journal = Journal(home / "cycles" / str(number), {"number": number, "began": now(), "released": released})
    journal.save()
    return journal


def seen(earlier: list[Journal]) -> set[str]:
    """Names of the votes that the last ended cycle knew."""
    for journal in reversed(earlier):
        path = journal.folder / "votes.json"
        if "ended" in journal.state and path.exists():
            return set(json.loads(path.read_text(encoding="utf-8")))
    return set()


def looks(earlier: list[Journal], released: str) -> int:
    """How many candidates were compared with this released version before."""
    decisions = [one for journal in earlier for one in journal.state.get("decisions", [])]
    return sum(one["released"] == released for one in decisions)


def write_votes(mine: Journal, given: set[str], new: int) -> None:
    """Keep which votes this cycle knows: the next one counts what is new since then."""
    write_atomically(mine.folder / "votes.json", json.dumps(sorted(given)) + "\n")
    mine.save(new_votes=new)
