"""What clients send out of habit is served: over scripted answers, without a model."""

from typing import Any

import pytest
from helpers.fake_api import completed, fake_api
from helpers.fake_chat import FakeChat

from assistant.sampling_settings import DEFAULT_MAX_NEW_TOKENS
from assistant.serving import context_window


@pytest.mark.parametrize("fields", [{}, {"max_tokens": 4096}, {"max_completion_tokens": 10**12}])
async def test_a_reply_gets_what_the_window_leaves(chat: FakeChat, fields: dict[str, Any]) -> None:
    chat.window = 1024
    async with fake_api(chat) as client:
        completion = await completed(client, "x" * 600, **fields)
    assert completion["choices"][0]["message"]["content"].startswith("You said: xxx")
    assert 1024 - DEFAULT_MAX_NEW_TOKENS < completion["usage"]["prompt_tokens"] < 1024
    assert "dropped_messages" not in completion


async def test_of_a_transcript_of_very_many_messages_the_newest_are_read(
    chat: FakeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_window, "MOST_MESSAGES", 20)
    talk = ["hello", "hi"] * 550
    async with fake_api(chat) as client:
        first = await completed(client, *talk, "347 + 285")
        answer = first["choices"][0]["message"]["content"]
        assert answer == "The answer is **632**."
        assert first["dropped_messages"] >= 1_080
        await completed(client, *talk, "347 + 285", answer, "and now?")
    # It goes on where it was.
    assert len(chat.owners) == 1


async def test_a_conversation_goes_on_after_a_restart(chat: FakeChat) -> None:
    async with fake_api(chat) as client:
        first = await completed(client, "hello", user="ann")
    chat.store.close()
    again = FakeChat(path=chat.path)
    answer = first["choices"][0]["message"]["content"]
    async with fake_api(again) as client:
        await completed(client, "hello", answer, "and now?", user="ann")
        assert len(again.owners) == 1
        repeated = await completed(client, "hello", user="ann")
        assert len(again.owners) == 1
        await completed(client, "hello", user="bob")
        assert len(again.owners) == 2
    parents = [
        again.store.reply(item["id"].removeprefix("chatcmpl-")).parent_id for item in (first, repeated)
    ]
    assert parents[0] == parents[1]


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "/v1//chat/completions", "/v1//chat/completions/"])
async def test_a_slash_too_many_changes_nothing(chat: FakeChat, path: str) -> None:
    async with fake_api(chat) as client:
        body = {"model": "thumbtune", "messages": [{"role": "user", "content": "hello"}]}
        assert (await client.post(path, json=body)).status_code == 200
        assert (await client.get("/v1/models/")).status_code == 200
        answer = await client.delete(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
        for unknown in ("/v1", "/v1/", "/v1/embeddings/"):
            answer = await client.post(unknown, json={})
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")
