"""Read the records of cycles, evaluations and live comparisons in a home. This module writes nothing.

Missing files are skipped, and damaged files are skipped and logged, so that one file cannot make a whole page fail.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

STEPS = ("snapshot", "judges", "suspects", "candidates", "decisions", "outcome")
"""Steps of a cycle in order. The state of a cycle has each finished step as a key."""


@dataclass(frozen=True)
class Cycle:
    """One cycle, as stored in HOME/cycles/NUMBER."""

    folder: Path
    state: dict[str, Any]

    @property
    def number(self) -> int:
        """Number of the cycle in its home, from 1."""
        return int(self.folder.name)

    @property
    def ended(self) -> bool:
        """Whether the cycle has finished. The next run resumes a cycle that has not."""
        return "ended" in self.state

    @property
    def discarded(self) -> bool:
        """Whether it was ended before its time."""
        return (self.state.get("outcome") or {}).get("what") == "discarded"

    @property
    def done(self) -> list[str]:
        """The finished steps, in order."""
        return [step for step in STEPS if step in self.state]

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """The gate's decision on each candidate."""
        return [decision for decision in self.state.get("decisions") or [] if isinstance(decision, dict)]


@dataclass(frozen=True)
class RewardHistogram:
    """Scores of one reward model for the answers of two versions to the same held-out prompts."""

    judge: str
    before: list[float]
    """Scores of the released version, one per prompt."""
    after: list[float]
    """Scores of the candidate, in the same order."""


@dataclass(frozen=True)
class Curve:
    """One quantity over the course of a training, as points of (update, value)."""

    name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Probe:
    """A correction that was asked again of a candidate and of the version that was released."""

    asked: str
    correction: str
    answer: str
    holds: bool
    answer_before: str
    held_before: bool
    wrong: str = ""
    """The answer that was corrected."""


@dataclass(frozen=True)
class AskedAgain:
    """People's corrections, asked again of one or several candidates and of the version that was released."""

    at: str
    """When."""
    released: str
    candidates: dict[str, list[Probe]]
    """What was found, by candidate; what `released` answered is the same in each."""


def _log_damage(path: Path, error: Exception) -> None:
    log.warning("%s cannot be read: %s", path, error)


def cycles(home: Path, on_damage: Callable[[Path, Exception], None] = _log_damage) -> list[Cycle]:
    """All cycles of a home, the newest first.

    `on_damage` is called with the path of a state that cannot be read; the cycle is left out unless it raises. A cycle
    that was killed before it wrote its first state is left out.
    """
    return list(iter_cycles(home, on_damage))


def iter_cycles(home: Path, on_damage: Callable[[Path, Exception], None] = _log_damage) -> Iterator[Cycle]:
    """As `cycles`, each read when it is asked for: a state holds every reason of every decision."""
    folder = home / "cycles"
    folders = [entry for entry in folder.iterdir() if entry.name.isdigit()] if folder.is_dir() else []
    for entry in sorted(folders, key=lambda entry: int(entry.name), reverse=True):
        path = entry / "state.json"
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(state, dict):
                raise ValueError("it holds no JSON object")
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            on_damage(path, error)
            continue
        yield Cycle(entry, state)


def known_votes(cycles: Iterable[Cycle]) -> set[str]:
    """Names of the votes that the last ended of these cycles knew, of which the newest comes first.

    What a discarded cycle was to learn from is still new.
    """
    for cycle in cycles:
        path = cycle.folder / "votes.json"
        if cycle.ended and not cycle.discarded and path.exists():
            return set(json.loads(path.read_text(encoding="utf-8")))
    return set()


def rewards(home: Path, cycle: int, candidate: str, released: str) -> RewardHistogram | None:
    """The scores of a cycle's reward model. None if the cycle had no reward model, or no held-out prompts."""
    content = _read(home / "cycles" / str(cycle) / f"{candidate}-against-{released}.json")
    try:
        raw = content["rewards"]
        scores = RewardHistogram(
            raw["judge"], [float(x) for x in raw["released"]], [float(x) for x in raw["candidate"]]
        )
    except (TypeError, KeyError, ValueError):
        return None
    return scores if scores.before and scores.after else None


def asked_again(home: Path) -> list[AskedAgain]:
    """What became of people's corrections in every cycle, and in every comparison by `evaluate`, the newest first."""
    records = []
    for cycle in iter_cycles(home):
        found = {
            path.stem.removeprefix("probes-"): _probes(_read(path))
            for path in sorted(cycle.folder.glob("probes-*.json"))
        }
        records.append(AskedAgain(str(cycle.state.get("began", "")), str(cycle.state.get("released")), found))
    for path in sorted((home / "evaluations").glob("*.json")):
        content = _read(path)
        asked = content.get("asked_again") if isinstance(content, dict) else None
        if isinstance(asked, dict) and {"at", "candidate", "released"} <= asked.keys():
            found = {str(asked["candidate"]): _probes(content.get("probes"))}
            records.append(AskedAgain(str(asked["at"]), str(asked["released"]), found))
    return sorted(records, key=lambda record: record.at, reverse=True)


def probes(home: Path, cycle: int, candidate: str) -> list[Probe]:
    """What a cycle's probes of a candidate found, one for each correction. Empty if the cycle had none."""
    return _probes(_read(home / "cycles" / str(cycle) / f"probes-{candidate}.json"))


def _probes(content: Any) -> list[Probe]:
    try:
        return [
            Probe(
                str(row["asked"]),
                str(row["correction"]),
                str(row["answer"]),
                bool(row["holds"]),
                str(row["answer_before"]),
                bool(row["held_before"]),
                str(row.get("wrong", "")),
            )
            for row in content
        ]
    except (TypeError, KeyError, AttributeError):
        return []


def trials(home: Path) -> list[dict[str, Any]]:
    """The record of each live comparison, running or ended, the newest first."""
    records = [_read(path) for path in (home / "trials").glob("*.json")]
    known = [
        record
        for record in records
        if isinstance(record, dict) and {"candidate", "released", "started"} <= record.keys()
    ]
    return sorted(known, key=lambda record: str(record["started"]), reverse=True)


def curves(home: Path, version: str) -> list[Curve]:
    """The training curves of a version: scores if the stage scored answers, otherwise losses. May be empty."""
    history = _read(home / "versions" / version / "curves.json")
    entries = [entry for entry in history if isinstance(entry, dict)] if isinstance(history, list) else []
    # If answers are scored, the loss does not show how well the training works.
    quantity = "score" if any("score" in entry for entry in entries) else "loss"
    lines = []
    for name in (quantity, f"eval_{quantity}"):
        points = [
            (float(entry["step"]), float(entry[name]))
            for entry in entries
            if isinstance(entry.get("step"), int | float) and isinstance(entry.get(name), int | float)
        ]
        if points:
            lines.append(Curve(name, points))
    return lines


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log_damage(path, error)
        return None
