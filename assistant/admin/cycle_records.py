"""What cycles, evaluations and live comparisons have written into a home, read for people: nothing here writes.

A file that is missing or damaged is left out, and the log says so: a page of figures must not fail for one of them.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

STEPS = ("snapshot", "judges", "suspects", "candidates", "decisions", "outcome")
"""Of a cycle, in order; each stands in its state once it is done."""


@dataclass(frozen=True)
class Cycle:
    """One cycle as HOME/cycles/N holds it."""

    number: int
    state: dict[str, Any]

    @property
    def ended(self) -> bool:
        """Whether it has run to its end; one that has not goes on with the next run."""
        return "ended" in self.state

    @property
    def done(self) -> int:
        """How many of STEPS are done."""
        return sum(step in self.state for step in STEPS)

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """What the gate said of each candidate."""
        return [one for one in self.state.get("decisions") or [] if isinstance(one, dict)]


@dataclass(frozen=True)
class Rewards:
    """Scores that one reward model gave to two versions' answers to the same held-out prompts of people."""

    judge: str
    before: list[float]
    after: list[float]
    """In the order of the prompts."""


@dataclass(frozen=True)
class Curve:
    """One line of a training curve: (update, value)."""

    name: str
    points: list[tuple[float, float]]


def cycles(home: Path) -> list[Cycle]:
    """All cycles of a home, the newest first."""
    folder = home / "cycles"
    numbers = (
        [int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()] if folder.is_dir() else []
    )
    found = []
    for number in sorted(numbers, reverse=True):
        state = _read(folder / str(number) / "state.json")
        if isinstance(state, dict):
            found.append(Cycle(number, state))
    return found


def report(home: Path, number: int) -> str:
    """A cycle's report in Markdown, "" where there is none yet. Its pictures are left out."""
    try:
        text = (home / "cycles" / str(int(number)) / "report.md").read_text(encoding="utf-8")
    except OSError:
        return ""
    return "\n".join(line for line in text.splitlines() if not line.startswith("!["))


def rewards(home: Path, cycle: int, candidate: str, released: str) -> Rewards | None:
    """How the judge of a cycle scored both versions; None where there was no judge, or no prompt to answer."""
    content = _read(home / "cycles" / str(cycle) / f"{candidate}-against-{released}.json")
    try:
        raw = content["rewards"]
        found = Rewards(
            raw["judge"], [float(x) for x in raw["released"]], [float(x) for x in raw["candidate"]]
        )
    except (TypeError, KeyError, ValueError):
        return None
    return found if found.before and found.after else None


def trials(home: Path) -> list[dict[str, Any]]:
    """Where each live comparison stands or how it ended, the newest first."""
    found = [_read(path) for path in (home / "trials").glob("*.json")]
    known = [
        one for one in found if isinstance(one, dict) and {"candidate", "released", "started"} <= one.keys()
    ]
    return sorted(known, key=lambda one: str(one["started"]), reverse=True)


def curves(home: Path, version: str) -> list[Curve]:
    """The loss, and where answers are scored the score, of a version's training; none where it kept no curves."""
    history = _read(home / "versions" / version / "curves.json")
    entries = [one for one in history if isinstance(one, dict)] if isinstance(history, list) else []
    # Where answers are scored, the loss says nothing of how well it goes.
    what = "score" if any("score" in one for one in entries) else "loss"
    found = []
    for name in (what, f"eval_{what}"):
        points = [
            (float(one["step"]), float(one[name]))
            for one in entries
            if isinstance(one.get("step"), int | float) and isinstance(one.get(name), int | float)
        ]
        if points:
            found.append(Curve(name, points))
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return None
