"""Streams of events: signs of life while nothing comes, and an end that reaches their generator."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from assistant.api import http_io


async def test_a_stream_says_that_it_goes_on_while_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_io, "QUIET_SECONDS", 0.05)
    comes = asyncio.Event()

    async def events() -> AsyncGenerator[bytes, None]:
        yield b"one"
        await comes.wait()
        yield b"two"

    parts = http_io.with_signs_of_life(events())
    assert await anext(parts) == b"one"
    assert [await anext(parts), await anext(parts)] == [b": still working\n\n"] * 2
    comes.set()
    assert await anext(parts) == b"two"
    assert [part async for part in parts] == []


async def test_an_error_of_the_events_is_passed_on() -> None:
    async def events() -> AsyncGenerator[bytes, None]:
        yield b"one"
        raise OSError("broken")

    parts = http_io.with_signs_of_life(events())
    assert await anext(parts) == b"one"
    with pytest.raises(OSError, match="broken"):
        await anext(parts)


async def test_a_client_that_leaves_ends_the_events() -> None:
    ended = asyncio.Event()

    async def events() -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def read() -> None:
        async with aclosing(events()) as opened, aclosing(http_io.with_signs_of_life(opened)) as parts:
            async for _ in parts:
                pass

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert ended.is_set()
