"""The API over the starter on a real port, without the page: clients may leave, and bodies may be malformed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from helpers.listening import listening
from starlette.applications import Starlette

from assistant.api.routes import routes
from assistant.auth.pseudonyms import Raters
from assistant.chat.chat import Chat
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving.transformers_engine import TransformersEngine
from feedback_store import FeedbackStore

QUESTION = {"role": "user", "content": "What is 12 + 7?"}
ASKED: dict[str, Any] = {"model": "thumbtune", "messages": [QUESTION], "temperature": 0}


@dataclass
class Serving:
    """A running API and its parts."""

    url: str
    store: FeedbackStore
    engine: TransformersEngine
    chat: Chat
    home: Path


@contextmanager
def serving_api(
    home: Path, keys: tuple[str, ...] = (), engine: TransformersEngine | None = None
) -> Iterator[Serving]:
    """Start the API on `home`, over `engine` or one that it starts itself; yields once it listens."""
    home.mkdir(exist_ok=True)
    own = engine or TransformersEngine(Versions(home), version_to_serve(home, "starter"))
    with FeedbackStore.open(home / "feedback.db") as store:
        chat = Chat(store, own, Sampling(temperature=0.0, max_new_tokens=60))
        try:
            with listening(Starlette(routes=routes(chat, Raters(home), keys))) as url:
                yield Serving(url, store, own, chat, home)
        finally:
            if engine is None:
                own.close()


def complete(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """A completion of the usual request with these `fields` changed, at once."""
    answer = client.post("/v1/chat/completions", json=ASKED | fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def stream(client: httpx.Client, **fields: Any) -> list[dict[str, Any]]:
    """The chunks of the same, streamed."""
    answer = client.post("/v1/chat/completions", json=ASKED | {"stream": True} | fields)
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def joined(chunks: list[dict[str, Any]], name: str) -> str:
    """The text of one field, joined over the chunks."""
    return "".join(chunk["choices"][0]["delta"].get(name, "") for chunk in chunks if chunk["choices"])


def refused(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error in an answer, checked to have OpenAI's shape and this status."""
    assert answer.status_code == status, answer.text
    error = dict(answer.json()["error"])
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error
