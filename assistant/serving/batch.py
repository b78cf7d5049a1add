"""One version in service in this process: its model, its batch of replies, its cache of keys and values.

Built on transformers' continuous batching: replies join and leave a running batch. Each version has its own batch loop
and its own cache, so that cached keys and values never outlive the weights that made them.
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

import torch

from assistant.errors import EngineBusy, EngineError, FormatRefused, NoTokens
from assistant.free_memory import free_ram
from assistant.registry.versions import Version
from assistant.sampling_settings import Sampling
from assistant.serving.context_window import completion_limit
from assistant.serving.engine import Chunk, TokenScore
from assistant.serving.loading import Loaded, end_tokens
from assistant.serving.sampling import Drawing, probabilities
from assistant.serving.transformers_compat import (
    Progress,
    accepts_requests,
    can_read_directly,
    start_batch_loop,
)

log = logging.getLogger(__name__)

PAGE_TOKENS = 64
"""Tokens in one page of the cache: few, so that short chats waste little."""
MAX_RUNNING = 64
"""Replies that are generated at once. The cache has room for them at half the window each."""
MAX_WAITING = 192
"""Replies that may wait beyond those; more are refused."""
QUEUE_SECONDS = 0.5
"""How often a waiting reply checks its position in the queue."""
WORK_PER_CORE = 400_000_000
"""Multiplications in a step for which one more core pays off: cores wait for each other at every product, and the page
and the API need one too."""


@dataclass
class _Request:
    loop: asyncio.AbstractEventLoop
    limit: int
    drawing: Drawing
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: Sequence[int] = ()
    finished: bool = False
    error: str | None = None


class BatchedVersion:
    """A `ServedVersion` whose model runs in this process."""

    def __init__(self, version: Version, loaded: Loaded) -> None:
        self.version = version
        self.model = loaded.model
        self.tokenizer = loaded.tokenizer
        self.window = loaded.window
        self.leases = 0
        """Replies that hold this version; counted by the engine."""
        self.last_named = -math.inf
        """When a request last named it, on the monotonic clock; kept by the engine."""
        self._ends = end_tokens(self.model, self.tokenizer)
        self._lock = threading.Lock()
        self._requests: dict[str, _Request] = {}
        self._numbers = itertools.count()
        self._closing = threading.Event()
        self._serialize_passes()
        if self.model.device.type == "cpu":
            self._limit_cores()
        self._manager = self._start_loop()
        self._watcher = threading.Thread(target=self._watch, name=f"serve-{version.id}", daemon=True)
        self._watcher.start()

    @property
    def parameters(self) -> int:
        """Number of the model's parameters."""
        return int(self.model.num_parameters())

    @property
    def running(self) -> bool:
        """Whether replies can be generated now."""
        return accepts_requests(self._manager) and not self._closing.is_set()

    def check_schema(self, schema: str) -> None:
        """Raises FormatRefused: continuous batching has no grammars."""
        raise FormatRefused(
            "The engine on transformers cannot hold an answer to a format. Start the app with --engine llama.cpp or "
            "over vLLM (--engine-url), or ask for the format in a message."
        )

    async def stream(self, prompt_ids: list[int], sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """See `ServedVersion.stream`."""
        limit = completion_limit(self, prompt_ids, sampling)
        request = _Request(asyncio.get_running_loop(), limit, Drawing(sampling))
        request_id = self._submit(request, prompt_ids)
        sent, waiting = 0, 0
        try:
            while True:
                while not await _set_within(QUEUE_SECONDS, request.changed):
                    position = self._position_in_queue(request_id)
                    if position != waiting and not request.tokens:
                        waiting = position
                        yield Chunk([], None, waiting=waiting)
                request.changed.clear()
                tokens, finished = list(request.tokens), request.finished
                if request.error is not None:
                    raise EngineError(f"The reply failed: {request.error}. Send the message again.")
                if request.drawing.broken:
                    raise EngineError(
                        f"The reply failed: {self.version.id} computes no finite numbers for this text. "
                        "Change the message, or release another version."
                    )
                reason = self._finish_reason(tokens, limit) if finished else None
                if len(tokens) > sent or finished:
                    yield Chunk(tokens[sent:], reason, tuple(request.drawing.logprobs[sent : len(tokens)]))
                    sent = len(tokens)
                if finished:
                    return
        finally:
            self._forget(request_id, cancel=not request.finished)

    @torch.no_grad()
    def score(
        self, prompt_ids: list[int], completion_ids: list[int], sampling: Sampling, alternatives: int
    ) -> list[TokenScore]:
        """See `ServedVersion.score`.

        One forward pass gives every distribution at once, because each position of a causal model sees only what is
        before it.
        """
        if not can_read_directly(self.model):
            raise NoTokens(
                "This model's attention runs in batches alone, so that it cannot read a reply again."
            )
        ids = torch.tensor([[*prompt_ids, *completion_ids]], device=self.model.device)
        # The logits at a position are for the token after it.
        logits = self.model(input_ids=ids, use_cache=False).logits[0, len(prompt_ids) - 1 : -1].float().cpu()
        scores = []
        for token, row in zip(completion_ids, logits, strict=True):
            greedy = sampling.temperature == 0.0
            shares = row.softmax(dim=-1) if greedy else probabilities(row[None], [sampling])[0]
            top = shares.topk(min(alternatives, shares.numel()))
            likeliest = zip(top.indices.tolist(), top.values.tolist(), strict=True)
            scores.append(
                TokenScore(
                    float(shares[token]), tuple((other, share) for other, share in likeliest if share > 0)
                )
            )
        return scores

    def retire(self) -> None:
        """Let the threads end by themselves, without waiting for them. Replies in flight fail."""
        self._closing.set()

    def stop(self) -> None:
        """Retire, and wait until the threads have ended."""
        self.retire()
        self._watcher.join()

    def _serialize_passes(self) -> None:
        """Let one thread at a time run the model: layers in 8 bits and long rotary embeddings keep state of a pass."""
        lock = threading.Lock()

        def before(model: Any, args: Any) -> None:
            lock.acquire()

        def after(model: Any, args: Any, output: Any) -> None:
            lock.release()

        self.model.register_forward_pre_hook(before)
        self.model.register_forward_hook(after, always_call=True)

    def _limit_cores(self) -> None:
        """Use as many cores for each step as pay off. torch keeps the setting for each thread."""
        cores, weights = torch.get_num_threads(), self.parameters

        def before(model: Any, args: Any, inputs: dict[str, Any]) -> None:
            torch.set_num_threads(min(cores, 1 + inputs["input_ids"].numel() * weights // WORK_PER_CORE))

        self.model.register_forward_pre_hook(before, with_kwargs=True)

    def _finish_reason(self, tokens: list[int], limit: int) -> Literal["end", "length"]:
        return "length" if len(tokens) >= limit and tokens[-1] not in self._ends else "end"

    def _submit(self, request: _Request, prompt_ids: list[int]) -> str:
        request_id = f"{self.version.id}-{next(self._numbers)}"
        sampling = request.drawing.sampling
        with self._lock:
            if len(self._requests) >= MAX_RUNNING + MAX_WAITING:
                raise EngineBusy(
                    f"{len(self._requests)} replies are being written or wait already. Try again in a moment."
                )
            self._requests[request_id] = request
            accepted = self._manager.add_request(
                prompt_ids,
                request_id=request_id,
                max_new_tokens=request.limit,
                streaming=True,
                # No token has the number -1.
                eos_token_id=-1 if sampling.ignore_eos else self._ends,
                drawing=request.drawing,
            )
            if accepted is None:
                del self._requests[request_id]
                raise EngineError("The engine is restarting. Send the message again in a moment.")
        return request_id

    def _position_in_queue(self, request_id: str) -> int:
        # Replies begin in the order in which they came, so that the first MAX_RUNNING of them are being generated.
        with self._lock:
            if request_id not in self._requests:
                return 0
            return max(0, list(self._requests).index(request_id) + 1 - MAX_RUNNING)

    def _forget(self, request_id: str, cancel: bool) -> None:
        with self._lock:
            self._requests.pop(request_id, None)
            if cancel:
                self._manager.cancel_request(request_id)

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
            self._manager = self._start_loop()
        self._fail(lost, "the engine had to restart")

    def _fail(self, request_ids: list[str], why: str) -> None:
        self._deliver([Progress(request_id, [], True, why) for request_id in request_ids])

    def _deliver(self, step: list[Progress]) -> None:
        """Hand progress to the event loops that wait for it: one call a loop, however many replies it reads."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Request, Progress]]] = {}
        with self._lock:
            for progress in step:
                request = self._requests.get(progress.request_id)
                if request is not None and not request.loop.is_closed():
                    by_loop.setdefault(request.loop, []).append((request, progress))
        for loop, changes in by_loop.items():
            _call(loop, partial(_apply, changes))

    def _start_loop(self) -> Any:
        pages = _cache_pages(self.model, self.window)
        return start_batch_loop(self.model, self._ends, MAX_RUNNING, PAGE_TOKENS, pages, self._deliver)


def _cache_pages(model: Any, window: int) -> int:
    # Never more than a quarter of the free memory. If that is too little, replies make room for each other.
    config, device = model.config.get_text_config(), model.device
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    page_bytes = PAGE_TOKENS * config.num_hidden_layers * 2 * kv_heads * head * model.dtype.itemsize
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_ram()
    return max(MAX_RUNNING, min(MAX_RUNNING * window // PAGE_TOKENS // 2, free // 4 // page_bytes))


def _apply(changes: list[tuple[_Request, Progress]]) -> None:
    for request, progress in changes:
        request.tokens, request.finished, request.error = progress.tokens, progress.finished, progress.error
        request.changed.set()


async def _set_within(seconds: float, event: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _call(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(action)
    except RuntimeError:
        # The loop closed between the check and the call: its reader does not wait any more.
        log.debug("A reader left before its reply ended")
