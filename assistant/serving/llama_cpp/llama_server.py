"""llama.cpp over one base with a fixed list of adapters: opened once, closed when no reply needs it any more."""

import contextlib
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from xllamacpp import CommonAdapterLoraInfo, CommonParams, Server

from assistant.errors import EngineBusy, ModelError
from assistant.registry.versions import Version
from assistant.sampling_settings import JSON_BEGINNINGS
from assistant.serving.llama_cpp.completion_request import CompletionRequest
from assistant.serving.llama_cpp.converted_adapter import adapter_file
from assistant.serving.llama_cpp.json_grammar import SIGN, grammar_of
from assistant.serving.llama_cpp.llama_base import MAX_REPLIES, LlamaBase

log = logging.getLogger(__name__)

MAX_WAITING = 192
"""Replies that may wait for their turn beyond those; more are refused."""
MOST_SCHEMAS = 100
"""Schemas that are known to be followed; any other is tried first."""
SMALL_MODEL = 30_000_000
"""Parameters up to which one core is as fast as several: they would wait for each other at every product."""


class LlamaServer:
    """llama.cpp over one base with a fixed list of adapters, and the replies that it generates."""

    def __init__(
        self, base: LlamaBase, versions: "OrderedDict[str, Version]", before: "LlamaServer | None" = None
    ) -> None:
        """Open the base. `before`: the server that this one replaces.

        Raises VersionError if an adapter that `before` does not have does not fit, ModelError.
        """
        self.base = base
        self.versions = versions
        adapted = [version for version in versions.values() if version.manifest.adapter]
        # What is attached stays attached, whatever became of its folder: a damaged version must not hold up the next.
        known = {name: path for name, path in before.files.items() if path.exists()} if before else {}
        self.files: dict[str, Path] = {
            version.id: known.get(version.id) or adapter_file(version, base.folder, base.cache)
            for version in adapted
        }
        self.adapters = {version.id: number for number, version in enumerate(adapted)}
        self._lock = threading.Lock()
        self._leases = 0
        self._retired = False
        self._queue: list[CompletionRequest] = []
        self._running: set[CompletionRequest] = set()
        self._followed: set[str] = set()
        """Schemas that completions are known to follow."""
        self._has_tried = False
        self._successor: LlamaServer | None = None
        if before is not None:
            before._successor = self
        self._threads = ThreadPoolExecutor(MAX_REPLIES, thread_name_prefix="reply")
        self._server: Server | None = _open_server(base, list(self.files.values()))

    def take(self) -> None:
        with self._lock:
            self._leases += 1

    def give_back(self) -> None:
        with self._lock:
            self._leases -= 1
            unused = self._retired and not self._leases
        if unused:
            self._close()

    def retire(self, at_once: bool = False) -> None:
        """Close once no reply uses it any more, or now."""
        with self._lock:
            self._retired = True
            unused = not self._leases
            lost = [*self._queue, *self._running] if at_once else []
        for request in lost:
            request.fail("the version stopped serving")
        if unused or at_once:
            self._close()

    def submit(self, request: CompletionRequest) -> None:
        """Generate now, or when it is its turn. Raises EngineBusy if too many wait already."""
        with self._lock:
            if len(self._queue) >= MAX_WAITING:
                count = len(self._queue) + len(self._running)
                raise EngineBusy(f"{count} replies are being written or wait already. Try again in a moment.")
            self._queue.append(request)
        self._start_next()

    def position(self, request: CompletionRequest) -> int:
        """Place in the queue, 1 for the next to begin; 0 if it is being generated."""
        with self._lock:
            return self._queue.index(request) + 1 if request in self._queue else 0

    def withdraw(self, request: CompletionRequest) -> None:
        """Stop generating, or waiting."""
        request.cancelled = True
        with self._lock:
            if request in self._queue:
                self._queue.remove(request)
        self._start_next()

    def complete(self, body: dict[str, Any], each: Callable[[dict[str, Any]], bool]) -> None:
        """Ask llama.cpp for one completion. `each` gets every part of it, and ends it by returning True."""
        assert self._server is not None
        self._server.handle_completions(body, each)

    def follows(self, schema: str) -> bool:
        """Whether completions can be held to a JSON schema. Raises FormatRefused if it has what is never enforced."""
        if schema in self._followed:
            return True
        follows = self._try(schema)
        if len(self._followed) >= MOST_SCHEMAS:
            self._followed.clear()
        if follows:
            self._followed.add(schema)
        return follows

    def _try(self, schema: str) -> bool:
        self._has_tried = True
        grammar = grammar_of(schema, on_trial=True)
        texts: list[str] = []

        def each(part: dict[str, Any]) -> bool:
            texts.extend(choice["text"] for choice in part.get("choices", []))
            return False

        # Where llama.cpp refuses a grammar it goes on without one: only a grammar makes a model begin with the sign. A
        # schema that refers to itself alone is found out at the token after it.
        body = {"prompt": [0], "n_predict": 2, "stream": True, "temperature": 0.0, "grammar": grammar}
        self.complete(body, each)
        return "".join(texts).startswith(tuple(SIGN + letter for letter in JSON_BEGINNINGS))

    def _start_next(self) -> None:
        """Start replies in the order in which they came, as long as places and cache last."""
        while True:
            with self._lock:
                used = sum(request.reserved for request in self._running)
                if not self._queue or len(self._running) >= MAX_REPLIES:
                    return
                if self._running and used + self._queue[0].reserved > self.base.capacity:
                    return
                request = self._queue.pop(0)
                self._running.add(request)
            self._threads.submit(self._generate, request)

    def _generate(self, request: CompletionRequest) -> None:
        try:
            request.generate(self.complete)
        except Exception as error:
            log.exception("A reply failed")
            request.fail(str(error) or type(error).__name__)
        finally:
            with self._lock:
                self._running.discard(request)
            self._start_next()

    def _close(self) -> None:
        self._threads.shutdown(wait=False)
        # llama.cpp waits for its own loop when it is deleted: not on an event loop's thread, so that no other reference
        # than the new thread's may be left.
        held, self._server = [self._server], None

        delete = threading.Thread(target=held.clear, daemon=True)
        if not self._has_tried or self._successor is None:
            delete.start()
            return
        successor = self._successor

        def move_on() -> None:
            # llama.cpp keeps what it has made for grammars of the last vocabulary, by its address. Before that is free
            # for another base's vocabulary, it must have seen one that stays.
            with contextlib.suppress(Exception):
                successor._try("{}")
            delete.start()

        # Not a daemon: a program that ends now must not end in the middle of it.
        threading.Thread(target=move_on).start()


def _open_server(base: LlamaBase, adapters: list[Path]) -> Server:
    params = CommonParams()
    params.model.path = str(base.file)
    params.n_ctx = base.capacity
    params.n_parallel = MAX_REPLIES
    # In one cache for all, each reply's attention also passes over the others' tokens: with 64 of the starter's replies
    # that cost as much again as all the rest. So each has its own, if there is room for a whole window in each.
    params.kv_unified = base.capacity < MAX_REPLIES * base.window
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
    cores = 1 if base.parameters <= SMALL_MODEL else len(psutil.Process().cpu_affinity() or [0])
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
