"""The API over scripted answers, without a port, a thread or a model: requests reach it directly."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from helpers.fake_chat import FakeChat

from assistant.api.routes import routes
from assistant.auth.pseudonyms import Raters


@asynccontextmanager
async def fake_api(chat: FakeChat) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API over this chat."""
    # Gradio's application is one too.
    application = FastAPI(routes=[*routes(chat, Raters(chat.path.parent))])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application), base_url="http://localhost"
    ) as client:
        yield client


async def completed(client: httpx.AsyncClient, *texts: str, **fields: Any) -> dict[str, Any]:
    """The completion of a conversation whose messages are a user's and the assistant's in turn."""
    answer = await client.post("/v1/chat/completions", json=_body(texts) | fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def streamed(client: httpx.AsyncClient, *texts: str, **fields: Any) -> list[dict[str, Any]]:
    """The chunks of the same, streamed."""
    answer = await client.post("/v1/chat/completions", json=_body(texts) | {"stream": True} | fields)
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]", answer.text
    return [json.loads(line) for line in lines[:-1]]


def _body(texts: Sequence[str]) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]
    return {"model": "thumbtune", "messages": messages}
