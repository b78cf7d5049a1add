"""The engine's interface over any OpenAI-compatible server: vLLM, llama.cpp, transformers serve.

The prompt is rendered here and sent to `/v1/completions`, so that the model reads token for token what it would
read in this process. A version is a model of its own on that server, named after its adapter's content: an
answer can come from no other weights. vLLM loads such an adapter while it runs (`/v1/load_lora_adapter`).
"""

import json
import logging
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from assistant.errors import AssistantError, EngineBusy, EngineError, TooLong, UnknownModel
from assistant.registry.versions import Manifest, Version, Versions
from assistant.serving.loading import Loaded, load_tokenizer, source_of, window_of
from assistant.serving.sampling import Logprob, Sampling
from assistant.serving.transformers_engine import BESIDE, Chunk

log = logging.getLogger(__name__)

PATIENCE = httpx.Timeout(10.0, read=300.0)
"""Seconds to connect, and until the next token."""
CONTROL = httpx.Timeout(10.0, read=120.0)
"""Seconds for loading an adapter."""


class RemoteEngine:
    """Serves the released version of a registry on another server, and follows its releases."""

    def __init__(
        self, versions: Versions, version: Version, url: str, key: str = "", model: str | None = None
    ) -> None:
        """`url`: of the server, with or without `/v1`. `model`: its name for the version, where it has its own.

        Raises EngineError if the server cannot be reached or does not have the version, ModelError if its
        tokenizer cannot be loaded here.
        """
        self._versions = versions
        self._url = url.rstrip("/").removesuffix("/v1")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._model = model
        self._refused = ""
        self._serving = self._open(version)
        self._beside: dict[str, RemoteServed] = {}
        self._opening = threading.Lock()
        self._stop = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="follow-releases", daemon=True)
        self._follower.start()

    @property
    def version(self) -> Version:
        """The version that new replies come from."""
        return self._serving.version

    @property
    def serving(self) -> list[str]:
        """Ids of the versions that a request may name, oldest first. Under a fixed name there is only one."""
        return (
            [self._serving.version.id]
            if self._model is not None
            else [manifest.id for manifest in self._versions.servable()]
        )

    def manifest(self, version_id: str) -> Manifest:
        """What a version is, loaded or not. Raises VersionError if there is none of this name."""
        return self._versions.manifest(version_id)

    @property
    def running(self) -> bool:
        """Whether the server answers now."""
        try:
            return httpx.get(f"{self._url}/v1/models", headers=self._headers, timeout=5.0).is_success
        except httpx.HTTPError:
            return False

    @contextmanager
    def lease(self, version_id: str | None = None) -> Iterator["RemoteServed"]:
        """A version held through one reply, the released one if none is named. Raises as `prepare`."""
        yield self._ready(version_id)

    def prepare(self, version_id: str | None) -> None:
        """Let the server load a version, where it has not yet. None is the released one.

        Raises UnknownModel if there is no such version that can chat, EngineError if the server cannot load it.
        """
        self._ready(version_id)

    def _ready(self, version_id: str | None) -> "RemoteServed":
        with self._opening:
            serving = self._serving
            if version_id in (None, serving.version.id):
                return serving
            name = str(version_id)
            if name not in self.serving:
                raise UnknownModel(f"{name} does not serve here; {', '.join(self.serving)} can.")
            # Made anew at the end: the first is the one that nobody has asked for the longest.
            served = self._beside.pop(name, None) or self._open(self._versions.open(name))
            self._beside[name] = served
            if len(self._beside) > BESIDE:
                del self._beside[next(iter(self._beside))]
            return served

    def close(self) -> None:
        """Follow releases no more. The server and what it has loaded stay as they are."""
        self._stop.set()
        self._follower.join()

    def _open(self, version: Version) -> "RemoteServed":
        from transformers import AutoConfig

        base = version.manifest.base
        name = self._model or name_on_server(version)
        self._make_served(version, name)
        source, revision = source_of(base, self._versions.home)
        config = AutoConfig.from_pretrained(source, trust_remote_code=False, **revision)
        loaded = Loaded(None, load_tokenizer(base, self._versions.home), window_of(config, base.name))
        return RemoteServed(version, loaded, self._url, self._headers, name)

    def _make_served(self, version: Version, name: str) -> None:
        """Raises EngineError unless the server has a model `name`, or loads the version's adapter under it."""
        try:
            with httpx.Client(base_url=self._url, headers=self._headers, timeout=CONTROL) as client:
                listed = client.get("/v1/models")
                if listed.status_code in (401, 403, 429):
                    _check(listed, self._url)
                # A server may have no list, or fail to make one: transformers serve without a Hub cache does.
                names = (
                    {one.get("id") for one in listed.json().get("data", [])} if listed.is_success else set()
                )
                if name in names:
                    return
                if self._model is None and version.manifest.adapter:
                    wanted = {"lora_name": name, "lora_path": str(version.folder.resolve())}
                    loaded = client.post("/v1/load_lora_adapter", json=wanted)
                    if loaded.is_success:
                        return
                    why = f"it would not load the adapter ({loaded.status_code}: {_said(loaded)})"
                elif self._model is None:
                    # transformers serve lists a Hub cache alone, and loads what a request names.
                    return
                else:
                    why = f"it has {', '.join(sorted(map(str, names))) or 'none'}"
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise EngineError(f"The server {self._url} cannot be used: {_reason(error)}.") from error
        raise EngineError(
            f"The server {self._url} has no model {name!r}: {why}. Start vLLM with --enable-lora and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True where it can read the home, or name its model with --engine-model."
        )

    def _follow(self) -> None:
        while not self._stop.wait(0.5):
            try:
                released = self._versions.released()
                if released not in (None, self._serving.version.id):
                    if self._model is not None:
                        raise EngineError(
                            f"{released} is released, and --engine-model names one model for all versions. "
                            "Start again without it."
                        )
                    self._serving = self._open(self._versions.open(released))
                    log.info("Now serving %s", released)
                self._refused = ""
            except AssistantError as error:
                # The version before goes on serving, as in the engine of this process.
                if str(error) != self._refused:
                    log.error("Still serving %s: %s", self._serving.version.id, error)
                self._refused = str(error)


class RemoteServed:
    """One version on the server. `loaded.model` is None: the weights are elsewhere."""

    def __init__(
        self, version: Version, loaded: Loaded, url: str, headers: dict[str, str], name: str
    ) -> None:
        self.version = version
        self.loaded = loaded
        self._url, self._headers, self._name = url, headers, name
        self._takes_ids = True

    async def stream(self, prompt_ids: list[int], sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """As `Served.stream`; closing the iterator closes the connection, which is how such servers cancel.

        Token ids are the server's where it sends them (vLLM), else its text is tokenized again here.
        """
        room = self.loaded.window - len(prompt_ids)
        if room < 1:
            raise TooLong(
                f"The message is too long: {len(prompt_ids)} tokens with its conversation, and {self.version.id} reads "
                f"{self.loaded.window}. Shorten it, or start a new conversation.",
                len(prompt_ids),
                self.loaded.window,
            )
        limit = min(room, sampling.max_new_tokens)
        try:
            async with httpx.AsyncClient(
                base_url=self._url, headers=self._headers, timeout=PATIENCE
            ) as client:
                if self._takes_ids:
                    body = self._body(sampling, limit) | {"prompt": prompt_ids}
                    async with client.stream("POST", "/v1/completions", json=body) as answer:
                        if answer.status_code not in (400, 422):
                            async for chunk in self._chunks(answer):
                                yield chunk
                            return
                    # It takes texts alone. If it was something else, asking again says so.
                    self._takes_ids = False
                body = self._body(sampling, limit) | {"prompt": self._as_text(prompt_ids)}
                async with client.stream("POST", "/v1/completions", json=body) as answer:
                    if not answer.is_success:
                        self._takes_ids = True
                    async for chunk in self._chunks(answer):
                        yield chunk
        except httpx.HTTPError as error:
            raise EngineError(
                f"The server {self._url} did not answer: {_reason(error)}. Send the message again."
            ) from error

    def _body(self, sampling: Sampling, limit: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._name,
            "stream": True,
            "max_tokens": limit,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        # Not OpenAI's: vLLM's and llama.cpp's. Only what was asked for is sent, because others may refuse it.
        extras: dict[str, Any] = {
            "top_k": sampling.top_k,
            "stop": list(sampling.stop),
            "min_tokens": sampling.min_tokens,
            "ignore_eos": sampling.ignore_eos,
        }
        body |= {name: value for name, value in extras.items() if value}
        if sampling.logprobs is not None:
            body["logprobs"] = sampling.logprobs
        if self._takes_ids:
            # Tags and ends as the model wrote them, with their ids.
            body |= {"skip_special_tokens": False, "return_token_ids": True}
        return body

    def _as_text(self, prompt_ids: list[int]) -> str:
        tokenizer = self.loaded.tokenizer
        # The server puts the beginning-of-text token before a text itself.
        begins = tokenizer("").input_ids
        whole = prompt_ids[len(begins) :] if begins and prompt_ids[: len(begins)] == begins else prompt_ids
        return str(tokenizer.decode(whole, skip_special_tokens=False))

    async def _chunks(self, answer: httpx.Response) -> AsyncGenerator[Chunk, None]:
        if not answer.is_success:
            await answer.aread()
            _check(answer, self._url)
        text, sent = "", 0
        async for line in answer.aiter_lines():
            data = line.removeprefix("data:").strip()
            if not line.startswith("data:") or data == "[DONE]":
                continue
            event = _parsed(data)
            if "error" in event:
                raise EngineError(f"The server {self._url} failed: {event['error']}. Send the message again.")
            for choice in event.get("choices") or []:
                reason = {"stop": "end", "length": "length"}.get(choice.get("finish_reason") or "")
                ids = choice.get("token_ids")
                if ids is None:
                    text += choice.get("text") or ""
                    known = self.loaded.tokenizer(text, add_special_tokens=False).input_ids
                    # The last token may still grow with the text after it.
                    stable = len(known) if reason else max(len(known) - 1, sent)
                    ids, sent = known[sent:stable], stable
                if ids or reason:
                    yield Chunk(list(ids), reason, _logprobs(choice, list(ids)))  # type: ignore[arg-type]
                if reason:
                    return
        raise EngineError(f"The server {self._url} broke off its reply. Send the message again.")


def name_on_server(version: Version) -> str:
    """The model's name there: the base's for a bare version, else one made from the adapter's content."""
    weights = version.manifest.files.get("adapter_model.safetensors", "")
    return (
        f"thumbtune-{version.id}-{weights[:12]}" if version.manifest.adapter else version.manifest.base.name
    )


def _logprobs(choice: dict[str, Any], ids: list[int]) -> tuple[Logprob, ...]:
    given = (choice.get("logprobs") or {}).get("token_logprobs") or []
    if len(given) != len(ids):
        return ()
    return tuple(Logprob(token, float(value or 0.0)) for token, value in zip(ids, given, strict=True))


def _check(answer: httpx.Response, url: str) -> None:
    """Raises EngineError unless the server did what it was asked."""
    if answer.status_code == 429:
        raise EngineBusy(f"The server {url} has too much to do: {_said(answer)}. Try again in a moment.")
    if answer.status_code in (401, 403):
        raise EngineError(f"The server {url} refuses the key. Give the right one in THUMBTUNE_ENGINE_KEY.")
    if not answer.is_success:
        raise EngineError(f"The server {url} refused the request ({answer.status_code}): {_said(answer)}.")


def _said(answer: httpx.Response) -> str:
    return " ".join(answer.text.split())[:300] or "no reason given"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _parsed(data: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise EngineError("The server sent something that is not JSON. Send the message again.") from error
    return found if isinstance(found, dict) else {}
