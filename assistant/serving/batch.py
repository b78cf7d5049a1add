"""One version in service: its model, its batch, its cache of keys and values.

Built on transformers' continuous batching: requests join and leave a running batch. Each version has a manager of
its own with its own cache, so that cached keys and values never outlive the weights that made them.
"""

import asyncio
import itertools
import logging
import math
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import psutil
import torch
from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.generation.continuous_batching.continuous_api import OutputRouter
from transformers.generation.continuous_batching.requests import GenerationOutput

from assistant.errors import EngineBusy, EngineError, TooLong
from assistant.registry.versions import Version
from assistant.serving.attention import EACH_ITS_OWN
from assistant.serving.loading import Loaded
from assistant.serving.sampling import Drawing, Logprob, Sampling, processors

log = logging.getLogger(__name__)

PAGE = 64
"""Tokens a cache page: small, so that short chats waste little."""
USERS = 64
"""Replies at once, and the cache has room for them at half the window each; a few longer ones are no matter."""
LOOK_SECONDS = 0.5
"""How often a reply that waits looks at its place in the queue."""
WAITING = 192
"""Replies that may wait for their turn beyond those; more are refused."""


@dataclass(frozen=True)
class Chunk:
    """What is new since the last chunk of a reply."""

    token_ids: list[int]
    finish_reason: Literal["end", "length"] | None
    """None while it goes on; then "end" (the model said END) or "length"."""
    logprobs: tuple[Logprob, ...] = ()
    """One for each token, where they were asked for."""
    waiting: int = 0
    """Place in the queue, 1 for the next to begin; 0 once it is being written."""


@dataclass
class _Request:
    loop: asyncio.AbstractEventLoop
    limit: int
    drawing: Drawing
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: Sequence[int] = ()
    finished: bool = False
    error: str | None = None


@dataclass(frozen=True)
class _News:
    """A reply as far as it has come."""

    key: str
    tokens: list[int]
    finished: bool
    error: str | None


class _Router(OutputRouter):
    """Hands on what a step brought, all of it in one call, from the thread that made it."""

    def __init__(self, deliver: Callable[[list[_News]], None]) -> None:
        super().__init__()
        self._deliver = deliver

    def deliver(self, output: GenerationOutput) -> None:
        self.deliver_batch([output])

    def deliver_batch(self, outputs: list[GenerationOutput]) -> None:
        self._deliver(
            [_News(one.request_id, one.generated_tokens, one.is_finished(), one.error) for one in outputs]
        )


STEP_OF_A_CORE = 400_000_000
"""Multiplications of a step for which one more core pays: cores wait for each other at every product, and the page and
the API want one too."""


class Served:
    """One version in service: its model, its batch, its cache."""

    def __init__(self, version: Version, loaded: Loaded) -> None:
        self.version = version
        self.loaded = loaded
        self.leases = 0
        """Replies that hold this version; counted by the engine."""
        self.named_at = -math.inf
        """When somebody last asked for it by name, on the monotonic clock; kept by the engine."""
        self._lock = threading.Lock()
        self._requests: dict[str, _Request] = {}
        self._numbers = itertools.count()
        self._closing = threading.Event()
        if loaded.model.device.type == "cpu":
            self._share_work_out()
        self._manager = self._start_manager()
        self._watcher = threading.Thread(target=self._watch, name=f"serve-{version.id}", daemon=True)
        self._watcher.start()

    async def stream(self, prompt_ids: list[int], sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Tokens of one reply as they come, several a chunk when the reader is slow.

        Closing the iterator cancels the reply and frees its place. Raises PromptError if the prompt leaves
        no room in the context window, EngineBusy if too many wait, EngineError if generation fails.
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
        request = _Request(asyncio.get_running_loop(), limit, Drawing(sampling))
        key = self._submit(request, prompt_ids)
        sent, told = 0, 0
        try:
            while True:
                while not await _within(LOOK_SECONDS, request.changed):
                    waiting = self._place(key)
                    if waiting != told and not request.tokens:
                        told = waiting
                        yield Chunk([], None, waiting=waiting)
                request.changed.clear()
                tokens, finished = list(request.tokens), request.finished
                if request.error is not None:
                    raise EngineError(f"The reply failed: {request.error}. Send the message again.")
                reason = self._reason(tokens, limit) if finished else None
                if len(tokens) > sent or finished:
                    yield Chunk(tokens[sent:], reason, tuple(request.drawing.logprobs[sent : len(tokens)]))
                    sent = len(tokens)
                if finished:
                    return
        finally:
            self._forget(key, cancel=not request.finished)

    @property
    def running(self) -> bool:
        """Whether replies can be made now."""
        manager = self._manager
        # One that had a fatal error runs on for a moment, and takes nothing any more.
        takes = manager.background_thread_status.can_accept_new_requests() is None
        return bool(manager.is_running()) and takes and not self._closing.is_set()

    def retire(self) -> None:
        """Let the threads end by themselves, without waiting for them. Replies in flight fail."""
        self._closing.set()

    def stop(self) -> None:
        """Retire, and wait until the threads have ended."""
        self.retire()
        self._watcher.join()

    def _share_work_out(self) -> None:
        """Take for each step as many cores as pay. The setting is the thread's own: it changes nobody else's."""
        cores, weights = torch.get_num_threads(), self.loaded.model.num_parameters()

        def before(model: Any, args: Any, inputs: dict[str, Any]) -> None:
            torch.set_num_threads(min(cores, 1 + inputs["input_ids"].numel() * weights // STEP_OF_A_CORE))

        self.loaded.model.register_forward_pre_hook(before, with_kwargs=True)

    def _reason(self, tokens: list[int], limit: int) -> Literal["end", "length"]:
        return "length" if len(tokens) >= limit and tokens[-1] not in self._ends() else "end"

    def _ends(self) -> list[int]:
        return ends_of(self.loaded)

    def _submit(self, request: _Request, prompt_ids: list[int]) -> str:
        key = f"{self.version.id}-{next(self._numbers)}"
        sampling = request.drawing.sampling
        with self._lock:
            if len(self._requests) >= USERS + WAITING:
                raise EngineBusy(
                    f"{len(self._requests)} replies are being written or wait already. Try again in a moment."
                )
            self._requests[key] = request
            taken = self._manager.add_request(
                prompt_ids,
                request_id=key,
                max_new_tokens=request.limit,
                streaming=True,
                # No token has the number -1.
                eos_token_id=-1 if sampling.ignore_eos else self._ends(),
                drawing=request.drawing,
            )
            if taken is None:
                del self._requests[key]
                raise EngineError("The engine is restarting. Send the message again in a moment.")
        return key

    def _place(self, key: str) -> int:
        # They begin in the order in which they came, so that the first USERS of them are being written.
        with self._lock:
            return max(0, list(self._requests).index(key) + 1 - USERS) if key in self._requests else 0

    def _forget(self, key: str, cancel: bool) -> None:
        with self._lock:
            self._requests.pop(key, None)
            if cancel:
                self._manager.cancel_request(key)

    def _watch(self) -> None:
        while not self._closing.wait(0.1):
            if not self._manager.is_running():
                self._restart()
        self._manager.stop(block=True, hard_stop=True)
        self._fail(list(self._requests), "the version stopped serving")

    def _restart(self) -> None:
        log.error("Generation of %s stopped after an error; starting it again", self.version.id)
        with self._lock:
            lost = list(self._requests)
            self._manager = self._start_manager()
        self._fail(lost, "the engine had to restart")

    def _fail(self, keys: list[str], why: str) -> None:
        self._deliver([_News(key, [], True, why) for key in keys])

    def _deliver(self, all_news: list["_News"]) -> None:
        """Hand news to the event loops that wait for them: one call a loop, however many replies it reads."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Request, _News]]] = {}
        with self._lock:
            for news in all_news:
                request = self._requests.get(news.key)
                if request is not None and not request.loop.is_closed():
                    by_loop.setdefault(request.loop, []).append((request, news))
        for loop, told in by_loop.items():
            _call(loop, partial(_tell, told))

    def _start_manager(self) -> Any:
        model = self.loaded.model
        if model.config._attn_implementation == EACH_ITS_OWN:
            # The manager takes no attention that it does not know.
            model.set_attn_implementation("sdpa")
        manager = model.init_continuous_batching(
            generation_config=GenerationConfig(do_sample=False, eos_token_id=self._ends(), pad_token_id=0),
            continuous_batching_config=ContinuousBatchingConfig(
                page_size=PAGE,
                num_blocks=_cache_pages(self.loaded),
                max_batch_tokens=max(512, USERS),
                max_requests_per_batch=USERS,
                use_async_batching=False,
                use_cuda_graph=False,
                per_request_processors=True,
            ),
        )
        manager.logit_processor = processors(self._ends())
        manager.output_router = _Router(self._deliver)
        if model.config._attn_implementation == "sdpa":
            model.set_attn_implementation(EACH_ITS_OWN)
        manager.start()
        return manager


def ends_of(loaded: Loaded) -> list[int]:
    """Every token that ends a reply: a model may have several (Llama 3, Gemma 3). Empty for one that has none."""
    configured = loaded.model.generation_config.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    return sorted({end for end in [*ends, loaded.tokenizer.eos_token_id] if end is not None})


def _cache_pages(loaded: Loaded) -> int:
    # Never more than a quarter of the memory that is free. Where it is too little, replies make room in turn.
    config = loaded.model.config.get_text_config()
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    page_bytes = PAGE * config.num_hidden_layers * 2 * kv_heads * head * loaded.model.dtype.itemsize
    device = loaded.model.device
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return max(USERS, min(USERS * loaded.window // PAGE // 2, free // 4 // page_bytes))


def _tell(told: list[tuple[_Request, _News]]) -> None:
    for request, news in told:
        request.tokens, request.finished, request.error = news.tokens, news.finished, news.error
        request.changed.set()


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _call(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(action)
    except RuntimeError:
        # The reader's loop closed between the check and the call: nobody waits any more.
        log.debug("A reader left before its reply did")
