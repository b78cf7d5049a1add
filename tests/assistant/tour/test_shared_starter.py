"""The starter for the tour: opened on demand, shared, closed when nobody uses it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant.errors import EngineBusy, ModelError
from assistant.tour.shared_starter import SharedStarter


class CountedEngine:
    """An engine that only says whether it is open."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.leased: list[str] = []
        self.closed = threading.Event()

    def prepare(self, version_id: str) -> None:
        if version_id == "busy":
            raise EngineBusy("Try again.")

    @contextmanager
    def lease(self, version_id: str) -> Iterator[str]:
        assert not self.closed.is_set()
        self.leased.append(version_id)
        yield version_id

    def close(self) -> None:
        self.closed.set()


class Opener:
    """What a `SharedStarter` opens its engines by."""

    def __init__(self) -> None:
        self.engines: list[CountedEngine] = []
        self.fails = False

    def __call__(self, home: Path) -> Any:
        if self.fails:
            raise ModelError("It cannot be read.")
        self.engines.append(CountedEngine(home))
        return self.engines[-1]


@pytest.fixture
def opener() -> Opener:
    return Opener()


async def use(starter: SharedStarter, version: str = "v1") -> None:
    async with starter.lease(version) as served:
        assert served == version  # type: ignore[comparison-overlap]
        assert starter.is_open


def test_it_is_opened_by_the_first_visitor_and_shared(opener: Opener) -> None:
    starter = SharedStarter(opener)
    assert not starter.is_open and not opener.engines

    async def together() -> None:
        await asyncio.gather(use(starter), use(starter, "v2"), use(starter))

    asyncio.run(together())
    assert [sorted(engine.leased) for engine in opener.engines] == [["v1", "v1", "v2"]]
    home = opener.engines[0].home
    assert home.is_dir()
    starter.close()
    assert opener.engines[0].closed.is_set() and not home.exists() and not starter.is_open


def test_it_is_closed_when_idle_and_opened_again_on_demand(opener: Opener) -> None:
    starter = SharedStarter(opener, idle_seconds=0.01)
    asyncio.run(use(starter))
    assert opener.engines[0].closed.wait(20)
    asyncio.run(use(starter))
    assert len(opener.engines) == 2
    starter.close()


def test_it_stays_open_while_it_is_used(opener: Opener) -> None:
    starter = SharedStarter(opener, idle_seconds=0.01)

    async def hold() -> None:
        async with starter.lease("v1"):
            assert not await asyncio.to_thread(opener.engines[0].closed.wait, 0.2)

    asyncio.run(hold())
    assert opener.engines[0].closed.wait(20)


def test_an_engine_that_cannot_be_opened_is_tried_again(opener: Opener) -> None:
    starter = SharedStarter(opener)
    opener.fails = True
    with pytest.raises(ModelError):
        asyncio.run(use(starter))
    assert not starter.is_open
    opener.fails = False
    asyncio.run(use(starter))
    starter.close()


def test_a_refused_visitor_does_not_hold_it_open(opener: Opener) -> None:
    starter = SharedStarter(opener, idle_seconds=0.01)
    with pytest.raises(EngineBusy):
        asyncio.run(use(starter, "busy"))
    assert opener.engines[0].closed.wait(20)
