"""The dashboard's plain routes beside Gradio's: signing in and out, and rows to take away.

POST /admin/login     {"name", "password"} → 204 and a cookie; 401, or 429 with "seconds"
POST /admin/logout    → 204
GET  /admin/export/…  → JSON lines, for admins
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from assistant.admin.services import Office
from assistant.auth.admins import COOKIE, SESSION_SECONDS, NotAnAdmin, TooManyTries, WrongPassword, is_ours
from assistant.page.dashboard.dashboard_page import who
from feedback_store import StoreError
from feedback_store.rows.exporters import FORMATS, rows, write

LONGEST_BODY = 4_000
"""Bytes of a name and a password."""


def routes(office: Office) -> list[Route]:
    """Routes to put before Gradio's."""

    async def login(request: Request) -> Response:
        if not is_ours(request.headers):
            return _refused(403)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_BODY:
                return _refused(413)
        try:
            given = dict(json.loads(body))
            name, password = given.get("name", ""), given["password"]
            if not isinstance(name, str) or not isinstance(password, str):
                raise TypeError
        except (ValueError, TypeError, KeyError):
            return _refused(400)
        address = request.client.host if request.client else ""
        try:
            token = office.admins.sign_in(password, name, address)
        except TooManyTries as error:
            return JSONResponse({"error": "many", "seconds": round(error.seconds)}, status_code=429)
        except WrongPassword:
            await asyncio.to_thread(office.control.audit.write, address, "sign in: failed")
            return _refused(401, "wrong")
        await asyncio.to_thread(office.control.audit.write, office.admins.who({COOKIE: token}), "sign in")
        answer = Response(status_code=204)
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        answer.set_cookie(
            COOKIE,
            token,
            max_age=int(SESSION_SECONDS),
            httponly=True,
            samesite="strict",
            secure=secure,
            path="/",
        )
        return answer

    async def logout(request: Request) -> Response:
        if not is_ours(request.headers):
            return _refused(403)
        office.admins.sign_out(request.cookies.get(COOKIE, ""))
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        if "session" in request.scope:
            request.session.pop("oauth_info", None)
        return answer

    async def export(request: Request) -> Response:
        admin = who(office, request)
        what = request.path_params["what"]
        if what not in (*FORMATS, "audit"):
            return _refused(404)
        await asyncio.to_thread(office.control.exported, admin, what)
        name = f"thumbtune-{what}.jsonl"
        if what == "audit":
            return _file(office.control.audit.path, name)
        folder = tempfile.TemporaryDirectory()
        path = Path(folder.name) / name
        try:
            await asyncio.to_thread(lambda: write(path, what, rows(office.store, what)))
        except BaseException:
            folder.cleanup()
            raise
        return _file(path, name, BackgroundTask(folder.cleanup))

    return [
        Route("/admin/login", login, methods=["POST"]),
        Route("/admin/logout", logout, methods=["POST"]),
        Route("/admin/export/{what}", _guarded(export), methods=["GET"]),
    ]


def _guarded(handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await handle(request)
        except NotAnAdmin:
            return _refused(403)
        except (StoreError, OSError) as error:
            return JSONResponse({"error": str(error)}, status_code=500)

    return answer


def _file(path: Path, name: str, after: BackgroundTask | None = None) -> Response:
    headers = {"Cache-Control": "no-store"}
    return FileResponse(
        path, filename=name, media_type="application/jsonl", headers=headers, background=after
    )


def _refused(status: int, error: str = "other") -> Response:
    return JSONResponse({"error": error}, status_code=status)
