"""The choices of one completion: replies to the same message that are written at the same time."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from assistant.chat.reply_stream import Update

Item = TypeVar("Item")
Streams = Sequence[AsyncGenerator[Update, None]]


async def merged(streams: Streams) -> AsyncGenerator[tuple[int, Update], None]:
    """The updates of all streams as they come, each with its stream's number. Closing it closes them."""
    coming = {asyncio.ensure_future(anext(stream)): number for number, stream in enumerate(streams)}
    try:
        while coming:
            done, _ = await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=coming.__getitem__):
                number = coming.pop(task)
                try:
                    update = task.result()
                except StopAsyncIteration:
                    continue
                yield number, update
                coming[asyncio.ensure_future(anext(streams[number]))] = number
    finally:
        pending = [task for task in coming if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)
        await closed(streams)


async def last_of(streams: Streams) -> list[Update]:
    """The last update of each stream. Closes all of them if one fails or the caller is cancelled."""
    latest: dict[int, Any] = {}
    updates = merged(streams)
    try:
        async for number, update in updates:
            latest[number] = update
    finally:
        await updates.aclose()
    return [latest[number] for number in range(len(streams))]


async def last_item(stream: AsyncGenerator[Item, None]) -> Item:
    """The last item of a stream, which has at least one."""
    async with aclosing(stream) as items:
        async for item in items:
            last = item
    return last


async def closed(streams: Streams) -> None:
    """Close all streams: replies that have not ended are stored as far as they are."""
    for stream in streams:
        await stream.aclose()
