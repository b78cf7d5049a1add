"""HTTP beneath the API: reading bodies, event streams that end with their client, and errors of OpenAI's shape."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from assistant.api.requests import ApiError
from assistant.errors import (
    AssistantError,
    EngineBusy,
    EngineError,
    ModelError,
    TooLong,
    UnknownModel,
    VersionError,
)
from feedback_store import StoreError

log = logging.getLogger(__name__)

MOST_BYTES = 1_000_000
"""Largest body that is read."""
RETRY_SECONDS = 5

Done = TypeVar("Done")


async def json_of(request: Request) -> Any:
    """The body as JSON. Raises ApiError if it is too large, no UTF-8 or no JSON."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise ApiError(
                413, f"The body is larger than {MOST_BYTES:,} bytes. Shorten it.", code="body_too_large"
            )
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(400, f"The body is not UTF-8: {error.reason}.", code="invalid_utf8") from error
    try:
        found = json.loads(text, parse_constant=_no_number)
        # A half of a character pair can be written in JSON, and is no text.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"The body is not JSON: {error}.", code="invalid_json") from error
    if "\x00" in text or "\\u0000" in text:
        raise ApiError(400, "The body has a NUL character. Leave it out.", code="invalid_value")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


class EventStream(Response):
    """Server-sent events that end with the client: one who leaves ends what makes them."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end or the client leaves."""

        async def write() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with aclosing(self._events) as events:
                async for event in events:
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        try:
            await unless_gone(write(), receive)
        except ClientDisconnect:
            log.debug("A client left before its reply ended")
        except OSError:
            log.debug("A client's connection broke")


async def unless_gone(work: Coroutine[Any, Any, Done] | Awaitable[Done], receive: Receive) -> Done:
    """The result of `work`, which is ended if the client leaves before. Raises ClientDisconnect then."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        leaving.cancel()
        if not working.done():
            # Once, and waited for: what there is of the reply is stored on the way out.
            working.cancel()
            await asyncio.wait({working})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def error_response(error: ApiError) -> JSONResponse:
    """The error as the client reads it."""
    later = {"retry-after": str(error.retry_after)} if error.retry_after is not None else {}
    who = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    return JSONResponse(error.body, status_code=error.status, headers={**later, **who})


def as_api_error(error: Exception) -> ApiError:
    """What went wrong, with the status that fits. What nobody foresaw is logged, and not told."""
    match error:
        case ApiError():
            return error
        case UnknownModel():
            return ApiError(404, str(error), param="model", code="model_not_found")
        case EngineBusy():
            return ApiError(429, str(error), code="busy", retry_after=RETRY_SECONDS)
        case EngineError():
            return ApiError(503, str(error), code="engine_error", retry_after=math.ceil(RETRY_SECONDS / 5))
        case ModelError() | VersionError():
            return ApiError(503, str(error), param="model", code="model_unavailable")
        case TooLong():
            return ApiError(400, str(error), param="messages", code="context_length_exceeded")
        case AssistantError():
            return ApiError(400, str(error), param="messages", code="invalid_value")
        case StoreError() if isinstance(error, ValueError):
            return ApiError(400, str(error), code="invalid_value")
    log.error("A request failed", exc_info=error)
    if isinstance(error, StoreError):
        return ApiError(503, str(error), code="store_error", retry_after=RETRY_SECONDS)
    return ApiError(500, "Something failed in this server; its log says what.", code="internal_error")
