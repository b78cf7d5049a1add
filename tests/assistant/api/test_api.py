"""The OpenAI-compatible API with the starter: models, completions, conversations, feedback and keys."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.api_server import ASKED, QUESTION, Serving, complete, joined, refused, serving_api, stream
from helpers.changed_version import changed
from helpers.running_app import running_app

from assistant.auth.pseudonyms import Raters
from assistant.registry.versions import Versions
from assistant.serving import prompt

# Models and health


def test_the_alias_and_the_serving_version_are_models(client: httpx.Client) -> None:
    models = client.get("/v1/models").json()
    assert [model["id"] for model in models["data"]] == ["thumbtune", "v1"]
    assert client.get("/v1/models/v1").json()["max_model_len"] == 1024
    assert refused(client.get("/v1/models/v9"), 404)["code"] == "model_not_found"
    assert client.get("/health").json() == {"status": "ok", "version": "v1"}


# Completions


def test_a_completion_is_stored_under_its_id_with_exactly_its_tokens(
    api: Serving, client: httpx.Client
) -> None:
    completion = complete(client, chat_template_kwargs={"enable_thinking": True})
    reply = api.store.reply(completion["id"].removeprefix("chatcmpl-"))
    message = completion["choices"][0]["message"]
    assert (reply.answer, reply.thought) == (message["content"], message["reasoning_content"])
    assert completion["usage"] == {
        "prompt_tokens": len(reply.prompt_ids),
        "completion_tokens": len(reply.completion_ids),
        "total_tokens": len(reply.prompt_ids) + len(reply.completion_ids),
    }
    assert (completion["system_fingerprint"], completion["model"]) == ("v1", "thumbtune")


def test_a_streamed_completion_equals_a_whole_one(client: httpx.Client) -> None:
    whole = complete(client)["choices"][0]
    chunks = stream(client)
    assert joined(chunks, "content") == whole["message"]["content"]
    assert joined(chunks, "reasoning_content") == whole["message"]["reasoning_content"]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["finish_reason"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all("usage" not in chunk for chunk in chunks)


def test_usage_comes_last_if_it_is_requested(client: httpx.Client) -> None:
    chunks = stream(client, stream_options={"include_usage": True})
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == complete(client)["usage"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


@pytest.mark.parametrize(
    ("fields", "thinks"),
    [
        ({}, True),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "low"}, True),
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
        ({"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "high"}, False),
    ],
)
def test_thinking_is_switched_as_clients_do(
    api: Serving, client: httpx.Client, fields: dict[str, Any], thinks: bool
) -> None:
    completion = complete(client, **fields, max_tokens=10)
    assert api.store.reply(completion["id"].removeprefix("chatcmpl-")).think is thinks


def test_a_seed_repeats_its_completion(client: httpx.Client) -> None:
    hot = {"temperature": 1.5, "top_p": 0.95, "top_k": 50, "max_tokens": 20, "reasoning_effort": "none"}
    answers = [
        complete(client, **hot, seed=seed)["choices"][0]["message"]["content"] for seed in (1, 1, 2, 3, 4)
    ]
    assert answers[0] == answers[1]
    assert len(set(answers)) > 1


def test_a_fixed_length_overrides_the_models_end(client: httpx.Client) -> None:
    fixed = {"max_tokens": 150, "ignore_eos": True}
    completion = complete(client, **fixed)
    assert (completion["usage"]["completion_tokens"], completion["choices"][0]["finish_reason"]) == (
        150,
        "length",
    )
    short = complete(client, reasoning_effort="none")["usage"]["completion_tokens"]
    longer = complete(client, reasoning_effort="none", min_tokens=short + 5)
    assert longer["usage"]["completion_tokens"] >= short + 5


def test_a_limit_ends_the_completion_under_both_names(client: httpx.Client) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        completion = complete(client, **{name: 3})
        assert (completion["usage"]["completion_tokens"], completion["choices"][0]["finish_reason"]) == (
            3,
            "length",
        )


def test_a_stop_text_ends_the_completion_and_is_never_shown(client: httpx.Client) -> None:
    plain = {"reasoning_effort": "none"}
    whole = complete(client, **plain)["choices"][0]["message"]["content"]
    stop = whole[len(whole) // 2 : len(whole) // 2 + 3]
    expected = whole[: whole.index(stop)].strip()
    completion = complete(client, **plain, stop=[stop, "never said"])["choices"][0]
    assert (completion["message"]["content"], completion["finish_reason"]) == (expected, "stop")
    assert joined(stream(client, **plain, stop=stop), "content") == expected


def test_log_probabilities_come_for_each_token_and_the_likeliest_is_the_greedy_one(
    client: httpx.Client,
) -> None:
    completion = complete(client, logprobs=True, top_logprobs=3, max_tokens=8)
    tokens = completion["choices"][0]["logprobs"]["content"]
    assert len(tokens) == completion["usage"]["completion_tokens"] == 8
    for token in tokens:
        assert token["logprob"] <= 0
        assert len(token["top_logprobs"]) == 3
        assert token["top_logprobs"][0]["token"] == token["token"]
        assert token["top_logprobs"][0]["logprob"] == token["logprob"]
    streamed = stream(client, logprobs=True, top_logprobs=3, max_tokens=8)
    parts = [chunk["choices"][0]["logprobs"] for chunk in streamed]
    assert [item for part in parts if part for item in part["content"]] == tokens
    assert complete(client, max_tokens=2)["choices"][0]["logprobs"] is None


def test_content_in_parts_and_a_developers_message_are_read(api: Serving, client: httpx.Client) -> None:
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": "12 + 7?"}]
    completion = complete(
        client,
        messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}],
        max_tokens=4,
    )
    path = api.store.path(completion["id"].removeprefix("chatcmpl-"))
    assert [(item.role, item.content) for item in path[:2]] == [
        ("system", "Be brief."),
        ("user", "What is\n12 + 7?"),
    ]


# Conversations


def test_a_transcript_continues_the_conversation_that_it_repeats(api: Serving, client: httpx.Client) -> None:
    completion = complete(client, user="continues")
    answer = {"role": "assistant", "content": completion["choices"][0]["message"]["content"]}
    more = [QUESTION, answer, {"role": "user", "content": "and plus 5?"}]
    second = complete(client, messages=more, user="continues")
    path = api.store.path(second["id"].removeprefix("chatcmpl-"))
    assert [item.id for item in path][1] == completion["id"].removeprefix("chatcmpl-")
    assert len(path) == 4
    other = complete(client, messages=more, user="somebody else")
    assert api.store.path(other["id"].removeprefix("chatcmpl-"))[1].id != path[1].id


def test_the_same_request_again_makes_a_sibling(api: Serving, client: httpx.Client) -> None:
    ids = [complete(client, user="again", max_tokens=3)["id"].removeprefix("chatcmpl-") for _ in range(2)]
    assert api.store.reply(ids[0]).parent_id == api.store.reply(ids[1]).parent_id
    assert set(api.store.siblings(ids[0])) == set(ids)


def test_an_assistant_message_that_the_client_wrote_is_stored_as_the_clients(
    api: Serving, client: httpx.Client
) -> None:
    put = [QUESTION, {"role": "assistant", "content": "Ninety."}, {"role": "user", "content": "Sure?"}]
    path = api.store.path(complete(client, messages=put, max_tokens=3)["id"].removeprefix("chatcmpl-"))
    assert path[1].content == "Ninety."
    assert path[1].reply is not None
    assert (path[1].reply.version, path[1].reply.completion_ids) == ("client", [])
    assert api.store.verify() == []


def test_a_long_conversation_loses_its_oldest_turns_and_says_so(client: httpx.Client) -> None:
    long = []
    for number in range(60):
        long += [
            {"role": "user", "content": f"Question {number}: what is {number} + 12345?"},
            {"role": "assistant", "content": f"{number} + 12345 = {number + 12345}."},
        ]
    completion = complete(client, messages=[*long, QUESTION], max_tokens=10)
    assert 0 < completion["dropped_messages"] < 120
    assert completion["usage"]["total_tokens"] <= 1024
    assert "dropped_messages" not in complete(client, max_tokens=3)


# Feedback


def test_a_completion_can_be_rated_and_corrected(api: Serving, client: httpx.Client) -> None:
    completion = complete(client, user="ann")
    body = {
        "id": completion["id"],
        "value": -1,
        "reasons": ["wrong"],
        "comment": "no",
        "correction": "19",
        "user": "ann",
    }
    answer = client.post("/v1/feedback", json=body)
    assert answer.json() == {"object": "feedback", "id": completion["id"], "value": -1}
    reply_id = completion["id"].removeprefix("chatcmpl-")
    (rating,) = [vote for vote, reply in api.store.ratings() if reply.id == reply_id]
    assert (rating.value, rating.reasons, rating.comment) == (-1, ("wrong",), "no")
    correction = api.store.correction(reply_id, rating.rater)
    assert correction is not None
    assert correction.text == "19"
    assert client.post("/v1/feedback", json={"id": reply_id, "value": 1, "user": "ann"}).status_code == 200
    assert [vote.value for vote, reply in api.store.ratings() if reply.id == reply_id] == [1]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"id": "chatcmpl-nobody", "value": 1}, 404, "id"),
        ({"value": 1}, 400, "id"),
        ({"id": "x", "value": 2}, 400, "value"),
        ({"id": "x", "value": "1"}, 400, "value"),
        ({"id": "x"}, 400, "value"),
        ({"id": "x", "value": 1, "reasons": "wrong"}, 400, "reasons"),
        ({"id": "x", "value": 1, "reasons": ["wrong"]}, 400, "reasons"),
        ({"id": "x", "value": -1, "reasons": ["wrong", "boring"], "correction": "19"}, 400, "reasons"),
        ({"id": "x", "value": 0, "reasons": ["other"]}, 400, "reasons"),
        ([], 400, None),
    ],
)
def test_invalid_feedback_is_refused(client: httpx.Client, body: Any, status: int, param: str | None) -> None:
    assert refused(client.post("/v1/feedback", json=body), status)["param"] == param


def test_another_persons_reply_cannot_be_corrected(client: httpx.Client) -> None:
    completion = complete(client, user="ann", max_tokens=3)
    body = {"id": completion["id"], "correction": "mine", "user": "bob"}
    assert refused(client.post("/v1/feedback", json=body), 404)["code"] == "reply_not_found"


# Keys


def test_with_keys_only_their_holders_are_served_and_the_store_never_sees_them(
    api: Serving, tmp_path: Path
) -> None:
    with serving_api(tmp_path / "keys", ("sk-right", "sk-ä"), engine=api.engine) as guarded:
        for header in ({}, {"authorization": "Bearer sk-wrong"}, {"authorization": "sk-right"}):
            for path in ("/v1/models", "/v1/models/v1"):
                error = refused(httpx.get(guarded.url + path, headers=header), 401)
                assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")
        assert httpx.get(f"{guarded.url}/health").status_code == 200
        for key in ("sk-right", "sk-ä"):
            headers = {"authorization": f"Bearer {key}".encode()}
            completion = httpx.post(
                f"{guarded.url}/v1/chat/completions",
                json=ASKED | {"max_tokens": 3},
                headers=headers,
                timeout=60,
            ).json()
            body = {"id": completion["id"], "value": 1}
            assert httpx.post(f"{guarded.url}/v1/feedback", json=body, headers=headers).status_code == 200
        raters = {vote.rater for vote, _ in guarded.store.ratings()}
        assert len(raters) == 2
        files = [file for file in (tmp_path / "keys").iterdir() if file.is_file()]
        assert not [file for file in files if b"sk-right" in file.read_bytes()]


def test_each_caller_has_a_pseudonym_that_belongs_to_one_home(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    here, elsewhere = Raters(tmp_path / "one"), Raters(tmp_path / "two")
    assert here.pseudonym("key", "ann") == Raters(tmp_path / "one").pseudonym("key", "ann")
    callers = [("key", "ann"), ("key", "bob"), ("other", "ann"), ("key", None), (None, "ann"), ("keyan", "n")]
    assert len({here.pseudonym(*caller) for caller in callers}) == len(callers)
    assert here.pseudonym("key", "ann") != elsewhere.pseudonym("key", "ann")
    assert "key" not in here.pseudonym("key", "ann")
    assert (tmp_path / "one" / "raters.secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["😀", "漢字かな", "e\u0301\u200d🏳️‍🌈", "\ufffd"])
def test_characters_of_many_tokens_come_whole(client: httpx.Client, text: str) -> None:
    request = {"messages": [{"role": "user", "content": f"{text} {text}"}], "temperature": 5.0}
    whole = complete(client, **request, seed=1, max_tokens=40)["choices"][0]["message"]
    chunks = stream(client, **request, seed=1, max_tokens=40)
    assert joined(chunks, "content") == whole["content"]
    assert joined(chunks, "reasoning_content") == whole.get("reasoning_content", "")


def test_a_version_can_be_named(client: httpx.Client) -> None:
    assert complete(client, model="v1", max_tokens=2)["model"] == "v1"


def test_every_version_that_can_chat_is_a_model_with_its_own_answers(tmp_path: Path) -> None:
    with serving_api(tmp_path / "two") as api, httpx.Client(base_url=api.url, timeout=60) as client:
        versions = Versions(api.home)
        changed(api.engine.version, versions, 8.0)
        changed(api.engine.version, versions, 1.0, stage="reward")
        broken = changed(api.engine.version, versions, 2.0)
        assert [item["id"] for item in client.get("/v1/models").json()["data"]] == [
            "thumbtune",
            "v1",
            "v2",
            "v4",
        ]
        assert client.get("/v1/models/v2").json()["parent"] == "v1"
        assert api.engine.in_memory == ["v1"]
        first, second = (complete(client, model=name, max_tokens=20) for name in ("v1", "v2"))
        assert first["choices"] != second["choices"]
        assert (first["system_fingerprint"], second["system_fingerprint"]) == ("v1", "v2")
        assert api.store.reply(second["id"].removeprefix("chatcmpl-")).version == "v2"
        refused(client.post("/v1/chat/completions", json=ASKED | {"model": "v3"}), 404)
        (broken.folder / "adapter_model.safetensors").write_bytes(b"damaged")
        error = refused(client.post("/v1/chat/completions", json=ASKED | {"model": "v4"}), 503)
        assert (error["param"], error["code"]) == ("model", "model_unavailable")
        assert str(tmp_path) not in error["message"]
        assert complete(client, max_tokens=2)["system_fingerprint"] == "v1"


def test_many_clients_at_once_are_all_answered_alike(client: httpx.Client) -> None:
    alone = complete(client)["choices"][0]["message"]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda _: complete(client)["choices"][0]["message"], range(12)))
    assert together == [alone] * 12


def test_a_request_is_rendered_as_the_prompt_that_training_renders(
    api: Serving, client: httpx.Client
) -> None:
    completion = complete(
        client, max_tokens=3, messages=[{"role": "system", "content": "Be brief."}, QUESTION]
    )
    reply = api.store.reply(completion["id"].removeprefix("chatcmpl-"))
    with api.engine.lease() as served:
        expected = prompt.render(
            served.tokenizer, [{"role": "system", "content": "Be brief."}, QUESTION], think=True
        )
    assert reply.prompt_ids == expected


def test_one_process_serves_the_page_and_the_api_on_one_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THUMBTUNE_API_KEYS", "sk-one, sk-two")
    with (
        running_app(tmp_path / "home") as url,
        httpx.Client(base_url=url, timeout=120, headers={"authorization": "Bearer sk-two"}) as client,
    ):
        assert "gradio" in client.get("/").text.lower()
        # Behind a proxy under a path.
        proxied = {
            "x-forwarded-prefix": "/chat",
            "x-forwarded-host": "chat.example",
            "x-forwarded-proto": "https",
        }
        assert client.get("/config", headers=proxied).json()["root"] == "https://chat.example/chat"
        manifest = client.get("/manifest.json", headers=proxied).json()
        assert manifest["start_url"] == "./"
        assert client.get(f"/{manifest['icons'][0]['src']}").headers["content-type"].startswith("image/svg")
        assert client.get("/health").json() == {"status": "ok", "version": "v1"}
        assert httpx.get(f"{url}/v1/models").status_code == 401
        # The encodings that a browser accepts: the page's compression must not delay or break streams.
        client.headers["accept-encoding"] = "br, gzip"
        chunks = stream(client, max_tokens=8)
        assert len(chunks) > 2
        assert joined(chunks, "reasoning_content") + joined(chunks, "content")
        refused(client.post("/v1/chat/completions", content=b"{"), 415)
        # Around Gradio's own middleware, which would allow any site.
        evil = {"origin": "https://evil.example", "host": "chat.example"}
        refused(client.post("/v1/chat/completions", json=ASKED, headers=evil), 403)
    output = (tmp_path / "app.log").read_text()
    assert "sk-two" not in output
    assert "Traceback" not in output
    assert f"Open {url}/ in a browser" in output and "public" not in output
