"""What every engine shares: the protocol, and following releases."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.empty_versions import add
from helpers.paths import ROOT

from assistant.errors import VersionError
from assistant.registry.versions import Versions
from assistant.serving.engine import ReleaseFollower

CONCRETE = (
    *("TransformersEngine", "RemoteEngine", "LlamaCppEngine"),
    *("BatchedVersion", "RemoteVersion", "AttachedVersion"),
)


def test_the_protocol_and_the_settings_need_no_model_library() -> None:
    code = (
        "import sys, assistant.serving.engine, assistant.sampling_settings, assistant.settings\n"
        "print([name for name in ('torch', 'transformers', 'peft') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_the_choice_of_an_engine_names_a_concrete_one() -> None:
    allowed = {ROOT / "assistant" / "engine_choice.py", *(ROOT / "assistant" / "serving").rglob("*.py")}
    for package in ("assistant", "alignment", "feedback_store"):
        for path in set((ROOT / package).rglob("*.py")) - allowed:
            text = path.read_text(encoding="utf-8")
            assert not [name for name in CONCRETE if name in text], path


class Follower:
    """A follower over a registry, and the versions that it was told to serve."""

    def __init__(self, registry: Versions) -> None:
        self.current = "v1"
        self.broken = ""
        self.checked = threading.Semaphore(0)
        self.thread = ReleaseFollower(registry, lambda: self.current, self.serve, 0.01, self.checked.release)

    def serve(self, version_id: str) -> None:
        if self.broken:
            raise VersionError(self.broken)
        self.current = version_id

    def check(self) -> None:
        """Wait for two checks: the first may have begun before now."""
        for _ in range(2):
            assert self.checked.acquire(timeout=20)


@pytest.fixture
def registry(home: Path) -> Versions:
    versions = Versions(home)
    for _ in range(3):
        add(versions)
    versions.release("v1")
    return versions


@pytest.fixture
def follower(registry: Versions) -> Iterator[Follower]:
    follower = Follower(registry)
    yield follower
    follower.thread.close()


def test_a_release_is_served(follower: Follower, registry: Versions) -> None:
    follower.check()
    assert follower.current == "v1"
    registry.release("v2")
    follower.check()
    assert follower.current == "v2"


def test_a_release_that_cannot_be_served_is_logged_once_and_the_next_one_served(
    follower: Follower, registry: Versions, caplog: pytest.LogCaptureFixture
) -> None:
    follower.broken = "v2 is damaged."
    with caplog.at_level(logging.ERROR):
        registry.release("v2")
        for _ in range(5):
            follower.check()
        assert caplog.text.count("Still serving v1: v2 is damaged.") == 1
    follower.broken = ""
    registry.release("v3")
    follower.check()
    assert follower.current == "v3"


def test_a_closed_follower_follows_no_more(registry: Versions) -> None:
    follower = Follower(registry)
    follower.thread.close()
    registry.release("v2")
    assert follower.current == "v1"
