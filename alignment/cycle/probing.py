"""Probes of a comparison: every correction asked again and every liked reply read again, by both versions.

A cycle keeps what they find in its folder, as probes-VERSION.json, for the page and the dashboard. They come from the
store, or from the cycle's snapshot of it, so that the next comparison has none of people who were forgotten.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alignment.corrections.correction_rows import CorrectedPrompt, corrections_among
from alignment.corrections.probes import FixProbe, liked_rows, probe_fixes
from alignment.evaluation.aligned_table import aligned, cut
from alignment.evaluation.measures import MeasurePair, measure_pair
from alignment.evaluation.retention import surprises
from assistant.events.event import Event
from assistant.serving.loading import Loaded
from feedback_store.atomic_files import write_atomically
from feedback_store.rows.snapshot import Snapshot

MOST = 200
"""Most corrections, and most liked replies, that are probed: the latest."""
WIDTH = 44
"""Columns of a text in the table."""

Fate = Literal["lost", "wrong", "fixed", "held"]
FATES: dict[tuple[bool, bool], Fate] = {
    (True, False): "lost",
    (False, False): "wrong",
    (False, True): "fixed",
    (True, True): "held",
}
"""By whether a correction held in the released version and holds in the candidate; what people look for comes first."""


@dataclass(frozen=True)
class ProbedCorrection:
    """A correction, asked again of the candidate and of the released version."""

    candidate: FixProbe
    released: FixProbe

    @property
    def fate(self) -> Fate:
        """What became of it from the released version to the candidate."""
        return FATES[self.released.holds, self.candidate.holds]

    def content(self) -> dict[str, Any]:
        """As JSON takes it."""
        new, old = self.candidate, self.released
        return {
            "asked": new.asked,
            "correction": new.correction,
            "wrong": new.wrong,
            "answer": new.answer,
            "holds": new.holds,
            "answer_before": old.answer,
            "held_before": old.holds,
            "wordings": new.wordings,
        }


class Probes:
    """The probes of comparisons with one released version, which is asked once, however many there are."""

    def __init__(
        self,
        preferences: Iterable[Any],
        thumbs: Iterable[Any],
        minimum: int,
        wordings: Mapping[str, Sequence[str]] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Take corrections and liked replies from rows. Fewer replies than `minimum` guard nothing.

        `wordings`: further ones by hand, see `probe_fixes`. `folder`: where what is found is kept.
        """
        self.minimum, self.folder = minimum, folder
        self.corrections: list[CorrectedPrompt] = corrections_among(preferences)[-MOST:]
        self.found: list[ProbedCorrection] = []
        """Of the last comparison."""
        self._wordings = wordings or {}
        self._thumbs = [row for row in thumbs if row.label][-MOST:]
        self._released: list[FixProbe] | None = None

    @classmethod
    def of_snapshot(
        cls, rows: Snapshot, minimum: int, wordings: Mapping[str, Sequence[str]], folder: Path
    ) -> "Probes":
        """The probes of a cycle."""
        return cls(rows.rows("preference"), rows.rows("unpaired"), minimum, wordings, folder)

    def ask(self, version: str, new: Loaded, old: Loaded) -> None:
        """Ask every correction again, of the candidate and of the released version."""
        if self._released is None:
            self._released = probe_fixes(old, self.corrections, self._wordings)
        candidate = probe_fixes(new, self.corrections, self._wordings)
        self.found = [ProbedCorrection(*both) for both in zip(candidate, self._released, strict=True)]
        self._write(version)

    def measures(self, version: str, new: Loaded, old: Loaded) -> list[MeasurePair]:
        """Whether each correction holds, and how surprising each liked reply is, for the candidate and the released."""
        measures = []
        if self.corrections:
            self.ask(version, new, old)
        if self.found:
            measures.append(
                measure_pair(
                    "corrections hold",
                    "primary",
                    {
                        f"{number}": (float(one.candidate.holds), float(one.released.holds))
                        for number, one in enumerate(self.found)
                    },
                    probes=True,
                )
            )
        liked = liked_rows(self._thumbs, min(new.window, old.window), new.tokenizer)
        if len(liked) >= self.minimum:
            values = zip(surprises(new.model, liked), surprises(old.model, liked), strict=True)
            measures.append(
                measure_pair(
                    "surprise at liked replies",
                    "guard",
                    {f"{number}": both for number, both in enumerate(values)},
                    higher=False,
                    probes=True,
                )
            )
        return measures

    def _write(self, version: str) -> None:
        if self.folder is not None:
            rows = [one.content() for one in self.found]
            write_atomically(
                probes_file(self.folder, version), json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
            )


def probes_file(folder: Path, version: str) -> Path:
    """Where a cycle's folder holds what a candidate's probes found."""
    return folder / f"probes-{version}.json"


def summary(found: Sequence[ProbedCorrection], candidate: str, released: str) -> Event:
    """How many corrections hold in both versions, and what became of them."""
    fates = [one.fate for one in found]
    return Event.of(
        "corrections_asked_again",
        candidate=candidate,
        released=released,
        count=len(found),
        holding=sum(one.candidate.holds for one in found),
        before=sum(one.released.holds for one in found),
        **{fate: fates.count(fate) for fate in ("fixed", "lost", "wrong")},
    )


def table(found: Sequence[ProbedCorrection], candidate: str, released: str) -> str:
    """Both versions' answers side by side, a line for each correction; lost ones first, texts cut."""
    order = list(FATES.values())
    rows = [
        (
            one.fate,
            *(
                cut(text, WIDTH)
                for text in (
                    one.candidate.asked,
                    one.candidate.correction,
                    one.released.answer,
                    one.candidate.answer,
                )
            ),
        )
        for one in sorted(found, key=lambda one: order.index(one.fate))
    ]
    return "\n".join(aligned([("", "asked", "correction", f"{released} says", f"{candidate} says"), *rows]))
