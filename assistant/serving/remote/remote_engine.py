"""The engine over any OpenAI-compatible server: vLLM, llama.cpp's server, transformers serve.

The prompt is rendered here and sent to `/v1/completions`, so that the model reads token for token what it would read in
this process. Each version is a model of its own on that server, named after its adapter's content: an answer can come
from no other weights. vLLM loads such an adapter while it runs (`/v1/load_lora_adapter`).
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from assistant.bases.base_source import fetched_folder
from assistant.bases.model_folder import read_config
from assistant.errors import EngineError, ModelError, UnknownModel
from assistant.registry.versions import Manifest, Version, Versions
from assistant.serving.adapter_check import check_plain_adapter
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.context_window import configured_window
from assistant.serving.engine import MAX_OTHER_VERSIONS, ReleaseFollower
from assistant.serving.remote.remote_errors import raise_refusal, reason_of, text_of
from assistant.serving.remote.remote_version import RemoteVersion
from assistant.serving.tokenizing.chat_template import check_template

log = logging.getLogger(__name__)

LOAD_TIMEOUT = httpx.Timeout(10.0, read=120.0)
"""Seconds to connect, and until an adapter is loaded."""
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
    def lease(self, version_id: str | None = None) -> Iterator[RemoteVersion]:
        """See `Engine.lease`."""
        yield self._find_or_open(version_id)

    def prepare(self, version_id: str | None) -> None:
        """See `Engine.prepare`."""
        self._find_or_open(version_id)

    def close(self) -> None:
        """Stop following releases. The server and the adapters that it has loaded stay as they are."""
        self._follower.close()

    def _find_or_open(self, version_id: str | None) -> RemoteVersion:
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

    def _open(self, version: Version) -> RemoteVersion:
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
                    raise_refusal(response, self._url)
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
                    why = f"it would not load the adapter ({response.status_code}: {text_of(response)})"
                elif self._model is None:
                    # transformers serve lists only its Hub cache, and loads the model that a request names.
                    return longest, owner
                else:
                    why = f"it has {', '.join(sorted(map(str, names))) or 'none'}"
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise EngineError(f"The server {self._url} cannot be used: {reason_of(error)}.") from error
        raise ModelError(
            f"The server {self._url} has no model {name!r}: {why}. Start vLLM with --enable-lora and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True where it can read the home, or name its model with --engine-model."
        )


def name_on_server(version: Version) -> str:
    """The model's name there: the base's for a version without adapter, else one made from the adapter's content."""
    if not version.manifest.adapter:
        return version.manifest.base.name
    adapter_hash = version.manifest.files.get("adapter_model.safetensors", "")
    return f"thumbtune-{version.id}-{adapter_hash[:12]}"
