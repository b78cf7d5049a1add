"""The dashboard's HTTP routes beside Gradio's: sign in, sign out, and export training rows.

POST /admin/login     {"name", "password"} → 204 and a cookie; 401, or 429 with "seconds"
POST /admin/logout    → 204
GET  /admin/export/…  → JSON Lines, for admins
GET  /admin/versions/VERSION/FORMAT → a ZIP archive of the version in that format, for admins
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from assistant.admin.actions import EXPORT_FORMATS
from assistant.admin.services import AdminServices
from assistant.auth.admins import COOKIE, SESSION_SECONDS, NotAnAdmin, TooManyTries, WrongPassword
from assistant.auth.origins import is_ours
from assistant.errors import AssistantError
from assistant.page.dashboard.dashboard_page import admin_name
from feedback_store import StoreError
from feedback_store.rows.exporters import FORMATS, rows, write

MAX_BODY_BYTES = 4_000
"""Longest body of a sign-in request, in bytes."""


def routes(services: AdminServices) -> list[Route]:
    """The routes, to be placed before Gradio's."""

    async def login(request: Request) -> Response:
        if not is_ours(request.headers):
            return _refused(403)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return _refused(413)
        try:
            credentials = dict(json.loads(body))
            name, password = credentials.get("name", ""), credentials["password"]
            if not isinstance(name, str) or not isinstance(password, str):
                raise TypeError
        except (ValueError, TypeError, KeyError):
            return _refused(400)
        address = request.client.host if request.client else ""
        try:
            token = services.admins.sign_in(password, name, address)
        except TooManyTries as error:
            return JSONResponse({"error": "many", "seconds": round(error.seconds)}, status_code=429)
        except WrongPassword:
            await asyncio.to_thread(services.actions.audit.write, address, "sign in: failed")
            return _refused(401, "wrong")
        await asyncio.to_thread(services.actions.audit.write, services.admins.who({COOKIE: token}), "sign in")
        response = Response(status_code=204)
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        response.set_cookie(
            COOKIE,
            token,
            max_age=int(SESSION_SECONDS),
            httponly=True,
            samesite="strict",
            secure=secure,
            path="/",
        )
        return response

    async def logout(request: Request) -> Response:
        if not is_ours(request.headers):
            return _refused(403)
        services.admins.sign_out(request.cookies.get(COOKIE, ""))
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        if "session" in request.scope:
            request.session.pop("oauth_info", None)
        return response

    async def export(request: Request) -> Response:
        admin = admin_name(services, request)
        what = request.path_params["what"]
        if what not in (*FORMATS, "audit"):
            return _refused(404)
        await asyncio.to_thread(services.actions.exported, admin, what)
        name = f"thumbtune-{what}.jsonl"
        if what == "audit":
            return _file(services.actions.audit.path, name)
        folder = tempfile.TemporaryDirectory()
        path = Path(folder.name) / name
        try:
            await asyncio.to_thread(lambda: write(path, what, rows(services.store, what)))
        except BaseException:
            folder.cleanup()
            raise
        return _file(path, name, BackgroundTask(folder.cleanup))

    async def export_version(request: Request) -> Response:
        return await _version_archive(services, request)

    return [
        Route("/admin/login", login, methods=["POST"]),
        Route("/admin/logout", logout, methods=["POST"]),
        Route("/admin/export/{what}", _for_admins(export), methods=["GET"]),
        Route("/admin/versions/{version}/{kind}", _for_admins(export_version), methods=["GET"]),
    ]


async def _version_archive(services: AdminServices, request: Request) -> Response:
    """The version and the format that the address names, as a ZIP archive.

    Raises NotAnAdmin, AssistantError, OSError.
    """
    admin = admin_name(services, request)
    version, kind = request.path_params["version"], request.path_params["kind"]
    if kind not in EXPORT_FORMATS:
        return _refused(404)
    written = await asyncio.to_thread(services.actions.export_version, admin, version, kind)
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / f"{written.name}.zip"
    try:
        await asyncio.to_thread(_archive, written, path)
    except BaseException:
        folder.cleanup()
        raise
    return _file(path, path.name, BackgroundTask(folder.cleanup), "application/zip")


def _for_admins(handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def checked(request: Request) -> Response:
        try:
            return await handle(request)
        except NotAnAdmin:
            return _refused(403)
        except (AssistantError, StoreError, OSError) as error:
            return JSONResponse({"error": str(error)}, status_code=500)

    return checked


def _archive(folder: Path, path: Path) -> None:
    """Write the files of a folder to a ZIP archive, as they are: weights cannot be made smaller."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")


def _file(
    path: Path,
    name: str,
    background: BackgroundTask | None = None,
    media_type: str = "application/jsonl",
) -> Response:
    headers = {"Cache-Control": "no-store"}
    return FileResponse(path, filename=name, media_type=media_type, headers=headers, background=background)


def _refused(status: int, error: str = "other") -> Response:
    return JSONResponse({"error": error}, status_code=status)
