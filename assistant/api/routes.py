"""OpenAI-compatible HTTP over one `Chat`: models, chat completions, and feedback on what was said.

A reply made here is stored like any other: its completion id holds the reply's id, so that it can be rated.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from assistant.api.http_io import EventStream, as_api_error, error_response, json_of, unless_gone
from assistant.api.requests import ApiError, ChatRequest, FeedbackRequest, refusal
from assistant.api.responses import Shape, answer_of, usage_of
from assistant.auth.pseudonyms import Raters
from assistant.chat.chat import Chat
from assistant.chat.reply_stream import Update
from assistant.errors import ConversationError
from feedback_store import StoreError, UnknownReply

ALIAS = "thumbtune"
"""Model name that always means the released version; while a live comparison is under way, whichever it draws."""
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
ALLOWED = {"/v1/models": "GET", "/v1/chat/completions": "POST", "/v1/feedback": "POST"}


def routes(chat: Chat, raters: Raters, keys: Sequence[str] = ()) -> list[Route]:
    """The API's routes for any Starlette or FastAPI application. With `keys`, a request must bring one of them."""
    api = Api(chat, raters, keys)
    return [
        Route("/health", api.guarded(api.health, open_to_all=True), methods=["GET"]),
        Route("/v1/models", api.guarded(api.models), methods=["GET"]),
        Route("/v1/models/{name}", api.guarded(api.model), methods=["GET"]),
        Route("/v1/chat/completions", api.guarded(api.chat_completions), methods=["POST"]),
        Route("/v1/feedback", api.guarded(api.feedback), methods=["POST"]),
        # Whatever else is asked beneath /v1 gets an error that an API's client can read, not the page's.
        Route("/v1/{rest:path}", api.guarded(api.missing), methods=METHODS),
    ]


class Api:
    """The handlers over one chat."""

    def __init__(self, chat: Chat, raters: Raters, keys: Sequence[str]) -> None:
        self._chat = chat
        self._raters = raters
        self._keys = [_digest(key.encode()) for key in keys]
        self._started = int(time.time())

    def guarded(
        self, handler: Callable[[Request, str | None], Awaitable[Response]], open_to_all: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """The handler behind the key check; whatever goes wrong in it becomes an error of OpenAI's shape."""

        async def handle(request: Request) -> Response:
            try:
                key = None if open_to_all else self._key(request)
                return await handler(request, key)
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception as error:
                return error_response(as_api_error(error))

        return handle

    async def health(self, request: Request, key: str | None) -> Response:
        """Whether replies can be made now, and by which version."""
        running = self._chat.engine.running
        told = {"status": "ok" if running else "starting", "version": self._chat.engine.version.id}
        return JSONResponse(told, status_code=200 if running else 503)

    async def models(self, request: Request, key: str | None) -> Response:
        """Every name that a request may give as its model."""
        return JSONResponse({"object": "list", "data": [self._described(name) for name in self._names()]})

    async def model(self, request: Request, key: str | None) -> Response:
        """One of them. Raises ApiError if it does not serve."""
        name = request.path_params["name"]
        self._version_called(name)
        return JSONResponse(self._described(name))

    async def missing(self, request: Request, key: str | None) -> Response:
        """Raises ApiError: nothing is here, or not for this method."""
        path = request.url.path
        allowed = ALLOWED.get(path.rstrip("/"))
        if allowed is None:
            known = ", ".join(ALLOWED)
            raise ApiError(
                404, f"There is nothing at {path[:100]!r}. There are: {known}.", code="unknown_url"
            )
        raise ApiError(405, f"{path} takes {allowed}, not {request.method}.", code="method_not_allowed")

    async def chat_completions(self, request: Request, key: str | None) -> Response:
        """Answer a transcript, at once or streamed."""
        try:
            asked = ChatRequest.model_validate(await json_of(request))
        except ValidationError as error:
            raise refusal(error) from error
        version = self._version_called(asked.model)
        # It may have to be loaded, and nobody else should wait for that.
        await asyncio.to_thread(self._chat.engine.prepare, version)
        with self._chat.engine.lease(version) as served:
            window, tokenizer = served.window, served.tokenizer
        if (asked.limit or 0) > window:
            raise ApiError(
                400,
                f"max_tokens is {asked.limit}, and this model reads and writes {window} tokens in all.",
                param="max_tokens" if asked.max_completion_tokens is None else "max_completion_tokens",
                code="invalid_value",
            )
        updates = self._chat.complete(
            asked.transcript,
            think=asked.think,
            rater=self._raters.pseudonym(key, asked.user),
            version=version,
            sampling=asked.sampling(self._chat.sampling),
            seed=asked.seed,
        )
        shape = Shape(asked.model, int(time.time()), tokenizer)
        if not asked.stream:
            last = await unless_gone(_last(updates), request.receive)
            return JSONResponse(answer_of(shape, last))
        with_usage = asked.stream_options is not None and asked.stream_options.include_usage
        # What can be refused is refused before the first byte: then the status can still say so. The first update
        # says that the request is taken, the second has the first token.
        opening = [await unless_gone(anext(updates), request.receive) for _ in range(2)]
        return EventStream(_events(shape, opening, updates, with_usage))

    async def feedback(self, request: Request, key: str | None) -> Response:
        """Rate a completion, correct it, or both."""
        try:
            said = FeedbackRequest.model_validate(await json_of(request))
        except ValidationError as error:
            raise refusal(error) from error
        reply_id = said.id.removeprefix(Shape.PREFIX)
        rater = self._raters.pseudonym(key, said.user)
        await asyncio.to_thread(self._judge, said, reply_id, rater)
        return JSONResponse({"object": "feedback", "id": Shape.PREFIX + reply_id, "value": said.value})

    def _judge(self, said: FeedbackRequest, reply_id: str, rater: str) -> None:
        try:
            if said.correction is not None:
                self._chat.library.correct(reply_id, said.correction, rater)
            if said.value is not None:
                self._chat.library.rate(reply_id, said.value, said.reasons, said.comment, rater)
        except (ConversationError, UnknownReply) as error:
            raise ApiError(404, str(error), param="id", code="reply_not_found") from error
        except StoreError as error:
            if isinstance(error, ValueError):
                raise ApiError(400, str(error), code="invalid_value") from error
            raise

    def _key(self, request: Request) -> str | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        given = given.strip() if scheme.lower() == "bearer" else ""
        if not self._keys:
            return given or None
        # All are compared, whichever fits, and each in a time that tells nothing of it.
        digest = _digest(given.encode("latin-1"))
        fits = [hmac.compare_digest(digest, key) for key in self._keys]
        if not any(fits):
            raise ApiError(
                401,
                "This key is not known." if given else "A key is needed: 'Authorization: Bearer KEY'.",
                code="invalid_api_key",
            )
        return given

    def _names(self) -> list[str]:
        return [ALIAS, *self._chat.engine.versions]

    def _version_called(self, name: str) -> str | None:
        """The version that a model's name means; None is the released one."""
        if name not in self._names():
            known = ", ".join(self._names())
            raise ApiError(
                404,
                f"There is no model {name[:100]!r}. These serve: {known}.",
                param="model",
                code="model_not_found",
            )
        return None if name == ALIAS else name

    def _described(self, name: str) -> dict[str, Any]:
        with self._chat.engine.lease() as served:
            released = served.version.manifest
        manifest = released if name == ALIAS else self._chat.engine.manifest(name)
        base = PurePath(manifest.base.name)
        return {
            "id": name,
            "object": "model",
            "created": self._started,
            "owned_by": "thumbtune",
            # Of a base in a folder the name alone: where it lies is nobody's business.
            "root": base.name if base.is_absolute() else str(base),
            "parent": manifest.id if name == ALIAS else manifest.parent,
            # Of a version on another base it is known once it has been loaded.
            "max_model_len": served.window if manifest.base == released.base else None,
        }


async def _last(updates: AsyncGenerator[Update, None]) -> Update:
    async with aclosing(updates) as all_of_them:
        async for update in all_of_them:
            last = update
    return last


async def _events(
    shape: Shape, opening: Sequence[Update], updates: AsyncGenerator[Update, None], with_usage: bool
) -> AsyncGenerator[bytes, None]:
    """The chunks of a streamed answer. An error after the first one becomes a chunk: the status is sent already."""
    last = opening[-1]
    try:
        async with aclosing(updates) as coming:
            yield _event(shape.opening(last, with_usage))
            for chunk in shape.chunks(last, with_usage):
                yield _event(chunk)
            async for update in coming:
                last = update
                for chunk in shape.chunks(update, with_usage):
                    yield _event(chunk)
            if with_usage:
                yield _event(shape.chunk(last, [], usage=usage_of(last)))
    except Exception as error:
        yield _event(as_api_error(error).body)
        return
    yield b"data: [DONE]\n\n"


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False, allow_nan=False).encode() + b"\n\n"


def _digest(key: bytes) -> bytes:
    # Of one length, so that a comparison does not tell how long the right key is.
    return hashlib.sha256(key).digest()
