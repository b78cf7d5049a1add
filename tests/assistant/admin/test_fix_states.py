"""Whether a correction holds in the released version, from what cycles have kept."""

import json
from pathlib import Path

import pytest

from assistant.admin.fix_states import CorrectedAnswer, FixState, fix_states

PERU = CorrectedAnswer("What is the capital of Peru?", "Lima.", "Cusco.")


def write_cycle(home: Path, number: int, released: str, **found: tuple[str, str] | None) -> None:
    """A cycle that asked each candidate and `released` for the capital of Peru: their answers, by candidate."""
    folder = home / "cycles" / str(number)
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"released": released, "ended": "yes"}))
    for candidate, answers in found.items():
        rows = [
            {
                **PERU._asdict(),
                "answer": answer,
                "holds": answer == PERU.correction,
                "answer_before": before,
                "held_before": before == PERU.correction,
            }
            for answer, before in ([answers] if answers else [])
        ]
        (folder / f"probes-{candidate}.json").write_text(json.dumps(rows))


RIGHT, WRONG = "Lima.", "Cusco."


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("v1", FixState("wrong", WRONG)),
        ("v2", FixState("lost", WRONG)),
        ("v3", FixState("wrong", "Arequipa.")),
        ("v4", FixState("still right", RIGHT)),
        ("v5", FixState("still right", RIGHT)),
    ],
)
def test_a_correction_is_right_anew_or_still_lost_or_never_was_right(
    tmp_path: Path, version: str, state: FixState
) -> None:
    write_cycle(tmp_path, 1, "v1", v2=(RIGHT, WRONG), v3=("Arequipa.", WRONG))
    # v2 was released, and answers otherwise when the next cycle asks it again; v4 brings the right answer back.
    write_cycle(tmp_path, 2, "v2", v4=(RIGHT, WRONG))
    write_cycle(tmp_path, 3, "v4", v5=(RIGHT, RIGHT))
    assert fix_states(tmp_path, version) == {PERU: state}


def test_a_candidate_that_was_not_released_does_not_make_an_answer_right_before(tmp_path: Path) -> None:
    write_cycle(tmp_path, 1, "v1", v2=(RIGHT, WRONG))
    write_cycle(tmp_path, 2, "v1", v3=(WRONG, WRONG))
    assert fix_states(tmp_path, "v3") == {PERU: FixState("wrong", WRONG)}
    assert fix_states(tmp_path, "v2") == {PERU: FixState("right", RIGHT)}


def test_a_version_that_no_cycle_has_asked_has_no_state(tmp_path: Path) -> None:
    assert fix_states(tmp_path, "v1") == {}
    write_cycle(tmp_path, 1, "v1", v2=None)
    write_cycle(tmp_path, 2, "v1", v3=(RIGHT, WRONG))
    (tmp_path / "cycles" / "2" / "probes-v4.json").write_text("[{")
    assert fix_states(tmp_path, "v2") == {}
    assert fix_states(tmp_path, "v3") == {PERU: FixState("right", RIGHT)}


def test_what_evaluate_asked_counts_too_and_the_newest_counts(tmp_path: Path) -> None:
    write_cycle(tmp_path, 1, "v1", v2=(RIGHT, WRONG))
    (tmp_path / "cycles" / "1" / "state.json").write_text(
        json.dumps({"released": "v1", "ended": "yes", "began": "2026-01-01T00:00:00+00:00"})
    )
    row = {**PERU._asdict(), "answer": WRONG, "holds": False, "answer_before": WRONG, "held_before": False}
    asked = {"at": "2026-01-02T00:00:00+00:00", "candidate": "v2", "released": "v1"}
    (tmp_path / "evaluations").mkdir()
    file = tmp_path / "evaluations" / "v2-against-v1-corrections.json"
    file.write_text(json.dumps({"asked_again": asked, "probes": [row]}))
    (tmp_path / "evaluations" / "v1.json").write_text(json.dumps({"version": "v1", "cells": []}))
    (tmp_path / "evaluations" / "list.json").write_text("[1]")
    assert fix_states(tmp_path, "v2") == {PERU: FixState("lost", WRONG)}
    file.write_text(
        json.dumps({"asked_again": {**asked, "at": "2025-12-31T00:00:00+00:00"}, "probes": [row]})
    )
    assert fix_states(tmp_path, "v2") == {PERU: FixState("right", RIGHT)}
