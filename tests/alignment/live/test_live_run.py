"""A live comparison is started, followed and stopped: what is refused, and what happens at the same moment."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import empty_versions

from alignment.errors import CycleError
from alignment.evaluation.release_policy import LivePolicy
from alignment.live import live_run, sequential_test
from assistant.errors import SettingsError
from assistant.registry import live_comparison
from assistant.registry.live_comparison import Trial
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose released v1 has a candidate, v2, that the gate promoted."""
    versions = Versions(tmp_path)
    for _ in range(2):
        empty_versions.add(versions)
    versions.release("v1")
    versions.record_gate("v2", {"verdict": "promote", "released": "v1"})
    FeedbackStore.open(tmp_path / "feedback.db").close()
    return tmp_path


@pytest.mark.parametrize("share", [-0.1, 0.0, 1.0, 1.5, float("nan")])
def test_a_share_that_leaves_a_version_without_conversations_is_refused(home: Path, share: float) -> None:
    with pytest.raises(CycleError, match="more than 0 % and less than 100 %"):
        live_run.start(home, "v2", share)
    assert live_comparison.read(home) is None


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_stored_comparison_that_could_never_end_is_refused(home: Path, share: float) -> None:
    live_comparison.write(home, Trial("one", "v2", "v1", share, "2026-11-30T09:00:00+00:00"))
    with pytest.raises(SettingsError, match=rf"share of {share}, which must be above 0 and below 1.*Delete"):
        live_comparison.read(home)


def follow_while(
    monkeypatch: pytest.MonkeyPatch, home: Path, verdict: str, act: Callable[[], object]
) -> object:
    """Follow the comparison to this verdict of the test, while another process does `act`."""
    test, course = sequential_test.follow, live_run._course

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr(live_run, "_course", course)
        act()
        return course(*given)

    monkeypatch.setattr(live_run, "_course", meanwhile)
    monkeypatch.setattr(sequential_test, "follow", lambda *given: replace(test(*given), verdict=verdict))
    return live_run.follow(home, LivePolicy())


@pytest.mark.parametrize("verdict", ["continue", "candidate wins", "roll back"])
def test_a_comparison_that_is_stopped_while_it_is_followed_stays_stopped(
    home: Path, monkeypatch: pytest.MonkeyPatch, verdict: str
) -> None:
    trial = live_run.start(home, "v2", 0.5)
    assert follow_while(monkeypatch, home, verdict, lambda: live_run.stop(home, LivePolicy())) is None
    record = json.loads((home / "trials" / f"{trial.id}.json").read_text())
    assert record["verdict"] == "stopped" and "ended" in record
    assert (live_comparison.read(home), Versions(home).released()) == (None, "v1")


def test_a_comparison_that_begins_while_another_is_followed_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[Trial] = []

    def begin_another() -> None:
        live_run.stop(home, LivePolicy())
        began.append(live_run.start(home, "v2", 0.5))
        monkeypatch.setattr(sequential_test, "follow", follow)

    live_run.start(home, "v2", 0.5)
    follow = sequential_test.follow
    assert follow_while(monkeypatch, home, "roll back", begin_another) is not None
    assert live_comparison.read(home) == began[0]


def test_a_release_while_a_comparison_is_followed_wins_over_its_verdict(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_versions.add(Versions(home))
    trial = live_run.start(home, "v2", 0.5)
    follow_while(monkeypatch, home, "candidate wins", lambda: Versions(home).release("v3"))
    assert Versions(home).released() == "v3"
    assert json.loads((home / "trials" / f"{trial.id}.json").read_text())["verdict"] == "void"


@pytest.mark.parametrize(
    ("is_under_way", "act"),
    [
        (False, lambda home: live_run.start(home, "v2", 0.5)),
        (True, lambda home: live_run.follow(home, LivePolicy())),
        (True, lambda home: live_run.stop(home, LivePolicy())),
    ],
    ids=["start", "follow", "stop"],
)
def test_whoever_changes_a_comparison_waits_for_the_lock(
    home: Path, is_under_way: bool, act: Callable[[Path], object]
) -> None:
    if is_under_way:
        live_run.start(home, "v2", 0.5)
    waiting = threading.Thread(target=act, args=(home,), daemon=True)
    with live_comparison.lock(home):
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive() and (live_comparison.read(home) is not None) == is_under_way
    waiting.join(60)
    assert not waiting.is_alive()
