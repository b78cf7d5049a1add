"""What clients send out of habit is served: over scripted answers, without a model."""

import asyncio
from typing import Any

import pytest
from helpers.fake_api import completed, fake_api, streamed
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


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {}}}
TALK_WITH_TOOL = [
    {"role": "user", "content": "Is it warm in Rome?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "31 degrees"},
]


async def test_a_system_message_after_the_last_question_is_read_before_it(chat: FakeChat) -> None:
    rule = {"role": "system", "content": "Be brief."}
    async with fake_api(chat) as client:
        first = await completed(client, messages=[{"role": "user", "content": "hello"}, rule])
        answer = first["choices"][0]["message"]
        more = [{"role": "user", "content": "hello"}, rule, answer, {"role": "user", "content": "and now?"}]
        second = await completed(client, messages=more)
    path = chat.store.path(second["id"].removeprefix("chatcmpl-"))
    assert [message.role for message in path] == ["system", "user", "assistant", "user", "assistant"]
    assert path[2].id == first["id"].removeprefix("chatcmpl-")


async def test_tools_that_need_not_be_called_change_nothing(chat: FakeChat) -> None:
    async with fake_api(chat) as client:
        # Open WebUI offers its own tools with each message.
        for fields in ({}, {"tool_choice": "auto"}, {"tool_choice": "none"}):
            await completed(client, "hello", tools=[TOOL], **fields)
        await completed(client, "hello", functions=[TOOL["function"]], function_call="auto")
        await completed(client, "hello", functions=[TOOL["function"]], function_call="none")


async def test_a_history_with_tools_is_text_for_a_model_that_knows_them(
    chat: FakeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fake_api(chat) as client:
        body = {"model": "thumbtune", "messages": TALK_WITH_TOOL}
        refusal = await client.post("/v1/chat/completions", json=body)
        assert refusal.status_code == 400
        assert "has not been taught to use tools" in refusal.json()["error"]["message"]
        assert chat.owners == {}
        chat.template = "{% if tools %}"
        completion = await completed(client, messages=TALK_WITH_TOOL)
    path = chat.store.path(completion["id"].removeprefix("chatcmpl-"))
    assert [(message.role, message.content) for message in path[:3]] == [
        ("user", "Is it warm in Rome?"),
        ("assistant", 'Call of weather: {"city": "Rome"}'),
        ("user", "Result of weather: 31 degrees"),
    ]
    assert chat.store.verify() == []


@pytest.mark.parametrize("prefill", ["The answer", "The answer ", "The "])
@pytest.mark.parametrize("fields", [{}, {"stop": "answer"}, {"continue_final_message": True}])
async def test_an_answer_that_the_client_began_goes_on(
    chat: FakeChat, prefill: str, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The scripted model says its whole answer again, whatever it begins with.
    monkeypatch.setattr("helpers.fake_chat.FakeServed._message", lambda self, prompt: "347 + 285")
    said = "The answer is **632**."
    async with fake_api(chat) as client:
        completion = await completed(client, "347 + 285", prefill, **fields)
        chunks = await streamed(client, "347 + 285", prefill, **fields)
    message = completion["choices"][0]["message"]
    expected = said.partition("answer")[0].rstrip() if "stop" in fields else said
    assert message["content"] == expected
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == expected
    reply = chat.store.reply(completion["id"].removeprefix("chatcmpl-"))
    assert (reply.answer, reply.think) == ((prefill + expected).strip(), False)
    assert reply.sampling["beginning"] == len(prefill)
    assert completion["usage"]["prompt_tokens"] == len(reply.prompt_ids) + len(prefill)
    assert completion["usage"]["completion_tokens"] == len(reply.completion_ids) - len(prefill)
    assert completion["usage"]["completion_tokens"] <= len(said) + 1


async def test_several_choices_are_replies_to_one_message(chat: FakeChat) -> None:
    async with fake_api(chat) as client:
        completion = await completed(client, "347 + 285", n=3, seed=5, user="ann")
        choices = completion["choices"]
        assert [choice["index"] for choice in choices] == [0, 1, 2]
        assert {choice["message"]["content"] for choice in choices} == {"The answer is **632**."}
        ids = [completion["id"], *(choice["reply_id"] for choice in choices[1:])]
        replies = [chat.store.reply(name.removeprefix("chatcmpl-")) for name in ids]
        assert len({reply.parent_id for reply in replies}) == 1
        assert [reply.seed for reply in replies] == [5, 6, 7]
        assert completion["usage"]["completion_tokens"] == sum(len(reply.completion_ids) for reply in replies)
        vote = {"id": ids[2], "value": 1, "user": "ann"}
        assert (await client.post("/v1/feedback", json=vote)).status_code == 200

        chunks = await streamed(client, "347 + 285", n=2, stream_options={"include_usage": True})
        for index in (0, 1):
            parts = [
                choice["delta"].get("content", "")
                for chunk in chunks
                for choice in chunk["choices"]
                if choice["index"] == index
            ]
            assert "".join(parts) == "The answer is **632**."
        assert len({chunk["id"] for chunk in chunks}) == 1
        assert chunks[-1]["usage"]["completion_tokens"] == 2 * completion["usage"]["completion_tokens"] / 3


async def test_choices_end_together_if_one_fails(chat: FakeChat) -> None:
    async with fake_api(chat) as client:
        body = {"model": "thumbtune", "messages": [{"role": "user", "content": "broken please"}], "n": 2}
        answer = await client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 503
    async with asyncio.timeout(20):
        # The second is stored by a thread that the request does not wait for.
        while len(chat.finished) < 2:
            await asyncio.sleep(0.01)
    assert set(chat.finished.values()) <= {"error", "stopped"}
