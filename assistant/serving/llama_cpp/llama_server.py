"""llama.cpp over one base with a fixed list of adapters: opened once, closed when no reply needs it any more.

llama.cpp computes replies together only if they are of one version: while some of one are being written, those of
another wait until the first of them has ended, or longer. So two versions that answer at the same time, in a live
comparison or side by side, have a `Lane` each, over the same weights, for as long as both are asked.
"""

import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from xllamacpp import Server

from assistant.errors import EngineBusy, ModelError
from assistant.free_memory import free_ram
from assistant.registry.versions import Version
from assistant.sampling_settings import JSON_BEGINNINGS
from assistant.serving.llama_cpp.completion_request import CompletionRequest, lora
from assistant.serving.llama_cpp.converted_adapter import adapter_file
from assistant.serving.llama_cpp.json_grammar import SIGN, grammar_of
from assistant.serving.llama_cpp.lane import Lane
from assistant.serving.llama_cpp.llama_base import MAX_REPLIES, LlamaBase
from assistant.usable_cores import usable_cores

log = logging.getLogger(__name__)

MAX_WAITING = 192
"""Replies that may wait for their turn beyond those; more are refused."""
MOST_SCHEMAS = 100
"""Schemas that are known to be followed; any other is tried first."""
LANES = 2
"""Versions whose replies are computed at the same time; those of further ones in turn with theirs."""
IDLE_SECONDS = 120.0
"""A lane beside the first that was not used for so long is closed: it holds the memory of a cache."""


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
        self._followed: set[str] = set()
        """Schemas that completions are known to follow."""
        self._has_tried = False
        self._successor: LlamaServer | None = None
        if before is not None:
            before._successor = self
        self._threads = ThreadPoolExecutor(LANES * MAX_REPLIES, thread_name_prefix="reply")
        # The second has half of the cores: where both compute, more threads than cores wait for each other.
        cores = usable_cores()
        shares = [cores, *[max(1, cores // 2)] * (LANES - 1)]
        self._lanes = [Lane(base, list(self.files.values()), share) for share in shares]
        self._lanes[0].open()

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
            lost = [*self._queue, *self._running()] if at_once else []
        for request in lost:
            request.fail("the version stopped serving")
        if unused or at_once:
            self._close()

    def submit(self, request: CompletionRequest) -> None:
        """Generate now, or when it is its turn. Raises EngineBusy if too many wait already."""
        with self._lock:
            if len(self._queue) >= MAX_WAITING:
                count = len(self._queue) + len(self._running())
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

    def complete(self, body: dict[str, Any], version_id: str, each: Callable[[dict[str, Any]], bool]) -> None:
        """Ask llama.cpp for one completion of a version. `each` gets every part, and ends it by returning True."""
        adapter = self.adapters.get(version_id)
        lane = self._opened_lane(adapter)
        lane.complete(body | lora(adapter, len(self.adapters)), each)

    def follows(self, schema: str, version_id: str) -> bool:
        """Whether completions can be held to a JSON schema. Raises FormatRefused if it has what is never enforced."""
        if schema in self._followed:
            return True
        adapter = self.adapters.get(version_id)
        follows = self._try(schema, adapter, self._opened_lane(adapter))
        if len(self._followed) >= MOST_SCHEMAS:
            self._followed.clear()
        if follows:
            self._followed.add(schema)
        return follows

    def remember_vocabulary(self) -> None:
        """Let llama.cpp keep what it makes for grammars for the first lane's vocabulary, and for no other."""
        self._try("{}", None, self._lanes[0])

    def _try(self, schema: str, adapter: int | None, lane: Lane) -> bool:
        self._has_tried = True
        grammar = grammar_of(schema, on_trial=True)
        texts: list[str] = []

        def each(part: dict[str, Any]) -> bool:
            texts.extend(choice["text"] for choice in part.get("choices", []))
            return False

        # Where llama.cpp refuses a grammar it goes on without one: only a grammar makes a model begin with the sign. A
        # schema that refers to itself alone is found out at the token after it.
        body = {"prompt": [0], "n_predict": 2, "stream": True, "temperature": 0.0, "grammar": grammar}
        lane.complete(body | lora(adapter, len(self.adapters)), each)
        return "".join(texts).startswith(tuple(SIGN + letter for letter in JSON_BEGINNINGS))

    def _running(self) -> list[CompletionRequest]:
        return [request for lane in self._lanes for request in lane.running]

    def _start_next(self) -> None:
        """Start replies in the order in which they came, as long as places and cache last."""
        with self._lock:
            full: set[Lane] = set()
            for request in list(self._queue):
                lane = self._lane_for(request.adapter)
                if lane in full or not lane.has_room(request):
                    # Whoever came later for this lane waits too, also where a short reply would fit.
                    full.add(lane)
                    continue
                self._queue.remove(request)
                lane.begin(request)
                self._threads.submit(self._generate, request, lane)

    def _lane_for(self, adapter: int | None) -> Lane:
        """Where replies with this adapter are written; else one that is free; else the one with the fewest replies."""
        if self._lanes[0].idle_seconds > IDLE_SECONDS:
            # One version alone is asked by now: it moves to the lane that has all cores, and the other can be closed.
            return self._lanes[0]
        for lane in self._lanes:
            if lane.running and lane.adapter == adapter:
                return lane
        free = [lane for lane in self._lanes if lane.is_open and not lane.running]
        if free:
            # The cache of the one that wrote for this version last may hold the conversation.
            return min(free, key=lambda lane: lane.adapter != adapter)
        closed = [lane for lane in self._lanes if not lane.is_open and not lane.running]
        if closed and free_ram() > 2 * self.base.cache_bytes:  # its cache, and as much for everything else
            return closed[0]
        return min((lane for lane in self._lanes if lane.is_open), key=lambda lane: len(lane.running))

    def _generate(self, request: CompletionRequest, lane: Lane) -> None:
        try:
            self._open(lane)
        except ModelError:
            if lane is not self._lanes[0]:
                log.warning(
                    "Two versions answer in turn: no second llama.cpp could be opened.", exc_info=True
                )
                self._do_without(lane, request)
                return
        try:
            lane.generate(request)
        except Exception as error:
            log.exception("A reply failed")
            request.fail(str(error) or type(error).__name__)
        finally:
            with self._lock:
                lane.end(request)
            self._start_next()

    def _do_without(self, lane: Lane, request: CompletionRequest) -> None:
        """Let the first lane write the reply that this one was to write."""
        with self._lock:
            self._lanes = [other for other in self._lanes if other is not lane]
            self._queue.insert(0, request)
        self._start_next()

    def _opened_lane(self, adapter: int | None) -> Lane:
        with self._lock:
            lane = self._lane_for(adapter)
            lane.touch()
        self._open(lane)
        return lane

    def _open(self, lane: Lane) -> None:
        if lane.open() and lane is not self._lanes[0]:
            self._watch(lane)

    def _watch(self, lane: Lane) -> None:
        timer = threading.Timer(IDLE_SECONDS, self._close_if_idle, [lane])
        timer.daemon = True
        timer.start()

    def _close_if_idle(self, lane: Lane) -> None:
        with self._lock:
            is_idle = lane.idle_seconds >= IDLE_SECONDS
            held = [lane.close(for_good=False)] if is_idle else []
        if is_idle:
            _delete(held, self if self._has_tried else None)
        else:
            self._watch(lane)

    def _close(self) -> None:
        self._threads.shutdown(wait=False)
        held = [lane.close(for_good=True) for lane in self._lanes]
        _delete(held, self._successor if self._has_tried else None)


def _delete(held: list[Server | None], successor: LlamaServer | None) -> None:
    """Delete what `held` names. `successor`: what goes on, if grammars were made for what is deleted."""
    # llama.cpp waits for its own loop when it is deleted: not on an event loop's thread, so that no other reference
    # than the new thread's may be left.
    delete = threading.Thread(target=held.clear, daemon=True)
    if successor is None:
        delete.start()
        return

    def move_on() -> None:
        # llama.cpp keeps what it has made for grammars of the last vocabulary, by its address. Before that is free for
        # another base's vocabulary, it must have seen one that stays.
        with contextlib.suppress(Exception):
            successor.remember_vocabulary()
        delete.start()

    # Not a daemon: a program that ends now must not end in the middle of it.
    threading.Thread(target=move_on).start()
