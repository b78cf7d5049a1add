"""Copies of deleted words in a home are removed, and the words of others stay."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.store_fixtures import one_turn

from feedback_store import FeedbackStore
from feedback_store.copies_in_home import remove_records, remove_work_folders

ANN, BOB = ("What is Ann's street?", "Rose Lane 5"), ("What is Bob's street?", "Oak Lane 7")


@pytest.fixture
def store(home: Path) -> Iterator[FeedbackStore]:
    """A store in which ann and bob each corrected a reply."""
    home.mkdir()
    with FeedbackStore.open_home(home) as opened:
        for rater, (asked, correction) in (("ann", ANN), ("bob", BOB)):
            opened.correct(one_turn(opened, rater, asked).id, rater, correction)
        yield opened


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def probed(*corrections: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"asked": asked, "correction": text, "holds": True} for asked, text in corrections]


def test_records_lose_the_corrections_that_are_no_longer_in_the_store(
    home: Path, store: FeedbackStore
) -> None:
    cycle = write(home / "cycles" / "1" / "probes-v2.json", probed(ANN, BOB))
    evaluation = write(home / "evaluations" / "v2-against-v1.json", {"seed": 1, "probes": probed(ANN, BOB)})
    untouched = [
        write(home / "cycles" / "2" / "probes-v3.json", probed(BOB)),
        write(home / "evaluations" / "v2.json", {"cells": []}),
    ]
    before = [path.read_bytes() for path in untouched]
    assert remove_records(store, home).removed == []
    store.forget("ann")
    copies = remove_records(store, home)
    assert (copies.removed, copies.left) == ([cycle, evaluation], [])
    assert read(cycle) == probed(BOB)
    assert read(evaluation) == {"seed": 1, "probes": probed(BOB)}
    assert [path.read_bytes() for path in untouched] == before


def test_answers_that_cycles_keep_are_removed(home: Path, store: FeedbackStore) -> None:
    answers = write(home / "cycles" / "1" / "answers-v1.json", {"asked": [ANN[0]]})
    state = write(home / "cycles" / "1" / "state.json", {"number": 1})
    assert remove_records(store, home).removed == [answers]
    assert not answers.exists() and state.exists()


def test_a_record_that_cannot_be_read_is_named_and_stays(home: Path, store: FeedbackStore) -> None:
    damaged = home / "cycles" / "1" / "probes-v2.json"
    write(damaged, [])
    damaged.write_text("{", encoding="utf-8")
    odd = write(home / "evaluations" / "mine.json", [ANN[0]])
    copies = remove_records(store, home)
    assert copies.removed == []
    assert [str(damaged) in copies.left[0], str(odd) in copies.left[1]] == [True, True]


def test_a_file_that_cannot_be_deleted_is_named(home: Path, store: FeedbackStore) -> None:
    # A folder in its place refuses, as a file does in a folder that cannot be written.
    answers = home / "cycles" / "1" / "answers-v1.json"
    answers.mkdir(parents=True)
    copies = remove_records(store, home)
    assert copies.removed == [] and str(answers) in copies.left[0]


def test_work_folders_are_removed_but_for_the_one_that_a_training_uses(home: Path) -> None:
    pytest.importorskip("fcntl")
    stopped, running = (home / "training" / "kto" / name for name in ("0a", "0b"))
    for folder in (stopped, running):
        write(folder / "checkpoint-2" / "trainer_state.json", {})
        (folder / "lock").touch()
    code = (
        f"import fcntl, sys; lock = open({str(running / 'lock')!r}, 'r+'); fcntl.lockf(lock, fcntl.LOCK_EX); "
        "print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        copies = remove_work_folders(home)
        assert copies.removed == [stopped] and not stopped.exists()
        assert [str(running) in sentence for sentence in copies.left] == [True] and running.exists()
        process.communicate("")
    assert remove_work_folders(home).removed == [running]


def test_a_home_without_copies_has_none_to_remove(home: Path, store: FeedbackStore) -> None:
    for copies in (remove_records(store, home), remove_work_folders(home)):
        assert (copies.removed, copies.left) == ([], [])
