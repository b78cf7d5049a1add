"""A live comparison is started, followed and stopped: what is refused, and what happens at the same moment."""

from pathlib import Path

import pytest
from helpers import empty_versions

from alignment.errors import CycleError
from alignment.live import live_run
from assistant.errors import SettingsError
from assistant.registry import live_comparison
from assistant.registry.live_comparison import Trial
from assistant.registry.versions import Versions


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose released v1 has a candidate, v2, that the gate promoted."""
    versions = Versions(tmp_path)
    for _ in range(2):
        empty_versions.add(versions)
    versions.release("v1")
    versions.record_gate("v2", {"verdict": "promote", "released": "v1"})
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
