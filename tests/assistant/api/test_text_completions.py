"""`/v1/completions` continues a text or token ids as they are, and stores nothing."""

import json
from typing import Any

import httpx
import pytest
from helpers.fake_api import fake_api
from helpers.fake_chat import FakeChat

SAID = "The answer is **632**."


async def posted(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    body = {"model": "thumbtune", "prompt": "347 + 285", "max_tokens": 100} | fields
    return await client.post("/v1/completions", json=body)


@pytest.mark.parametrize("prompt", ["347 + 285", ["347 + 285"], [ord(letter) for letter in "347 + 285"]])
@pytest.mark.parametrize("echo", [False, True])
async def test_a_text_is_continued_whole_and_streamed(chat: FakeChat, prompt: Any, echo: bool) -> None:
    async with fake_api(chat) as client:
        whole = (await posted(client, prompt=prompt, echo=echo)).json()
        lines = (
            await posted(
                client, prompt=prompt, echo=echo, stream=True, stream_options={"include_usage": True}
            )
        ).text
    choice = whole["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == (("347 + 285" if echo else "") + SAID, "stop")
    assert (whole["object"], whole["usage"]["prompt_tokens"]) == ("text_completion", 9)
    *chunks, done = [line.removeprefix("data: ") for line in lines.split("\n\n") if line]
    assert done == "[DONE]"
    parts = [json.loads(chunk) for chunk in chunks]
    assert "".join(choice["text"] for part in parts for choice in part["choices"]) == choice["text"]
    assert parts[-1]["usage"] == whole["usage"]
    assert parts[-2]["choices"][0]["finish_reason"] == "stop"
    assert chat.owners == {}


@pytest.mark.parametrize("letters", [1, 3, None])
async def test_a_stop_text_and_log_probabilities_end_at_the_same_token(
    chat: FakeChat, letters: int | None
) -> None:
    chat.letters_at_once = letters
    async with fake_api(chat) as client:
        completion = (await posted(client, stop=" is **", logprobs=0)).json()
    choice = completion["choices"][0]
    assert choice["text"] == "The answer"
    assert "".join(choice["logprobs"]["tokens"]) == "The answer"
    assert choice["logprobs"]["text_offset"] == list(range(10))
    assert completion["usage"]["completion_tokens"] == 10


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["one", "two"]}, "prompt"),
        ({"n": 2}, "n"),
        ({"suffix": "end"}, "suffix"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"temperature": -1}, "temperature"),
    ],
)
async def test_what_is_not_supported_is_refused_by_its_name(
    chat: FakeChat, fields: dict[str, Any], param: str
) -> None:
    async with fake_api(chat) as client:
        answer = await posted(client, **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_an_error_comes_with_its_status(chat: FakeChat) -> None:
    async with fake_api(chat) as client:
        assert (await posted(client, prompt="broken please")).status_code == 503
        assert (await posted(client, model="gpt-4")).status_code == 404
        assert (await client.post("/v1/feedback", json={"id": "cmpl-1", "value": 1})).status_code == 404
