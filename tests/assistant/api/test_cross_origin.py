"""Pages of other sites: what they send is not carried out, and they read nothing, unless a setting names the site."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest
from helpers.fake_api import fake_api
from helpers.fake_chat import FakeChat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from assistant.api.cross_origin import CrossOrigin
from assistant.api.forwarded_prefix import ForwardedPrefix

EVIL, FRIEND, OWN = "https://evil.example", "https://friend.example", "https://chat.example"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-key"}


@asynccontextmanager
async def app(origins: Sequence[str] = ()) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that answers with the origin that it sees."""

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.headers.get("origin", "none"))

    inner = Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])
    transport = httpx.ASGITransport(CrossOrigin(inner, origins))
    async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
        yield client


@pytest.mark.parametrize("origin", [EVIL, "null", "http://127.0.0.1", "https://chat.example.evil.example"])
async def test_another_site_writes_nothing_and_reads_nothing(origin: str) -> None:
    async with app([FRIEND]) as client:
        for method, headers in (("POST", {}), ("DELETE", {}), ("OPTIONS", PREFLIGHT)):
            answer = await client.request(method, "/", headers={"origin": origin, **headers})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_origin")
            assert "access-control-allow-origin" not in answer.headers
        # A link from there still leads here.
        answer = await client.get("/", headers={"origin": origin})
        assert (answer.status_code, answer.text) == (200, "none")
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", [{}, {"origin": OWN}, {"origin": EVIL, "sec-fetch-site": "same-origin"}])
async def test_the_apps_own_pages_and_other_programs_are_served(headers: dict[str, str]) -> None:
    async with app() as client:
        assert (await client.post("/", headers=headers)).text == headers.get("origin", "none")


@pytest.mark.parametrize(("origins", "allowed"), [([FRIEND], FRIEND), (["*"], "*")])
async def test_a_site_that_is_named_may_read_and_write_without_cookies(
    origins: list[str], allowed: str
) -> None:
    async with app(origins) as client:
        headers = {"origin": FRIEND, "sec-fetch-site": "cross-site"}
        asked = await client.options("/", headers={**headers, **PREFLIGHT})
        answer = await client.post("/", headers=headers)
        assert (asked.status_code, answer.status_code) == (200, 200)
        for response in (asked, answer):
            assert response.headers["access-control-allow-origin"] == allowed
            assert "access-control-allow-credentials" not in response.headers
        assert "x-key" in asked.headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"]
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/feedback"])
async def test_a_body_that_any_page_may_send_unasked_is_refused(chat: FakeChat, path: str, kind: str) -> None:
    body = (
        b'{"model": "thumbtune", "messages": [{"role": "user", "content": "hello"}], "id": "x", "value": 1}'
    )
    async with fake_api(chat) as client:
        answer = await client.post(path, content=body, headers={"content-type": kind} if kind else {})
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
        assert chat.owners == {}
        for declared in ("application/json; charset=utf-8", "Application/JSON"):
            answer = await client.post(path, content=body, headers={"content-type": declared})
            assert answer.status_code != 415


@pytest.mark.parametrize(
    ("prefix", "root"),
    [("/chat", "/chat"), ("/a/b-c/", "/a/b-c"), ("", ""), ("//evil.example", ""), ("/a b", ""), ("chat", "")],
)
async def test_a_proxy_names_the_path_under_which_it_offers_the_app(prefix: str, root: str) -> None:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.scope.get("root_path", ""))

    transport = httpx.ASGITransport(ForwardedPrefix(Starlette(routes=[Route("/", answer)])))
    async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
        assert (await client.get("/", headers={"x-forwarded-prefix": prefix})).text == root
