"""Replies from another server: a stand-in for vLLM, and transformers' own server in a slow test."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from helpers.changed_version import DAMAGES, with_weights
from helpers.listening import is_healthy, listening
from helpers.running_app import free_port
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from assistant.bases.base import STARTER_FOLDER
from assistant.chat.chat import Chat
from assistant.chat.token_steps import token_steps
from assistant.errors import (
    EngineBusy,
    EngineError,
    FormatRefused,
    ModelError,
    NoTokens,
    TooLong,
    UnknownModel,
    VersionError,
)
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Version, Versions
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.engine import Engine
from assistant.serving.remote.remote_engine import RemoteEngine, name_on_server
from assistant.serving.transformers_engine import TransformersEngine
from feedback_store import FeedbackStore

GREEDY = Sampling(temperature=0.0, max_new_tokens=12)
HELLO = [{"role": "user", "content": "Hello"}]


@dataclass
class FakeVllm:
    """Answers as vLLM does: adapters are loaded by name, prompts are token ids, and so are answers."""

    says: list[int]
    models: set[str] = field(default_factory=lambda: {"starter"})
    loads: list[dict[str, str]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    status: int = 200
    loads_adapters: bool = True
    texts_only: Callable[[list[int]], str] | None = None
    broken_off: bool = False
    longest: int | None = None
    owner: str | None = None
    left: threading.Event = field(default_factory=threading.Event)

    async def list_models(self, request: Request) -> Response:
        self.keys.append(request.headers.get("authorization"))
        limit = {} if self.longest is None else {"max_model_len": self.longest}
        owner = {} if self.owner is None else {"owned_by": self.owner}
        data = [{"id": name, **limit, **owner} for name in sorted(self.models)]
        return JSONResponse({"object": "list", "data": data})

    async def load(self, request: Request) -> Response:
        if not self.loads_adapters:
            return JSONResponse({"error": "not allowed"}, status_code=404)
        adapter = await request.json()
        self.loads.append(adapter)
        self.models.add(adapter["lora_name"])
        return Response("Success")

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        if self.status != 200:
            message = f"The model {body['model']} does not answer now."
            return JSONResponse({"error": {"message": message}}, status_code=self.status)
        if self.texts_only and not isinstance(body["prompt"], str):
            return JSONResponse({"detail": "prompt must be a string."}, status_code=400)
        if self.texts_only and "return_token_ids" in body:
            return JSONResponse({"detail": "Unexpected fields: return_token_ids"}, status_code=422)
        self.requests.append(body)
        assert body["model"] in self.models
        return StreamingResponse(self._events(body), media_type="text/event-stream")

    async def _events(self, body: dict[str, Any]) -> AsyncIterator[str]:
        try:
            ids = self.says[: body["max_tokens"]]
            for number, token in enumerate(ids):
                if self.broken_off and number == 2:
                    return
                last = "length" if len(ids) < len(self.says) else "stop"
                choice: dict[str, Any] = {"finish_reason": last if token is ids[-1] else None}
                if self.texts_only:
                    choice["text"] = self.texts_only(ids[: number + 1])[len(self.texts_only(ids[:number])) :]
                else:
                    choice |= {"text": "?", "token_ids": [token]}
                yield f"data: {json.dumps({'choices': [choice]})}\n\n"
                await asyncio.sleep(0.01)
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.left.set()
            raise


def application_of(fake: FakeVllm) -> Starlette:
    return Starlette(
        routes=[
            Route("/v1/models", fake.list_models),
            Route("/v1/load_lora_adapter", fake.load, methods=["POST"]),
            Route("/v1/completions", fake.complete, methods=["POST"]),
        ]
    )


@dataclass
class Remote:
    """An engine over the stand-in."""

    fake: FakeVllm
    engine: RemoteEngine
    versions: Versions
    url: str


@pytest.fixture
def remote(home: Path) -> Iterator[Remote]:
    versions, fake = Versions(home), FakeVllm([])
    version = version_to_serve(home, "starter")
    with listening(application_of(fake)) as url:
        engine = RemoteEngine(versions, version, f"{url}/v1/", key="sk-there")
        with engine.lease() as served:
            ids = prompt.completion(served.tokenizer, "", "The answer is 19.", think=False)
        fake.says = ids
        try:
            yield Remote(fake, engine, versions, url)
        finally:
            engine.close()


async def tokens_of(engine: Engine, sampling: Sampling = GREEDY) -> tuple[list[int], str | None]:
    with engine.lease() as served:
        ids = prompt.render(served.tokenizer, HELLO, think=False)
        chunks = [chunk async for chunk in served.stream(ids, sampling)]
    return [token for chunk in chunks for token in chunk.token_ids], chunks[-1].finish_reason


def copy_of(version: Version, versions: Versions) -> Version:
    with versions.staging() as folder:
        for name in version.manifest.files:
            shutil.copy(version.folder / name, folder / name)
        manifest = replace(version.manifest, id=versions.next_id(), parent=version.id)
        return versions.add(manifest, folder)


async def test_a_version_is_loaded_under_its_own_name_and_prompted_by_token_ids(remote: Remote) -> None:
    assert await tokens_of(remote.engine) == (remote.fake.says, "end")
    name = name_on_server(remote.engine.version)
    assert remote.fake.loads == [
        {"lora_name": name, "lora_path": str(remote.engine.version.folder.resolve())}
    ]
    (request,) = remote.fake.requests
    with remote.engine.lease() as served:
        assert request["prompt"] == prompt.render(served.tokenizer, HELLO, think=False)
    assert (request["model"], request["max_tokens"], request["stream"]) == (name, 12, True)
    assert set(remote.fake.keys) == {"Bearer sk-there"}


async def test_only_settings_that_were_asked_for_reach_the_server(remote: Remote) -> None:
    await tokens_of(remote.engine)
    assert not {"top_k", "stop", "min_tokens", "ignore_eos", "logprobs"} & set(remote.fake.requests[0])
    drawn = Sampling(
        0.5,
        0.9,
        7,
        20,
        seed=3,
        stop=("x",),
        min_tokens=2,
        ignore_eos=True,
        logprobs=1,
        min_p=0.1,
        presence_penalty=0.5,
    )
    await tokens_of(remote.engine, drawn)
    expected = {"temperature": 0.5, "top_p": 0.9, "top_k": 7, "max_tokens": 20, "seed": 3, "logprobs": 1}
    expected |= {"min_p": 0.1, "presence_penalty": 0.5, "min_tokens": 2, "ignore_eos": True}
    assert expected.items() <= remote.fake.requests[1].items()


@pytest.mark.parametrize(
    ("owner", "fields"),
    [
        ("vllm", {"structured_outputs": {"json": {"type": "object"}}}),
        ("llamacpp", {"json_schema": {"type": "object"}}),
    ],
)
async def test_a_schema_goes_into_the_servers_own_field(
    home: Path, owner: str, fields: dict[str, Any]
) -> None:
    fake = FakeVllm([5, 6], owner=owner)
    with listening(application_of(fake)) as url:
        engine = RemoteEngine(Versions(home), version_to_serve(home, "starter"), url)
        formatted = replace(GREEDY, schema='{"type": "object"}')
        try:
            with engine.lease() as served:
                for _ in range(2):
                    await asyncio.to_thread(served.check_schema, '{"type": "object"}')
                await tokens_of(engine, formatted)
                # It is asked once whether it can, by one token.
                assert [request["max_tokens"] for request in fake.requests] == [1, 12]
                assert all(fields.items() <= request.items() for request in fake.requests)
                for status, error in ((400, FormatRefused), (503, EngineError)):
                    fake.status = status
                    with pytest.raises(error, match=r"does not answer now"):
                        await asyncio.to_thread(served.check_schema, '{"type": "array"}')
        finally:
            engine.close()


def test_a_server_of_an_unknown_kind_is_not_trusted_with_a_schema(remote: Remote) -> None:
    with remote.engine.lease() as served, pytest.raises(FormatRefused, match="may ignore a format"):
        served.check_schema("{}")


async def test_a_server_that_takes_only_text_gets_the_same_prompt_as_text(remote: Remote) -> None:
    with remote.engine.lease() as served:
        tokenizer = served.tokenizer
    remote.fake.texts_only = lambda ids: prompt.decode(tokenizer, ids)
    for _ in range(2):
        tokens, reason = await tokens_of(remote.engine)
        assert prompt.decode(tokenizer, tokens) == "The answer is 19."
        assert reason == "end"
    assert len(remote.fake.requests) == 2
    assert remote.fake.requests[0]["prompt"].endswith("<think>\n\n</think>\n\n")


async def test_a_release_is_loaded_and_a_reply_in_flight_stays_with_its_version(remote: Remote) -> None:
    second = copy_of(remote.engine.version, remote.versions)
    with remote.engine.lease() as before:
        remote.versions.release(second.id)
        async with asyncio.timeout(60):
            while remote.engine.version.id != "v2":
                await asyncio.sleep(0.05)
        assert before.version.id == "v1"
    await tokens_of(remote.engine)
    assert remote.fake.requests[-1]["model"] == name_on_server(second)


async def test_a_damaged_adapter_is_refused_before_the_server_hears_of_it(remote: Remote) -> None:
    first = remote.engine.version
    bad = [with_weights(first, remote.versions, change) for change, _ in DAMAGES.values()]
    loads = len(remote.fake.loads)
    for version, (_, message) in zip(bad, DAMAGES.values(), strict=True):
        with pytest.raises(VersionError, match=message):
            remote.engine.prepare(version.id)
    assert len(remote.fake.loads) == loads
    assert (await tokens_of(remote.engine))[1] == "end"


async def test_two_versions_have_two_names_on_the_server(remote: Remote) -> None:
    second = copy_of(remote.engine.version, remote.versions)
    assert remote.engine.versions == ["v1", "v2"]
    for version_id in ("v2", "v1", None, "v2"):
        with remote.engine.lease(version_id) as served:
            assert [chunk async for chunk in served.stream([5, 6], GREEDY)]
    first, beside = name_on_server(remote.engine.version), name_on_server(second)
    assert [request["model"] for request in remote.fake.requests] == [beside, first, first, beside]
    assert [load["lora_name"] for load in remote.fake.loads] == [first, beside]
    with pytest.raises(UnknownModel, match="v9 does not serve"), remote.engine.lease("v9"):
        pass


@pytest.mark.parametrize(("status", "error"), [(429, EngineBusy), (500, EngineError), (401, EngineError)])
async def test_a_refusal_of_the_server_is_an_error(
    remote: Remote, status: int, error: type[Exception]
) -> None:
    remote.fake.status = status
    with pytest.raises(error):
        await tokens_of(remote.engine)
    remote.fake.status = 200
    assert (await tokens_of(remote.engine))[1] == "end"


async def test_a_refusal_does_not_show_the_path_that_the_model_is_called_by_there(home: Path) -> None:
    name = "/srv/secret-place/models/Some-1B"
    with listening(application_of(FakeVllm([], models={name}, status=404))) as url:
        engine = RemoteEngine(Versions(home), version_to_serve(home, "starter"), url, model=name)
        try:
            with pytest.raises(EngineError, match="The model Some-1B does not answer now"):
                await tokens_of(engine)
        finally:
            engine.close()


async def test_an_answer_that_is_broken_off_is_an_error(remote: Remote) -> None:
    remote.fake.broken_off = True
    with pytest.raises(EngineError, match="broke off"):
        await tokens_of(remote.engine)


async def test_a_limit_is_kept_and_a_prompt_over_the_window_refused(remote: Remote) -> None:
    tokens, reason = await tokens_of(remote.engine, replace(GREEDY, max_new_tokens=2))
    assert (len(tokens), reason) == (2, "length")
    with remote.engine.lease() as served, pytest.raises(TooLong):
        await anext(served.stream([1] * 5000, GREEDY))


@pytest.mark.parametrize(
    ("longest", "configured", "window"), [(64, 1024, 64), (4096, 1024, 1024), (64, None, 64)]
)
def test_the_window_is_the_shorter_of_the_models_and_the_servers(
    home: Path, tmp_path: Path, longest: int, configured: int | None, window: int
) -> None:
    folder = tmp_path / "base"
    shutil.copytree(STARTER_FOLDER / "base", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": configured}))
    versions, version = Versions(home), version_to_serve(home, str(folder))
    with listening(application_of(FakeVllm([], longest=longest))) as url:
        engine = RemoteEngine(versions, version, url, model="starter")
        with engine.lease() as served:
            assert served.window == window
        engine.close()


def test_a_model_of_which_nobody_says_its_window_is_refused(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(STARTER_FOLDER / "base", folder)
    (folder / "config.json").write_text("{}")
    versions, version = Versions(home), version_to_serve(home, str(folder))
    with (
        listening(application_of(FakeVllm([]))) as url,
        pytest.raises(ModelError, match="max_position_embeddings in its config"),
    ):
        RemoteEngine(versions, version, url, model="starter")


async def test_a_reply_cannot_be_read_again_token_by_token(remote: Remote, tmp_path: Path) -> None:
    with FeedbackStore.open(tmp_path / "feedback.db") as store:
        chat = Chat(store, remote.engine, GREEDY)
        last = [update async for update in chat.reply("Hello", think=False, rater="ann")][-1]
        with pytest.raises(NoTokens, match=r"http://127.0.0.1:\d+, which cannot read them again"):
            token_steps(store.reply(last.reply_id), remote.engine)


async def test_closing_a_reply_closes_the_connection(remote: Remote) -> None:
    remote.fake.says = remote.fake.says[:1] * 3000
    with remote.engine.lease() as served:
        stream = served.stream([5, 6], replace(GREEDY, max_new_tokens=900))
        await anext(stream)
        await stream.aclose()
    async with asyncio.timeout(60):
        while not remote.fake.left.is_set():
            await asyncio.sleep(0.02)


async def test_a_chat_over_another_server_stores_its_token_ids(remote: Remote, tmp_path: Path) -> None:
    with FeedbackStore.open(tmp_path / "feedback.db") as store:
        chat = Chat(store, remote.engine, GREEDY)
        last = [update async for update in chat.reply("Hello", think=False, rater="ann")][-1]
        assert last.answer == "The answer is 19."
        assert store.reply(last.reply_id).completion_ids == remote.fake.says
        assert chat.about == "v1 · starter · 4.9M"


def test_the_error_names_a_server_that_cannot_be_used(home: Path) -> None:
    versions, version = Versions(home), version_to_serve(home, "starter")
    with pytest.raises(EngineError, match=r"http://127.0.0.1:\d+ cannot be used"):
        RemoteEngine(versions, version, f"http://127.0.0.1:{free_port()}")
    with listening(application_of(FakeVllm([], loads_adapters=False))) as url:
        with pytest.raises(ModelError, match=r"would not load the adapter.*--enable-lora"):
            RemoteEngine(versions, version, url)
        with pytest.raises(ModelError, match=r"no model 'mine': it has starter"):
            RemoteEngine(versions, version, url, model="mine")


@pytest.mark.slow
async def test_transformers_own_server_writes_what_the_local_engine_writes(
    home: Path, tmp_path: Path
) -> None:
    versions = Versions(home)
    version = version_to_serve(home, str(STARTER_FOLDER / "base"))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    log = tmp_path / "serve.log"
    with log.open("w") as output:
        arguments = [
            "serve",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--device",
            "cpu",
            "--dtype",
            "float32",
        ]
        server = subprocess.Popen(
            [sys.executable, "-c", command, *arguments], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 240
        while not is_healthy(url):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        remote_engine, local_engine = (
            RemoteEngine(versions, version, url),
            TransformersEngine(versions, version),
        )
        try:
            tokenizer = local_engine._released.tokenizer
            remotely = prompt.decode(tokenizer, (await tokens_of(remote_engine))[0])
            locally = prompt.decode(tokenizer, (await tokens_of(local_engine))[0])
            assert remotely == locally
        finally:
            remote_engine.close()
            local_engine.close()
    finally:
        server.terminate()
        server.wait(timeout=60)
