"""HTTP for the API: request bodies, event streams that end when the client leaves, and errors in OpenAI's shape."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assistant.api.api_errors import ApiError

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 8_000_000
"""Maximum size of a request body. Clients send a whole history, of which the newest messages are read."""
QUIET_SECONDS = 15.0
"""After which a stream says that it goes on: proxies end a connection on which nothing comes, some after 30 seconds,
and a long prompt is read for longer on a CPU."""

Result = TypeVar("Result")


async def json_of(request: Request) -> dict[str, Any]:
    """The body, a JSON object. Raises ApiError if it is not declared as JSON, too large, no UTF-8 or no object."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        # A browser sends other kinds from any site's page without asking this server first.
        raise ApiError(
            415,
            f"The body is {kind or 'of no type'}. Send JSON with 'Content-Type: application/json'.",
            code="unsupported_media_type",
        )
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(
                413, f"The body is larger than {MAX_BODY_BYTES:,} bytes. Shorten it.", code="body_too_large"
            )
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(400, f"The body is not UTF-8: {error.reason}.", code="invalid_utf8") from error
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        message = (
            "The body has half of a surrogate pair (\\ud800 to \\udfff), which is no text. Leave it out."
        )
        raise ApiError(400, message, code="invalid_value") from error
    except RecursionError as error:
        raise ApiError(
            400, "The body has brackets nested too deeply. Leave some out.", code="invalid_json"
        ) from error
    except ValueError as error:
        raise ApiError(400, f"The body is not JSON: {error}.", code="invalid_json") from error
    if not isinstance(content, dict):
        raise ApiError(400, "The body is not a JSON object. Send one in braces.", code="invalid_value")
    if "\x00" in text or "\\u0000" in text:
        raise ApiError(400, "The body has a NUL character. Leave it out.", code="invalid_value")
    return content


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


class EventStream(Response):
    """Server-sent events. If the client leaves, the generator of the events is closed."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end or the client leaves."""

        async def write() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with aclosing(self._events) as events, aclosing(with_signs_of_life(events)) as parts:
                async for event in parts:
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        try:
            await while_connected(write(), receive)
        except ClientDisconnect:
            log.debug("A client left before its reply ended")
        except OSError:
            log.debug("A client's connection broke")


async def with_signs_of_life(events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The events, and a comment, which clients pass over, wherever none has come for `QUIET_SECONDS`."""
    coming = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(events, None))
            done, _ = await asyncio.wait({coming}, timeout=QUIET_SECONDS)
            if not done:
                yield b": still working\n\n"
                continue
            event, coming = coming.result(), None
            if event is None:
                return
            yield event
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait({coming})


def event(content: dict[str, Any]) -> bytes:
    """One server-sent event with this JSON."""
    return b"data: " + json.dumps(content, ensure_ascii=False, allow_nan=False).encode() + b"\n\n"


def named_event(name: str, content: dict[str, Any]) -> bytes:
    """The same under a name."""
    return f"event: {name}\n".encode() + event(content)


async def while_connected(work: Coroutine[Any, Any, Result] | Awaitable[Result], receive: Receive) -> Result:
    """Await `work`. If the client leaves first, cancel it and raise ClientDisconnect."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        leaving.cancel()
        if not working.done():
            # Cancelled once and awaited: the unfinished reply is stored meanwhile.
            working.cancel()
            await asyncio.wait({working})


async def last_item(stream: AsyncGenerator[Result, None]) -> Result:
    """The last item of a stream, which has at least one."""
    async with aclosing(stream) as items:
        async for item in items:
            last = item
    return last


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
