"""A cycle's probes: every correction asked again and every liked reply read again, by both versions of a comparison.

What they find is kept in the cycle's folder, as probes-VERSION.json, for the dashboard. They come from the snapshot of
the store, so that the next cycle has none of people who were forgotten.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alignment.corrections.correction_rows import CorrectedPrompt, corrections_among
from alignment.corrections.probes import FixProbe, liked_rows, probe_fixes
from alignment.cycle.cycle_state import Journal
from alignment.evaluation.measures import MeasurePair, measure_pair
from alignment.evaluation.retention import surprises
from assistant.registry.versions import write_atomically
from assistant.serving.loading import Loaded
from feedback_store.rows import snapshot

MOST = 200
"""Most corrections, and most liked replies, that are probed: the latest."""


class Probes:
    """The probes of one cycle. Each version is asked once, however many comparisons it is in."""

    def __init__(self, journal: Journal, minimum: int) -> None:
        """Read corrections and liked replies of the cycle's snapshot. Fewer replies than `minimum` guard nothing."""
        self.minimum = minimum
        rows = snapshot.load(journal.whole)
        self.folder = journal.folder
        self.corrections: list[CorrectedPrompt] = corrections_among(rows.rows("preference"))[-MOST:]
        self._thumbs = [row for row in rows.rows("unpaired") if row.label][-MOST:]
        self._released: list[FixProbe] | None = None

    def measures(self, version: str, new: Loaded, old: Loaded) -> list[MeasurePair]:
        """Whether each correction holds, and how surprising each liked reply is, for the candidate and the released."""
        measures = []
        if self.corrections:
            if self._released is None:
                self._released = probe_fixes(old, self.corrections)
            found = probe_fixes(new, self.corrections)
            self._write(version, found, self._released)
            measures.append(
                measure_pair(
                    "corrections hold",
                    "primary",
                    {
                        f"{number}": (float(mine.holds), float(other.holds))
                        for number, (mine, other) in enumerate(zip(found, self._released, strict=True))
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

    def _write(self, version: str, found: Sequence[FixProbe], before: Sequence[FixProbe]) -> None:
        rows: list[dict[str, Any]] = [
            {
                "asked": mine.asked,
                "correction": mine.correction,
                "wrong": mine.wrong,
                "answer": mine.answer,
                "holds": mine.holds,
                "answer_before": other.answer,
                "held_before": other.holds,
            }
            for mine, other in zip(found, before, strict=True)
        ]
        write_atomically(
            probes_file(self.folder, version), json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
        )


def probes_file(folder: Path, version: str) -> Path:
    """Where a cycle's folder holds what a candidate's probes found."""
    return folder / f"probes-{version}.json"
