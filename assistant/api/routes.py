"""OpenAI-compatible HTTP routes over one `Chat`: models, chat completions, and feedback on completions.

Replies of the API are stored like any others. A completion's id contains the reply's id, so that it can be rated.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from assistant.api import metrics
from assistant.api.api_errors import ApiError, as_api_error, error_response
from assistant.api.api_keys import ApiKeys
from assistant.api.http_io import EventStream, json_of, last_item, while_connected
from assistant.api.requests import ChatRequest, FeedbackRequest, refusal
from assistant.api.response_objects import PREFIX as RESPONSE_PREFIX
from assistant.api.response_objects import ResponseRequest, ResponseWriter, in_own_fields, response_events
from assistant.api.responses import CompletionWriter, chat_events, completion
from assistant.api.text_completions import Continuation, TextRequest, TextWriter, continued, text_events
from assistant.auth.pseudonyms import Raters
from assistant.chat.chat import Chat
from assistant.chat.reply_stream import Update, close_all, together
from assistant.errors import AssistantError, ConversationError, FormatRefused
from assistant.serving import prompt
from assistant.serving.engine import ServedVersion
from assistant.serving.tokenizing.chat_template import knows_tools
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer
from feedback_store import StoreError, UnknownReply

ALIAS = "thumbtune"
"""Model name of the released version; during a live comparison, of the version that the conversation is assigned to."""
Body = TypeVar("Body", bound=BaseModel)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def routes(chat: Chat, raters: Raters, keys: Sequence[str] = ()) -> list[Route]:
    """The API's routes for a Starlette or FastAPI application. With `keys`, every request must carry one of them."""
    api = Api(chat, raters, keys)
    served = [
        ("GET", "/health", api.health),
        ("GET", "/metrics", api.metrics),
        ("GET", "/v1/models", api.models),
        ("GET", "/v1/models/{name}", api.model),
        ("POST", "/v1/chat/completions", api.chat_completions),
        ("POST", "/v1/responses", api.responses),
        ("POST", "/v1/completions", api.text_completions),
        ("POST", "/v1/feedback", api.feedback),
    ]
    api.allowed = {path: method for method, path, _ in served if path.startswith("/v1/")}
    # A client's base URL may end in a slash, or its path.
    return [
        *(
            Route(spelling, api.guarded(path, handler, open_to_all=path == "/health"), methods=[method])
            for method, path, handler in served
            for double in dict.fromkeys((path, path.replace("/v1/", "/v1//")))
            for spelling in (double, f"{double}/")
        ),
        # Any other path below /v1 gets an error that API clients can read, and not the page's.
        *(
            Route(spelling, api.guarded("/v1", api.missing), methods=METHODS)
            for spelling in ("/v1", "/v1/{rest:path}")
        ),
    ]


class Api:
    """Request handlers over one chat."""

    def __init__(self, chat: Chat, raters: Raters, keys: Sequence[str]) -> None:
        self._chat = chat
        self._raters = raters
        self._keys = ApiKeys(keys)
        self._started = int(time.time())
        self._requests: metrics.Requests = Counter()
        # A check waits for a place in a busy engine, as the event loop's own few threads must not.
        self._checks = ThreadPoolExecutor(4, thread_name_prefix="check-format")
        self.allowed: dict[str, str] = {}
        """The method that each path accepts."""

    def guarded(
        self,
        path: str,
        handler: Callable[[Request, str | None], Awaitable[Response]],
        open_to_all: bool = False,
    ) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a handler: check the API key first, turn every error into OpenAI's, and count the request.

        `path`: what it is counted as; a client may make up any path.
        """

        async def handle(request: Request) -> Response:
            try:
                key = None if open_to_all else self._keys.of(request.headers)
                response = await handler(request, key)
            except ClientDisconnect:
                response = Response(status_code=499)
            except Exception as error:
                response = error_response(as_api_error(error))
            self._requests[request.method, path, response.status_code] += 1
            return response

        return handle

    async def health(self, request: Request, key: str | None) -> Response:
        """Whether the engine is running, and the version that it serves."""
        running = self._chat.engine.running
        content = {"status": "ok" if running else "starting", "version": self._chat.engine.version.id}
        return JSONResponse(content, status_code=200 if running else 503)

    async def metrics(self, request: Request, key: str | None) -> Response:
        """Numbers for Prometheus: of this process, since it began."""
        engine = self._chat.engine
        text = metrics.exposition(self._requests, self._chat.in_progress, engine.version.id, engine.running)
        return Response(text, media_type=metrics.CONTENT_TYPE)

    async def models(self, request: Request, key: str | None) -> Response:
        """List the model names that requests may give."""
        return JSONResponse({"object": "list", "data": [self._described(name) for name in self._names()]})

    async def model(self, request: Request, key: str | None) -> Response:
        """Describe one model. Raises ApiError if there is none of that name."""
        name = request.path_params["name"]
        self._version_of_model(name)
        return JSONResponse(self._described(name))

    async def missing(self, request: Request, key: str | None) -> Response:
        """Refuse an unknown path, or a method that a path does not accept. Always raises ApiError."""
        path = request.url.path
        allowed = self.allowed.get(path.replace("/v1//", "/v1/").rstrip("/"))
        if allowed is None:
            known = ", ".join(self.allowed)
            raise ApiError(
                404, f"There is nothing at {path[:100]!r}. The paths are: {known}.", code="unknown_url"
            )
        raise ApiError(405, f"{path} accepts {allowed}, not {request.method}.", code="method_not_allowed")

    async def chat_completions(self, request: Request, key: str | None) -> Response:
        """Complete a transcript, in one response or streamed."""
        body = _validated(ChatRequest, await json_of(request))
        streams, tokenizer = await self._streams(body, key)
        begun = prompt.beginning(tokenizer, body.prefill)
        writers = [
            CompletionWriter(
                body.model,
                int(time.time()),
                tokenizer,
                number,
                answer=prompt.decode(tokenizer, begun).lstrip(),
                prefilled=len(begun),
                tool=None if body.tool is None else body.tool.name,
            )
            for number in range(len(streams))
        ]
        # A refusal must come before the first byte, while the status can still be set. The first update says that the
        # request is accepted and its transcript stored, where the next choice finds it; the second has a first token.
        try:
            opening = [await while_connected(anext(stream), request.receive) for stream in streams]
            if body.stream:
                opening[0] = await while_connected(anext(streams[0]), request.receive)
        except BaseException:
            await close_all(streams)
            raise
        for writer in writers:
            writer.id = CompletionWriter.PREFIX + opening[0].reply_id
        if not body.stream:
            updates = await while_connected(last_item(together(streams, opening)), request.receive)
            return JSONResponse(completion(writers, updates))
        return EventStream(chat_events(writers, opening, streams, body.with_usage))

    async def responses(self, request: Request, key: str | None) -> Response:
        """Complete a transcript in OpenAI's newer form, in one response or streamed."""
        body = _validated(ResponseRequest, await json_of(request))
        try:
            return await self._respond(body, request, key)
        except (ApiError, AssistantError) as error:
            raise in_own_fields(as_api_error(error)) from error

    async def _respond(self, body: ResponseRequest, request: Request, key: str | None) -> Response:
        before: list[dict[str, str]] = []
        if body.previous_response_id is not None:
            rater = self._raters.pseudonym(key, body.user if isinstance(body.user, str) else None)
            reply_id = body.previous_response_id.removeprefix(RESPONSE_PREFIX)
            before = await asyncio.to_thread(self._transcript, reply_id, rater)
        (updates, *_), _ = await self._streams(body.as_chat(before), key)
        writer = ResponseWriter(body)
        if not body.stream:
            last = await while_connected(last_item(updates), request.receive)
            return JSONResponse(writer.whole(last))
        # As above: a refusal before the first byte.
        for _ in range(2):
            first = await while_connected(anext(updates), request.receive)
        return EventStream(response_events(writer, first, updates))

    async def _streams(
        self, body: ChatRequest, key: str | None
    ) -> tuple[list[AsyncGenerator[Update, None]], Tokenizer]:
        """The streams of a request's choices, and the tokenizer of the version that writes them. Raises ApiError."""
        version = self._version_of_model(body.model)
        # Loading a version takes long, so it must not block the event loop.
        await asyncio.to_thread(self._chat.engine.prepare, version)
        sampling = body.sampling(self._chat.sampling)
        with self._chat.engine.lease(version) as lease:
            tokenizer = lease.tokenizer
            if sampling.schema is not None:
                try:
                    await self._check_schema(lease, sampling.schema)
                except FormatRefused as error:
                    param = "response_format" if body.tool is None else "tools"
                    raise ApiError(400, str(error), param=param, code="invalid_value") from error
        if body.uses_tools and not knows_tools(tokenizer):
            raise ApiError(
                400,
                "This model has not been taught to use tools, so that their calls and results mean nothing to it. "
                "Leave them out, or put the results into a user's message.",
                param="messages",
                code="invalid_value",
            )
        streams = [
            self._chat.complete(
                body.transcript,
                think=body.think,
                rater=self._raters.pseudonym(key, body.user),
                version=version,
                sampling=sampling,
                seed=None if body.seed is None else body.seed + number,
                prefill=body.prefill,
            )
            for number in range(body.n or 1)
        ]
        return streams, tokenizer

    async def _check_schema(self, served: ServedVersion, schema: str) -> None:
        await asyncio.get_running_loop().run_in_executor(self._checks, served.check_schema, schema)

    def _transcript(self, reply_id: str, rater: str) -> list[dict[str, str]]:
        try:
            return self._chat.library.transcript(reply_id, rater)
        except (ConversationError, UnknownReply) as error:
            raise ApiError(
                404,
                f"There is no response {RESPONSE_PREFIX}{reply_id} of this user here. Send the whole conversation.",
                param="previous_response_id",
                code="previous_response_not_found",
            ) from error

    async def text_completions(self, request: Request, key: str | None) -> Response:
        """Continue a text or token ids, in one response or streamed. Nothing is stored."""
        body = _validated(TextRequest, await json_of(request))
        version = self._version_of_model(body.model)
        await asyncio.to_thread(self._chat.engine.prepare, version)

        async def leased() -> AsyncGenerator[tuple[TextWriter, Continuation], None]:
            # The version is held until the last token.
            with self._chat.engine.lease(version) as served:
                if body.schema_text is not None:
                    await self._check_schema(served, body.schema_text)
                ids = await asyncio.to_thread(body.ids, served.tokenizer)
                writer = TextWriter(body, served, ids)
                async with aclosing(continued(served, ids, body.sampling(self._chat.sampling))) as updates:
                    async for update in updates:
                        yield writer, update

        updates = leased()
        if not body.stream:
            writer, last = await while_connected(last_item(updates), request.receive)
            return JSONResponse(writer.part(last, usage=True))
        writer, first = await while_connected(anext(updates), request.receive)
        return EventStream(text_events(writer, first, updates, body.with_usage))

    async def feedback(self, request: Request, key: str | None) -> Response:
        """Rate a completion, correct it, or both."""
        feedback = _validated(FeedbackRequest, await json_of(request))
        reply_id = feedback.id.removeprefix(CompletionWriter.PREFIX).removeprefix(RESPONSE_PREFIX)
        rater = self._raters.pseudonym(key, feedback.user)
        await asyncio.to_thread(self._store_feedback, feedback, reply_id, rater)
        return JSONResponse(
            {"object": "feedback", "id": CompletionWriter.PREFIX + reply_id, "value": feedback.value}
        )

    def _store_feedback(self, feedback: FeedbackRequest, reply_id: str, rater: str) -> None:
        try:
            if feedback.correction is not None:
                self._chat.library.correct(reply_id, feedback.correction, rater)
            if feedback.value is not None:
                self._chat.library.rate(reply_id, feedback.value, feedback.reasons, feedback.comment, rater)
        except (ConversationError, UnknownReply) as error:
            raise ApiError(404, str(error), param="id", code="reply_not_found") from error
        except StoreError as error:
            if isinstance(error, ValueError):
                raise ApiError(400, str(error), code="invalid_value") from error
            raise

    def _names(self) -> list[str]:
        return [ALIAS, *self._chat.engine.versions]

    def _version_of_model(self, name: str) -> str | None:
        """The version of a model name; None is the released one. Raises ApiError if there is none of that name."""
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
        return {
            "id": name,
            "object": "model",
            "created": self._started,
            "owned_by": "thumbtune",
            "root": self._chat.base_name(manifest),
            "parent": manifest.id if name == ALIAS else manifest.parent,
            # The window of a version on another base is unknown before it is loaded.
            "max_model_len": served.window if manifest.base == released.base else None,
        }


def _validated(kind: type[Body], content: Any) -> Body:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise refusal(error) from error
