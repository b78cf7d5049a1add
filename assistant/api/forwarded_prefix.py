"""The path under which a proxy offers the app, as the proxy names it: `X-Forwarded-Prefix: /chat`."""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_PATH = re.compile(r"(?:/[\w.~-]+)+/?", re.ASCII)


class ForwardedPrefix:
    """Middleware: lets the application make addresses below the proxy's path. A header that is no path is ignored."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        prefix = Headers(scope=scope).get("x-forwarded-prefix", "") if scope["type"] == "http" else ""
        if _PATH.fullmatch(prefix):
            scope = {**scope, "root_path": prefix.rstrip("/")}
        await self._app(scope, receive, send)
