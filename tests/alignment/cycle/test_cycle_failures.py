"""A cycle that fails says so until somebody has seen it, goes on without what failed, and can always be ended."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.small_cycle import Killed, run, run_killed_before_saving, state

from alignment.cycle import candidates, cycle, decisions
from alignment.errors import DataError, explain
from alignment.evaluation import comparison
from assistant.admin import cycle_report, last_run
from assistant.registry.versions import Versions


def failing(error: BaseException) -> Any:
    def fail(*arguments: Any, **others: Any) -> Any:
        raise error

    return fail


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cycles without a candidate, which take no time: what is tested comes before or after training."""
    monkeypatch.setitem(candidates.STAGES, "kto", failing(DataError("nothing to learn")))


def test_a_stage_that_fails_unforeseen_is_noted_and_the_cycle_ends(
    rated: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(candidates.STAGES, "kto", failing(IndexError("index out of range in self")))
    assert run(rated, policy) == 0
    assert any("no kto: An unexpected error" in note for note in state(rated)["notes"])
    assert (state(rated)["candidates"], state(rated)["outcome"]["what"]) == ([], "nothing")
    assert last_run.failure(rated) is None


def test_a_candidate_that_cannot_be_compared_is_noted_and_not_promoted(
    rated: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "compare", failing(DataError("odd answers")))
    assert run(rated, policy) == 0
    assert "v2 was not compared, and is not promoted: odd answers" in state(rated)["notes"]
    assert (state(rated)["decisions"], Versions(rated).released()) == ([], "v1")


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(
    rated: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(candidates.STAGES, "kto", failing(OSError(28, "No space left on device")))
        assert run(rated, policy) == 2
    assert "candidates" not in state(rated) and "failures" not in state(rated)
    failed = last_run.failure(rated)
    assert failed is not None and failed.event.code == "disk_full"
    monkeypatch.setitem(candidates.STAGES, "kto", failing(DataError("nothing to learn")))
    assert run(rated, policy) == 0


@pytest.mark.usefixtures("idle")
def test_a_step_that_fails_again_and_again_ends_the_cycle_and_the_next_begins_anew(
    rated: Path, policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(decisions, "decide", failing(DataError("no way")))
        assert run(rated, policy) == 2
        assert capsys.readouterr().err.endswith("cycle: no way\n")
        assert run(rated, policy) == 2
        assert "cycle --discard" in capsys.readouterr().err
        assert run(rated, policy) == 2
        assert "failed in this step 3 times, and is given up" in capsys.readouterr().err
    ended = state(rated)
    assert ended["outcome"]["what"] == "discarded" and len(ended["failures"]) == 3
    assert "no way" in (rated / "cycles" / "1" / "report.md").read_text()
    assert run(rated, policy) == 0
    assert "ended" in state(rated, 2)


@pytest.mark.usefixtures("idle")
def test_a_report_that_cannot_be_written_is_said_and_after_three_times_the_cycle_ends_without_it(
    rated: Path, policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cycle_report, "markdown", failing(DataError("an odd state")))
        for _ in range(3):
            assert run(rated, policy) == 2
            assert "an odd state" in capsys.readouterr().err
    ended = state(rated)
    assert [failure["step"] for failure in ended["failures"]] == ["report"] * 3
    assert ended["ended"] and ended["outcome"]["what"] == "nothing"
    # The cycle has learned from its votes: they are not new to the next one.
    assert run(rated, policy) == 0
    assert "0 new votes" in capsys.readouterr().out


def test_an_unfinished_cycle_is_discarded_and_its_record_and_candidates_stay(
    rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_killed_before_saving("decisions", rated, policy)
    with pytest.raises(OSError, match="goes on"), last_run.recorded(rated, explain):
        raise OSError("the next run goes on")
    assert last_run.failure(rated) is not None
    assert run(rated, policy, "--discard") == 0
    assert last_run.failure(rated) is None
    assert "cycle 1 was ended before its time: it was discarded by hand" in capsys.readouterr().out
    ended = state(rated)
    assert ended["ended"] and ended["candidates"] == [{"stage": "kto", "version": "v2"}]
    assert (Versions(rated).ids(), Versions(rated).released()) == (["v1", "v2"], "v1")
    assert "# Cycle 1" in (rated / "cycles" / "1" / "report.md").read_text()
    assert run(rated, policy, "--discard") == 0
    assert "no unfinished cycle" in capsys.readouterr().out


@pytest.mark.usefixtures("idle")
def test_a_cycle_whose_state_is_damaged_is_discarded_and_the_damaged_file_kept(
    rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = rated / "cycles" / "1"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text("{")
    assert run(rated, policy) == 2
    assert "cycle --discard" in capsys.readouterr().err
    assert run(rated, policy, "--discard") == 0
    assert (folder / "state.damaged.json").read_text() == "{"
    assert "could not be read" in (folder / "report.md").read_text()
    assert run(rated, policy) == 0
    assert "ended" in state(rated, 2)


def test_with_every_a_run_that_fails_is_said_and_the_next_is_tried_at_its_time(
    rated: Path, policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            raise Killed

    monkeypatch.setattr(cycle.time, "sleep", sleep)
    monkeypatch.setattr(cycle, "run", failing(DataError("not tonight")))
    with pytest.raises(Killed):
        run(rated, policy, "--every", "1h")
    assert capsys.readouterr().out.count("not tonight") == 2


def test_a_failure_stays_until_it_has_been_seen_also_when_a_later_run_succeeds(home: Path) -> None:
    with pytest.raises(DataError), last_run.recorded(home, explain):
        raise DataError("broken")
    with last_run.recorded(home, explain):
        assert last_run.failure(home) is not None
    failed = last_run.failure(home)
    assert failed is not None and failed.event.params["text"] == "broken"
    last_run.mark_seen(home)
    assert last_run.failure(home) is None


@pytest.mark.parametrize("ended", ["", "2026-11-29T03:00:00+00:00"])
def test_a_run_whose_process_is_gone_without_a_word_was_killed(home: Path, ended: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    created = psutil.Process(process.pid).create_time()
    record = {
        "pid": process.pid,
        "created": created,
        "host": socket.gethostname(),
        "began": "2026-11-29T02:00:00",
    }
    (home / "cycles").mkdir(parents=True)
    (home / "cycles" / "last_run.json").write_text(json.dumps({**record, "ended": ended}))
    assert last_run.failure(home) is None  # it runs
    process.kill()
    process.wait()
    failed = last_run.failure(home)
    assert (failed.event.code if failed else "") == ("" if ended else "cycle_run_killed")
    last_run.mark_seen(home)
    assert last_run.failure(home) is None
