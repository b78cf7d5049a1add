"""The engine over any OpenAI-compatible server: vLLM, llama.cpp's server, transformers serve.

The prompt is rendered here and sent to `/v1/completions`, so that the model reads token for token what it would read in
this process. Each version is a model of its own on that server, named after its adapter's content: an answer can come
from no other weights. vLLM loads such an adapter while it runs (`/v1/load_lora_adapter`).
"""

import json
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from assistant.bases.base_source import fetched_folder
from assistant.bases.card_lookup import model_name
from assistant.bases.model_folder import read_config
from assistant.errors import EngineBusy, EngineError, FormatRefused, ModelError, NoTokens, UnknownModel
from assistant.registry.versions import Manifest, Version, Versions
from assistant.sampling_settings import Sampling
from assistant.serving.adapter_check import check_plain_adapter
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.context_window import completion_limit, configured_window
from assistant.serving.engine import (
    MAX_OTHER_VERSIONS,
    Chunk,
    Logprob,
    ReleaseFollower,
    TokenScore,
)
from assistant.serving.tokenizing.chat_template import check_template
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer, start_of_text

log = logging.getLogger(__name__)

STREAM_TIMEOUT = httpx.Timeout(10.0, read=300.0)
"""Seconds to connect, and until the next token."""
LOAD_TIMEOUT = httpx.Timeout(10.0, read=120.0)
"""Seconds to connect, and until an adapter is loaded."""
SCHEMA_FIELDS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "vllm": lambda schema: {"structured_outputs": {"json": schema}},
    "llamacpp": lambda schema: {"json_schema": schema},
}
"""The field that holds an answer to a JSON schema, by the owner of the server's models."""
MOST_SCHEMAS = 100
"""Schemas that are known to be followed; any other is tried first."""
CHECK_SECONDS = 0.5
"""How often the registry is asked which version is released."""


class RemoteEngine:
    """An `Engine` whose models run on another server."""

    name = "another server"

    def __init__(
        self, registry: Versions, version: Version, url: str, key: str = "", model: str | None = None
    ) -> None:
        """`url`: of the server, with or without `/v1`. `model`: the server's own name for the version, if it has one.

        Raises EngineError if the server cannot be reached or does not have the version, ModelError if the version's
        tokenizer cannot be loaded here, VersionError if its adapter is damaged or made for another base.
        """
        self._registry = registry
        self._url = url.rstrip("/").removesuffix("/v1")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._model = model
        self._released = self._open(version)
        self._others: dict[str, RemoteVersion] = {}
        self._opening = threading.Lock()
        self._follower = ReleaseFollower(registry, lambda: self.version.id, self._swap, CHECK_SECONDS)

    @property
    def version(self) -> Version:
        """The released version."""
        return self._released.version

    @property
    def versions(self) -> list[str]:
        """Ids of the versions that a reply may name, oldest first. Under a fixed model name there is only one."""
        if self._model is not None:
            return [self.version.id]
        return [manifest.id for manifest in self._registry.servable()]

    @property
    def running(self) -> bool:
        """Whether the server answers now."""
        try:
            return httpx.get(f"{self._url}/v1/models", headers=self._headers, timeout=5.0).is_success
        except httpx.HTTPError:
            return False

    def manifest(self, version_id: str) -> Manifest:
        """See `Engine.manifest`."""
        return self._registry.manifest(version_id)

    @contextmanager
    def lease(self, version_id: str | None = None) -> Iterator["RemoteVersion"]:
        """See `Engine.lease`."""
        yield self._find_or_open(version_id)

    def prepare(self, version_id: str | None) -> None:
        """See `Engine.prepare`."""
        self._find_or_open(version_id)

    def close(self) -> None:
        """Stop following releases. The server and the adapters that it has loaded stay as they are."""
        self._follower.close()

    def _find_or_open(self, version_id: str | None) -> "RemoteVersion":
        with self._opening:
            released = self._released
            if version_id in (None, released.version.id):
                return released
            name = str(version_id)
            if name not in self.versions:
                raise UnknownModel(f"{name} does not serve here; {', '.join(self.versions)} can.")
            # Moved to the end: the first entry is the version that was named the longest ago.
            served = self._others.pop(name, None) or self._open(self._registry.open(name))
            self._others[name] = served
            if len(self._others) > MAX_OTHER_VERSIONS:
                del self._others[next(iter(self._others))]
            return served

    def _swap(self, version_id: str) -> None:
        if self._model is not None:
            raise EngineError(
                f"{version_id} is released, and --engine-model names one model for all versions. "
                "Start again without it."
            )
        self._released = self._open(self._registry.open(version_id))
        log.info("Now serving %s", version_id)

    def _open(self, version: Version) -> "RemoteVersion":
        name = self._model or name_on_server(version)
        folder = fetched_folder(version.manifest.base, self._registry.home, weights=False)
        if self._model is None and version.manifest.adapter:
            check_plain_adapter(version, read_config(folder))
        longest, owner = self._ensure_model(version, name)
        windows = [window for window in (configured_window(folder), longest) if window]
        if not windows:
            raise ModelError(
                f"Neither the configuration of {version.manifest.base.name!r} nor the server says how long a sequence "
                "may be. Set max_position_embeddings in its config.json."
            )
        tokenizer = ChatTokenizer.read(folder)
        check_template(tokenizer)
        return RemoteVersion(version, tokenizer, min(windows), self._url, self._headers, name, owner)

    def _ensure_model(self, version: Version, name: str) -> tuple[int | None, str]:
        """The longest sequence in tokens that the server takes, if it says so (vLLM does), and whose its models are.

        Raises EngineError if the server cannot be used, ModelError unless it has a model `name`, or loads the version's
        adapter under it.
        """
        try:
            with httpx.Client(base_url=self._url, headers=self._headers, timeout=LOAD_TIMEOUT) as client:
                response = client.get("/v1/models")
                if response.status_code in (401, 403, 429):
                    _raise_refusal(response, self._url)
                # A server may have no list, or fail to make one: transformers serve without a Hub cache does.
                models = response.json().get("data", []) if response.is_success else []
                names = {model.get("id") for model in models}
                lengths = [model.get("max_model_len") for model in models]
                longest = min((length for length in lengths if isinstance(length, int)), default=None)
                owner = next((str(model["owned_by"]) for model in models if model.get("owned_by")), "")
                if name in names:
                    return longest, owner
                if self._model is None and version.manifest.adapter:
                    adapter = {"lora_name": name, "lora_path": str(version.folder.resolve())}
                    response = client.post("/v1/load_lora_adapter", json=adapter)
                    if response.is_success:
                        return longest, owner
                    why = f"it would not load the adapter ({response.status_code}: {_text_of(response)})"
                elif self._model is None:
                    # transformers serve lists only its Hub cache, and loads the model that a request names.
                    return longest, owner
                else:
                    why = f"it has {', '.join(sorted(map(str, names))) or 'none'}"
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise EngineError(f"The server {self._url} cannot be used: {_reason(error)}.") from error
        raise ModelError(
            f"The server {self._url} has no model {name!r}: {why}. Start vLLM with --enable-lora and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True where it can read the home, or name its model with --engine-model."
        )


class RemoteVersion:
    """A `ServedVersion` whose model runs on the server."""

    parameters = None

    def __init__(
        self,
        version: Version,
        tokenizer: Tokenizer,
        window: int,
        url: str,
        headers: dict[str, str],
        name: str,
        owner: str = "",
    ) -> None:
        """`name`: the model's name on the server at `url`. `headers` are sent with each request.

        `owner`: whose the server says that its models are, which tells what kind of server it is.
        """
        self.version = version
        self.tokenizer = tokenizer
        self.window = window
        self._url, self._headers, self._name = url, headers, name
        self._takes_ids = True
        self._schema_field = SCHEMA_FIELDS.get(owner)
        self._followed: set[str] = set()
        """Schemas that the server is known to follow."""

    def check_schema(self, schema: str) -> None:
        """See `ServedVersion.check_schema`. Raises EngineError if the server cannot be asked.

        It is asked for one token: in a stream it would refuse after the thought.
        """
        if self._schema_field is None:
            raise FormatRefused(
                f"The replies come from the server {self._url}, which may ignore a format: of its kind that is not "
                "known, as it is of vLLM and llama.cpp. Leave the format out, and ask for it in a message."
            )
        if schema in self._followed:
            return
        body = {"model": self._name, "prompt": "?", "max_tokens": 1} | self._schema_field(json.loads(schema))
        try:
            url = f"{self._url}/v1/completions"
            response = httpx.post(url, json=body, headers=self._headers, timeout=LOAD_TIMEOUT)
        except httpx.HTTPError as error:
            raise EngineError(
                f"The server {self._url} did not answer: {_reason(error)}. Try again."
            ) from error
        if response.status_code in (400, 422):
            why = _text_of(response, self._name)
            raise FormatRefused(f"The server {self._url} refused an answer in this format: {why}.")
        _raise_refusal(response, self._url, self._name)
        if len(self._followed) >= MOST_SCHEMAS:
            self._followed.clear()
        self._followed.add(schema)

    async def stream(self, prompt_ids: list[int], sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """See `ServedVersion.stream`. Closing the iterator closes the connection, which is how such servers cancel.

        Token ids are the server's if it sends them (vLLM); else its text is tokenized again here.
        """
        limit = completion_limit(self, prompt_ids, sampling)
        try:
            async with httpx.AsyncClient(
                base_url=self._url, headers=self._headers, timeout=STREAM_TIMEOUT
            ) as client:
                if self._takes_ids:
                    body = self._body(sampling, limit) | {"prompt": prompt_ids}
                    async with client.stream("POST", "/v1/completions", json=body) as response:
                        if response.status_code not in (400, 422):
                            async for chunk in self._chunks(response):
                                yield chunk
                            return
                    # Such a server takes text only. If it refused something else, the second request shows it.
                    self._takes_ids = False
                body = self._body(sampling, limit) | {"prompt": self._as_text(prompt_ids)}
                async with client.stream("POST", "/v1/completions", json=body) as response:
                    if not response.is_success:
                        self._takes_ids = True
                    async for chunk in self._chunks(response):
                        yield chunk
        except httpx.HTTPError as error:
            raise EngineError(
                f"The server {self._url} did not answer: {_reason(error)}. Send the message again."
            ) from error

    def score(
        self, prompt_ids: list[int], completion_ids: list[int], sampling: Sampling, alternatives: int
    ) -> list[TokenScore]:
        """Raises NoTokens: these servers report the likelihood of what they write, not of a text that exists."""
        raise NoTokens(
            f"The replies are written by the server {self._url}, which cannot read them again token by token."
        )

    def _body(self, sampling: Sampling, limit: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._name,
            "stream": True,
            "max_tokens": limit,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        # Stop texts are not sent: such a server searches the raw text, and would end a thought by them.
        # Not OpenAI's but vLLM's and llama.cpp's: sent only if asked for, because other servers may refuse them.
        extensions: dict[str, Any] = {
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": sampling.presence_penalty,
            "min_tokens": sampling.min_tokens,
            "ignore_eos": sampling.ignore_eos,
        }
        body |= {name: value for name, value in extensions.items() if value}
        if sampling.schema is not None and self._schema_field is not None:
            body |= self._schema_field(json.loads(sampling.schema))
        if sampling.logprobs is not None:
            body["logprobs"] = sampling.logprobs
        if self._takes_ids:
            # Tags and ends as the model wrote them, with their ids.
            body |= {"skip_special_tokens": False, "return_token_ids": True}
        return body

    def _as_text(self, prompt_ids: list[int]) -> str:
        # The server itself puts the beginning-of-text token before a text.
        start = start_of_text(self.tokenizer)
        without_start = prompt_ids[len(start) :] if prompt_ids[: len(start)] == start else prompt_ids
        return str(self.tokenizer.decode(without_start, skip_special_tokens=False))

    async def _chunks(self, response: httpx.Response) -> AsyncGenerator[Chunk, None]:
        if not response.is_success:
            await response.aread()
            _raise_refusal(response, self._url, self._name)
        text, sent = "", 0
        async for line in response.aiter_lines():
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
                    tokenized = self.tokenizer(text, add_special_tokens=False).input_ids
                    # The last token may still grow with the text after it.
                    stable = len(tokenized) if reason else max(len(tokenized) - 1, sent)
                    ids, sent = tokenized[sent:stable], stable
                if ids or reason:
                    yield Chunk(list(ids), reason, _logprobs(choice, list(ids)))  # type: ignore[arg-type]
                if reason:
                    return
        raise EngineError(f"The server {self._url} broke off its reply. Send the message again.")


def name_on_server(version: Version) -> str:
    """The model's name there: the base's for a version without adapter, else one made from the adapter's content."""
    if not version.manifest.adapter:
        return version.manifest.base.name
    adapter_hash = version.manifest.files.get("adapter_model.safetensors", "")
    return f"thumbtune-{version.id}-{adapter_hash[:12]}"


def _logprobs(choice: dict[str, Any], ids: list[int]) -> tuple[Logprob, ...]:
    values = (choice.get("logprobs") or {}).get("token_logprobs") or []
    if len(values) != len(ids):
        return ()
    return tuple(Logprob(token, float(value or 0.0)) for token, value in zip(ids, values, strict=True))


def _raise_refusal(response: httpx.Response, url: str, name: str = "") -> None:
    """Raises the EngineError that a response's status means; nothing for a success.

    `name`: the model's there. Servers repeat it, and clients see it without the path that it may be.
    """
    if response.status_code == 429:
        raise EngineBusy(f"The server {url} has too much to do: {_text_of(response)}. Try again in a moment.")
    if response.status_code in (401, 403):
        raise EngineError(f"The server {url} refuses the key. Give the right one in THUMBTUNE_ENGINE_KEY.")
    if not response.is_success:
        raise EngineError(
            f"The server {url} refused the request ({response.status_code}): {_text_of(response, name)}."
        )


def _text_of(response: httpx.Response, name: str = "") -> str:
    text = " ".join(response.text.split())
    return (text.replace(name, model_name(name)) if name else text)[:300] or "no reason given"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _parsed(data: str) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError as error:
        raise EngineError("The server sent something that is not JSON. Send the message again.") from error
    return event if isinstance(event, dict) else {}
