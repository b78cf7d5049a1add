"""Small loads of benchmarks/serving/stress.py: no reply fails and none mixes versions. Speed is measured there."""

from pathlib import Path

import pytest

from benchmarks.serving import stress

pytestmark = pytest.mark.slow


async def test_no_reply_fails_or_is_mixed_while_versions_are_swapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.serving.transformers_engine.IDLE_SECONDS", 0.0)
    seen = await stress.swaps(12, tmp_path / "home")
    assert (seen.failed, seen.mixed, len(seen.seconds)) == (0, 0, 12)
    assert seen.replies >= stress.READERS


@pytest.mark.parametrize("page", [False, True])
async def test_many_requests_are_all_answered(tmp_path: Path, page: bool) -> None:
    seen = await stress.memory(64, tmp_path / "home", page)
    assert seen.failed == 0
    assert len(seen.mebibytes) == 4
