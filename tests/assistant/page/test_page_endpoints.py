"""The page's named endpoints, called by a client."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from helpers.fake_chat import FakeChat, serving

from assistant.errors import ModelError, VersionError
from assistant.page.endpoints import Endpoints

# Gradio's queue calls pandas in ways that pandas 3 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FakeChat, str]]:
    fake = FakeChat()
    with serving(fake) as url:
        yield fake, url


def test_a_page_of_another_site_can_neither_read_nor_write(served: tuple[FakeChat, str]) -> None:
    fake, url = served
    evil = {"origin": "https://evil.example", "host": "chat.example", "content-type": "text/plain"}
    before = len(fake.requests)
    for path in ("gradio_api/call/chat", "gradio_api/queue/join", "gradio_api/upload"):
        answer = httpx.post(url + path, headers=evil, content='{"data": ["hello", false, null]}')
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_origin")
    preflight = httpx.options(url, headers={**evil, "access-control-request-method": "POST"})
    page = httpx.get(url, headers=evil)
    assert (preflight.status_code, page.status_code) == (403, 200)
    for answer in (preflight, page):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert len(fake.requests) == before
    own = {"origin": url.rstrip("/")}
    answer = httpx.post(url + "gradio_api/call/chat", headers=own, json={"data": ["hello", False, None]})
    assert answer.status_code == 200


def test_chat_streams_dictionaries_to_a_client(served: tuple[FakeChat, str]) -> None:
    fake, url = served
    client = Client(url, verbose=False)
    job = client.submit("347 + 285", True, None, api_name="/chat")
    last = job.result(timeout=20)
    assert set(last) == {"reply_id", "conversation", "thought", "answer", "version"}
    assert last["answer"] == "The answer is **632**."
    assert "carry 1" in last["thought"]
    assert len(job.outputs()) > 2
    assert fake.requests[-1] == ("347 + 285", True)


def test_chat_needs_only_a_message_and_continues_a_conversation(served: tuple[FakeChat, str]) -> None:
    fake, url = served
    first = Client(url, verbose=False).predict("hello", api_name="/chat")
    assert fake.requests[-1] == ("hello", False)
    second = Client(url, verbose=False).predict(
        message="more", think=False, conversation=first["conversation"], api_name="/chat"
    )
    assert second["conversation"] == first["conversation"]
    assert fake.turns[fake.turns[second["reply_id"]].parent_id or ""].parent_id == first["reply_id"]


def test_rate_stores_one_rating_per_client(served: tuple[FakeChat, str]) -> None:
    fake, url = served
    first, second = Client(url, verbose=False), Client(url, verbose=False)
    reply = first.predict("hello", api_name="/chat")["reply_id"]
    answer = first.predict(reply, -1, ["wrong"], "no", api_name="/rate")
    first.predict(reply_id=reply, value=1, reasons=[], comment="", api_name="/rate")
    second.predict(reply, -1, ["unclear"], "", api_name="/rate")
    values = {rater: rating.value for (rated, rater), rating in fake.ratings.items() if rated == reply}
    assert answer["value"] == -1
    assert sorted(values.values()) == [-1, 1]
    assert all(rater.startswith("api-") for rater in values)


@pytest.mark.parametrize(
    ("endpoint", "arguments", "message"),
    [
        ("/chat", ("", False, None), "The message is empty."),
        ("/chat", ("hi", False, "nowhere"), "This conversation is not here any more."),
        ("/rate", ("nothing", 1, [], ""), "There is no reply 'nothing'"),
        ("/rate", ("nothing", 5, [], ""), "value is 5; it must be 1, -1 or 0"),
        (
            "/rate",
            ("nothing", 1, ["wrong"], ""),
            "'wrong' is no reason of the value 1. It may have: correct, clear",
        ),
    ],
)
def test_errors_reach_the_client_as_clear_text(
    served: tuple[FakeChat, str], endpoint: str, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(AppError, match=re.escape(message)):
        Client(served[1], verbose=False).predict(*arguments, api_name=endpoint)


def test_only_the_two_endpoints_are_public(served: tuple[FakeChat, str]) -> None:
    api = Client(served[1], verbose=False).view_api(return_format="dict")
    assert set(api["named_endpoints"]) == {"/chat", "/rate"}
    assert not api["unnamed_endpoints"]


def test_closing_the_stream_of_an_endpoint_cancels_the_reply(chat: FakeChat) -> None:
    async def run() -> None:
        stream = Endpoints(chat).chat("slow")
        await anext(stream)
        await stream.aclose()

    asyncio.run(run())
    assert list(chat.finished.values()) == ["stopped"]


@pytest.mark.parametrize("kind", [ModelError, VersionError])
def test_the_chat_endpoint_does_not_name_the_folder_of_a_model_that_cannot_be_opened(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = FakeChat()

    async def refuse(*_: Any, **__: Any) -> Any:
        raise kind("The base in /srv/secret-place/models/Some-1B is not the one this version was made on.")
        yield

    monkeypatch.setattr(chat, "reply", refuse)

    async def call() -> None:
        async with aclosing(Endpoints(chat).chat("hello")) as updates:
            async for _ in updates:
                pass

    with pytest.raises(gr.Error) as raised:
        asyncio.run(call())
    assert "secret-place" not in str(raised.value)
    assert "log" in str(raised.value)
