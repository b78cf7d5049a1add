"""llama.cpp with a cache of its own: it computes the replies of one version together, those of several in turn."""

import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xllamacpp import CommonAdapterLoraInfo, CommonParams, Server

from assistant.errors import ModelError
from assistant.serving.llama_cpp.completion_request import CompletionRequest
from assistant.serving.llama_cpp.llama_base import MAX_REPLIES, LlamaBase
from assistant.serving.llama_cpp.prompt_reading import PromptReading

SMALL_MODEL = 30_000_000
"""Parameters up to which one core is as fast as several: they would wait for each other at every product."""


class Lane:
    """llama.cpp over a base and its adapters, opened when it is first needed."""

    def __init__(self, base: LlamaBase, adapters: list[Path], cores: int) -> None:
        """Nothing is opened yet. `cores`: how many compute one product, where more than one is faster."""
        self.base = base
        self._cores = 1 if base.parameters <= SMALL_MODEL else cores
        self.running: set[CompletionRequest] = set()
        self.adapter: int | None = None
        """The adapter, by its number, of the reply that began last; None for none."""
        self._reading = PromptReading()
        self._adapters = adapters
        self._opening = threading.Lock()
        self._server: Server | None = None
        self._is_closed = False
        self._used = time.monotonic()

    @property
    def is_open(self) -> bool:
        """Whether llama.cpp runs."""
        return self._server is not None

    @property
    def idle_seconds(self) -> float:
        """Seconds since it was last used; 0 while a reply is written."""
        return 0.0 if self.running else time.monotonic() - self._used

    def begin(self, request: CompletionRequest) -> None:
        """Take a place for a reply."""
        self.running.add(request)
        self.adapter = request.adapter

    def end(self, request: CompletionRequest) -> None:
        """Give the place of a reply back."""
        self.running.discard(request)
        self.touch()

    def touch(self) -> None:
        """Count as used now."""
        self._used = time.monotonic()

    def has_room(self, request: CompletionRequest) -> bool:
        """Whether places and cache are left for one more reply."""
        if not self.running:
            return True
        used = sum(other.reserved for other in self.running)
        return len(self.running) < MAX_REPLIES and used + request.reserved <= self.base.capacity

    def open(self) -> bool:
        """Start llama.cpp if it does not run yet; returns whether it had to be started. Raises ModelError."""
        with self._opening:
            if self._is_closed:
                raise ModelError("the version stopped serving")
            if self._server is not None:
                return False
            self._server = _open_server(self.base, self._adapters, self._cores)
            self.touch()
            return True

    def generate(self, request: CompletionRequest) -> None:
        """Read the prompt of a reply that has a place, and draw it. Raises ModelError."""
        if self._reading.read(request, self.complete, self._is_drawing):
            request.generate(self.complete)
        self._reading.remember(request)

    def _is_drawing(self) -> bool:
        """Whether tokens of any reply are drawn now."""
        return any(request.has_read for request in list(self.running))

    def complete(self, body: dict[str, Any], each: Callable[[dict[str, Any]], bool]) -> None:
        """Ask for one completion. `each` gets every part of it, and ends it by returning True. Raises ModelError."""
        server = self._server
        if server is None:
            raise ModelError("the version stopped serving")
        server.handle_completions(body, each)

    def close(self, for_good: bool) -> Server | None:
        """Stop llama.cpp, and never start it again if `for_good`; returns what runs, which the caller deletes."""
        with self._opening:
            self._is_closed |= for_good
            server, self._server = self._server, None
            return server


def _open_server(base: LlamaBase, adapters: list[Path], cores: int) -> Server:
    params = CommonParams()
    params.model.path = str(base.file)
    params.n_ctx = base.capacity
    params.n_parallel = MAX_REPLIES
    # In one cache for all, each reply's attention also passes over the others' tokens: with 64 of the starter's replies
    # that cost as much again as all the rest. So each has its own, if there is room for a whole window in each.
    params.kv_unified = base.capacity < MAX_REPLIES * base.window
    # Layers that see a window of the text alone keep all of it too, so that a conversation goes on from what was read.
    params.swa_full = True
    params.warmup = False
    # Tokens that no text can contain are named too, where they are drawn.
    params.special = True
    params.verbosity = -1
    # Its own HTTP server cannot be left out: it listens on this machine alone, on a free port, behind a key that
    # nobody knows.
    params.port = 0
    params.api_keys = [secrets.token_urlsafe(32)]
    # Prompts are kept in the replies' own cache, which llama.cpp empties when the adapter changes.
    params.cache_ram_mib = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = cores
    params.lora_adapters = [CommonAdapterLoraInfo(str(path), 1.0) for path in adapters]
    params.lora_init_without_apply = True
    try:
        server = Server(params)
        # One token, because a server that is deleted before its loop runs waits for that loop forever.
        server.handle_completions({"prompt": [0], "n_predict": 1, "stream": True}, lambda _: False)
        return server
    except Exception as error:
        raise ModelError(f"llama.cpp cannot load {base.file}: {error}.") from error
