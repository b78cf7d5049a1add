"""What pages of other sites may do with this app: nothing, unless a setting names their site.

A browser lets any page send requests to any address, also to an app on the same machine. Gradio's own rule lets every
site read the answers, with the visitor's cookies, unless the app's host is localhost.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.api.api_errors import ApiError, error_response
from assistant.api.forwarded_prefix import ForwardedPrefix
from assistant.auth.origins import is_ours

SAFE = ("GET", "HEAD")
"""Methods that change nothing."""


class CrossOrigin:
    """Middleware around a whole application: refuses what pages of other sites send, and lets them read nothing."""

    def __init__(self, app: ASGIApp, origins: Sequence[str] = ()) -> None:
        """`origins`: sites whose pages may use the app, such as "https://chat.example"; "*" is every site."""
        self._origins = origins
        self._app = app
        self._shared = CORSMiddleware(
            self._without_origin, allow_origins=origins, allow_methods=["*"], allow_headers=["*"]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if is_ours(headers):
            await self._app(scope, receive, send)
        elif origin is not None and ("*" in self._origins or origin in self._origins):
            await self._shared(scope, receive, send)
        elif scope["method"] in SAFE:
            # An answer without CORS headers: the browser keeps it from the page, and a link still leads here.
            await self._without_origin(scope, receive, send)
        else:
            refusal = ApiError(
                403,
                f"Pages of {(origin or 'other sites')[:100]} may not use this app. Name the site in --cors-origins "
                "(THUMBTUNE_CORS_ORIGINS) if they should.",
                code="cross_origin",
            )
            await error_response(refusal)(scope, receive, send)

    async def _without_origin(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"origin"]
        await self._app({**scope, "headers": headers}, receive, send)


def lifespan(origins: Sequence[str]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """A lifespan that puts `CrossOrigin` and `ForwardedPrefix` around an application before its first request.

    Gradio adds its own middleware around whatever it is given, and that would answer first.
    """

    @asynccontextmanager
    async def around(app: Starlette) -> AsyncGenerator[None, None]:
        assert app.middleware_stack is not None, "a lifespan runs inside the application's middleware"
        app.middleware_stack = ForwardedPrefix(CrossOrigin(app.middleware_stack, origins))
        yield

    return around
