"""One cycle runs at a time, and one that was killed goes on where it was."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import warm_process
from helpers.feedback import rate_replies
from helpers.running_app import ROOT
from helpers.small_cycle import run, run_killed_before_saving, state, write_policy
from helpers.store_fixtures import one_turn

from alignment.cycle.cycle_lock import cycle_lock, process_identity
from alignment.live import live_run
from assistant.events.event import Event
from assistant.registry import live_comparison
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore
from feedback_store.__main__ import main as feedback_store


@pytest.mark.usefixtures("promoting")
@pytest.mark.parametrize(
    "key",
    [
        "snapshot",
        "candidates",
        "decisions",
        "outcome",
        *(pytest.param(key, marks=pytest.mark.slow) for key in ("suspects", "planned", "ended")),
    ],
)
def test_a_cycle_killed_in_any_step_goes_on_to_the_same_end(
    rated: Path, policy: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_killed_before_saving(key, rated, policy)
    assert Versions(rated).released() in ("v1", "v2")
    if key != "ended" and key != "outcome":
        assert Versions(rated).released() == "v1"
    assert run(rated, policy) == 0
    assert "going on with cycle 1" in capsys.readouterr().out
    versions = Versions(rated)
    assert (versions.ids(), versions.released()) == (["v1", "v2"], "v2")
    assert [entry["version"] for entry in versions.history()] == ["v1", "v2"]
    assert [entry.name for entry in (rated / "cycles").iterdir() if entry.name.isdigit()] == ["1"]
    assert "ended" in state(rated)


@pytest.mark.usefixtures("promoting")
@pytest.mark.parametrize("release", ["at once", "trial"])
def test_what_people_rejected_while_a_cycle_was_killed_is_not_done_again(
    rated: Path, tmp_path: Path, release: str
) -> None:
    other_policy = write_policy(tmp_path, release=release, share=0.5)
    run_killed_before_saving("outcome", rated, other_policy)
    if release == "at once":
        assert Versions(rated).roll_back() == "v1"
    else:
        under_way = live_comparison.read(rated)
        assert under_way is not None
        live_run.end(rated, under_way, "roll back", Event.of("live_stopped"))
    assert run(rated, other_policy) == 0
    assert (Versions(rated).released(), live_comparison.read(rated)) == ("v1", None)
    assert state(rated)["outcome"] == {"what": release, "version": "v2"} and "ended" in state(rated)


@pytest.mark.usefixtures("promoting")
def test_what_was_done_with_an_earlier_version_of_the_same_id_keeps_no_candidate_back(
    rated: Path, policy: Path
) -> None:
    before = "2026-11-01T00:00:00+00:00"
    earlier = {"candidate": "v2", "released": "v1", "started": before}
    (rated / "trials").mkdir()
    (rated / "trials" / "one.json").write_text(json.dumps(earlier))
    run_killed_before_saving("outcome", rated, policy)
    pointer = {"version": "v1", "history": [{"version": name, "at": before} for name in ("v1", "v2", "v1")]}
    (rated / "versions" / "released.json").write_text(json.dumps(pointer))
    assert run(rated, policy) == 0
    assert Versions(rated).released() == "v2"


def test_a_candidate_deleted_by_hand_is_noted_and_the_cycle_ends(rated: Path, policy: Path) -> None:
    run_killed_before_saving("decisions", rated, policy)
    shutil.rmtree(rated / "versions" / "v2")
    assert run(rated, policy) == 0
    assert any("v2 is not there any more" in note for note in state(rated)["notes"])
    assert Versions(rated).released() == "v1"


def test_a_reward_model_deleted_by_hand_is_noted_and_the_cycle_ends_without_it(
    rated: Path, tmp_path: Path
) -> None:
    quick = {"min_steps": 1, "epochs": 0.1, "evaluations": 1}
    other_policy = write_policy(tmp_path, minimum_judgements=10, recipes={"kto": quick, "reward": quick})
    run_killed_before_saving("suspects", rated, other_policy)
    shutil.rmtree(rated / "versions" / "v3")
    assert run(rated, other_policy) == 0
    assert "v3, a reward model, is not there any more: it judged nothing" in state(rated)["notes"]
    assert len(state(rated)["decisions"]) == 1


def test_a_cycle_whose_snapshot_is_gone_is_ended_with_its_record_and_the_next_one_begins(
    rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_killed_before_saving("candidates", rated, policy)
    shutil.rmtree(rated / "cycles" / "1" / "own")
    assert run(rated, policy) == 0
    assert (
        "cycle 1 was ended before its time: the feedback that it was to learn from" in capsys.readouterr().out
    )
    assert state(rated)["outcome"]["what"] == "discarded" and state(rated)["ended"]
    assert "There is no snapshot" in (rated / "cycles" / "1" / "report.md").read_text()
    # What it was to learn from is new to the next one.
    assert state(rated, 2)["new_votes"] == 24 and "ended" in state(rated, 2)


@pytest.mark.parametrize("key", ["planned", "decisions"])
def test_a_cycle_goes_on_after_somebody_was_forgotten_and_ends_once_its_snapshot_is_deleted(
    rated: Path, policy: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_killed_before_saving(key, rated, policy)
    with FeedbackStore.open_home(rated) as store:
        one_turn(store, "ann")
    assert feedback_store(["forget", "ann", "--yes", "--home", str(rated)]) == 0
    assert not [*rated.glob("cycles/1/answers-*"), *rated.glob("training/*/*")]
    assert "has not ended" not in capsys.readouterr().out  # ann came after its snapshot
    if key == "decisions":
        assert run(rated, policy) == 0
        assert len(state(rated)["decisions"]) == 1 and "ended" in state(rated)
        return
    assert feedback_store(["forget", "tester", "--yes", "--home", str(rated)]) == 0
    assert "cycle 1 has not ended" in capsys.readouterr().out
    for snapshot in ("snapshot", "own"):
        shutil.rmtree(rated / "cycles" / "1" / snapshot)
    assert run(rated, policy) == 0
    assert state(rated)["outcome"]["what"] == "discarded" and state(rated)["ended"]


def test_thumbs_that_came_between_a_snapshot_and_a_kill_do_not_stop_the_cycle(
    rated: Path, policy: Path
) -> None:
    run_killed_before_saving("snapshot", rated, policy)
    rate_replies(rated, [("What is 7 + 1?", "8", 1)])
    assert run(rated, policy) == 0
    assert state(rated)["snapshot"]["counts"]["unpaired"] == 25
    with FeedbackStore.open(rated / "feedback.db", create=False) as store:
        assert store.verify() == []


@pytest.mark.parametrize("step", ["planned", "candidates"])
def test_a_cycle_that_the_system_kills_leaves_whole_versions_and_the_next_run_ends_it(
    rated: Path, policy: Path, step: str
) -> None:
    command = [sys.executable, "-m", "alignment", "cycle", "--home", str(rated), "--policy", str(policy)]
    process = warm_process.start(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (rated / "cycles" / "1" / "state.json").exists() or step not in state(rated):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    versions = Versions(rated)
    assert versions.released() == "v1"
    assert [versions.open(version).id for version in versions.ids()] == versions.ids()
    assert run(rated, policy) == 0
    assert "ended" in state(rated)
    assert [versions.open(version).id for version in versions.ids()] == ["v1", "v2"]


def test_two_cycles_at_once_are_refused_and_a_stale_lock_is_not(
    rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = rated / "cycles" / "lock"
    lock.parent.mkdir()
    lock.write_text(json.dumps(process_identity(os.getpid())))
    assert run(rated, policy) == 2
    assert "Another cycle is running" in capsys.readouterr().err
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    dead = {**process_identity(os.getpid()), "pid": int(done.stdout)}
    lock.write_text(json.dumps(dead))
    assert run(rated, policy) == 0
    assert not lock.exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda identity: {**identity, "started": identity["started"] - 1},
        lambda identity: {**identity, "boot": "another"},
        lambda identity: {},
    ],
    ids=["another process has the id", "the machine was started anew", "damaged"],
)
def test_a_lock_whose_process_is_another_by_now_is_stale(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    lock = tmp_path / "lock"
    lock.write_text(json.dumps(spoil(process_identity(os.getpid()))))
    with cycle_lock(lock):
        assert json.loads(lock.read_text()) == process_identity(os.getpid())
    assert not lock.exists()


def test_a_lock_of_another_machine_stands(
    rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = rated / "cycles" / "lock"
    lock.parent.mkdir()
    lock.write_text(json.dumps({**process_identity(os.getpid()), "host": "elsewhere"}))
    assert run(rated, policy) == 2
    assert "on elsewhere" in capsys.readouterr().err
