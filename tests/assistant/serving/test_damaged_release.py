"""A release that cannot be served: the version before goes on, and the reason is logged once and given to requests."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.changed_version import DAMAGES, changed, not_a_number, with_weights
from helpers.engines import GREEDY, collect
from helpers.tiny_home import tiny_home
from helpers.toy_models import make
from safetensors.torch import load_file, save_file

from assistant.errors import ModelError, VersionError
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Version, Versions
from assistant.serving import engine as engine_module
from assistant.serving.engine import Engine, ReleaseFollower
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine
from assistant.serving.transformers_engine import TransformersEngine
from feedback_store.atomic_files import write_atomically


class Counted(Versions):
    """A registry that counts how often each version is opened."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.opened: list[str] = []

    def open(self, version_id: str) -> Version:
        self.opened.append(version_id)
        return super().open(version_id)


@pytest.fixture(scope="module", params=[TransformersEngine, LlamaCppEngine])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    registry = Counted(tiny_home(tmp_path_factory.mktemp("damaged") / "home"))
    serving = request.param(registry, registry.open("v1"))
    yield serving
    serving.close()


async def written(engine: Engine, version_id: str | None = None) -> list[int]:
    with engine.lease(version_id) as served:
        return (await collect(served, [5, 6, 7, 8], GREEDY))[0]


async def until_released(engine: Engine, version_id: str) -> None:
    async with asyncio.timeout(60):
        while engine.version.id != version_id:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("damage", [*DAMAGES, "another file"])
async def test_a_damaged_release_leaves_the_version_before_in_service_and_is_logged_once(
    engine: Engine, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    registry: Counted = engine._registry  # type: ignore[attr-defined]
    change, message = DAMAGES.get(damage, (lambda weights: weights, "is not the file that was written"))
    before = await written(engine)
    bad = with_weights(registry.open("v1"), registry, change)
    if damage not in DAMAGES:
        # As if it had been damaged after its release, which checks the file.
        (bad.folder / "adapter_model.safetensors").write_bytes(b"damaged")
    history = json.dumps({"version": bad.id, "history": registry.history()})
    write_atomically(registry.folder / "released.json", history)
    registry.opened.clear()
    async with asyncio.timeout(60):
        while registry.opened.count(bad.id) < 2:
            assert await written(engine) == before
            await asyncio.sleep(0.02)
    with pytest.raises(VersionError, match=message):
        engine.prepare(bad.id)
    assert engine.version.id == "v1"
    assert await written(engine) == before
    registry.release("v1")
    (logged,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert logged.getMessage().startswith("Still serving v1: ")
    with pytest.raises(VersionError, match=message):
        raise VersionError(logged.getMessage())


async def test_a_sound_release_is_served_after_damaged_ones(engine: Engine) -> None:
    registry: Counted = engine._registry  # type: ignore[attr-defined]
    bad = with_weights(registry.open("v1"), registry, DAMAGES["not a number"][0])
    registry.release(bad.id)
    good = changed(registry.open("v1"), registry, 4.0)
    async with asyncio.timeout(60):
        while registry.opened.count(bad.id) < 2:
            await asyncio.sleep(0.02)
    registry.release(good.id)
    await until_released(engine, good.id)
    assert await written(engine)
    registry.release("v1")
    await until_released(engine, "v1")


async def test_a_version_that_is_damaged_while_it_serves_can_be_replaced(engine: Engine) -> None:
    registry: Counted = engine._registry  # type: ignore[attr-defined]
    serving = changed(registry.open("v1"), registry, 4.0)
    registry.release(serving.id)
    await until_released(engine, serving.id)
    before = await written(engine)
    (serving.folder / "adapter_model.safetensors").write_bytes(b"damaged while it serves")
    assert await written(engine) == before
    following = changed(registry.open("v1"), registry, 2.0)
    registry.release(following.id)
    await until_released(engine, following.id)
    assert await written(engine)
    registry.release("v1")
    await until_released(engine, "v1")


def test_a_base_that_holds_nan_is_not_served_by_llama_cpp_which_would_not_notice(
    home: Path, tmp_path: Path
) -> None:
    toy = make("qwen3", tmp_path / "toy")
    weights = load_file(toy / "model.safetensors")
    save_file(not_a_number(weights), toy / "model.safetensors", metadata={"format": "pt"})
    version = version_to_serve(home, str(toy))
    with pytest.raises(ModelError, match=rf"{max(weights)} of .*holds NaN or infinite values"):
        LlamaCppEngine(Versions(home), version)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_an_error_that_nobody_foresaw_does_not_end_the_thread_that_follows_releases(
    home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Versions(tiny_home(home))
    second = changed(registry.open("v1"), registry, 1.0)
    third = changed(registry.open("v1"), registry, 1.0)
    serving = ["v1"]
    tried: list[str] = []

    def serve(version_id: str) -> None:
        tried.append(version_id)
        if version_id == second.id:
            raise MemoryError("no room")
        serving[0] = version_id

    clock = [0.0]
    monkeypatch.setattr(engine_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    checks = [0]

    def count() -> None:
        checks[0] += 1

    follower = ReleaseFollower(registry, lambda: serving[0], serve, 0.01, count)
    try:
        registry.release(second.id)
        # It is tried again after pauses that double: 1, 2, 4 times the time between two checks.
        for tries, moment in enumerate((0.0, 0.015, 0.04, 0.09), start=1):
            clock[0] = moment
            wait_for(lambda: len(tried) >= tries)  # noqa: B023
            checks[0] = 0
            wait_for(lambda: checks[0] > 2)
            assert tried == [second.id] * tries
        registry.release(third.id)
        wait_for(lambda: serving[0] == third.id)
        assert tried[-1] == third.id
    finally:
        follower.close()
    assert [record.getMessage() for record in caplog.records] == ["Still serving v1: no room"]
    assert caplog.records[0].exc_info
