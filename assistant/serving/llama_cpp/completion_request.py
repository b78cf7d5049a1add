"""One completion that is asked of llama.cpp, and the tokens that have come of it."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from assistant.sampling_settings import PENALTY_WINDOW, Sampling
from assistant.serving.engine import Logprob
from assistant.serving.llama_cpp.json_grammar import grammar_of
from assistant.serving.llama_cpp.llama_base import LlamaBase
from assistant.serving.llama_cpp.token_texts import stored

MOST_SEEDS = 2**32 - 1
"""llama.cpp's seeds lie below it; it stands for a random one."""

Complete = Callable[[dict[str, Any], Callable[[dict[str, Any]], bool]], None]
"""Asks llama.cpp for a completion: its request, and a function that gets each part and ends it by returning True."""


@dataclass(eq=False)
class CompletionRequest:
    """One completion: what is asked, and what has come of it."""

    loop: asyncio.AbstractEventLoop
    base: LlamaBase
    prompt_ids: list[int]
    sampling: Sampling
    limit: int
    adapter: int | None
    adapters: int
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    error: str | None = None
    finish_reason: Any = None
    read: int = 0
    """Tokens of the prompt that are read, or are read with the next token that is drawn."""
    generated: list[int] = field(default_factory=list)
    """Tokens drawn so far."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _new_ids: list[int] = field(default_factory=list)
    _new_logprobs: list[Logprob] = field(default_factory=list)
    _signalled: bool = False

    @property
    def reserved(self) -> int:
        """Tokens of the cache that it may fill."""
        return len(self.prompt_ids) + self.limit

    @property
    def has_read(self) -> bool:
        """Whether tokens are drawn now."""
        return self.read == len(self.prompt_ids)

    @property
    def has_ended(self) -> bool:
        """Whether it failed, or nobody waits for it any more."""
        return self.cancelled or self.error is not None

    def take(self) -> tuple[list[int], tuple[Logprob, ...], Any]:
        """The tokens that have come since the last call, and the finish reason; None while more may come.

        Together, because the signal of what has come is cleared here: an end that came after the reason was read and
        before this would never be seen.
        """
        with self._lock:
            ids, self._new_ids = self._new_ids, []
            logprobs, self._new_logprobs = self._new_logprobs, []
            self._signalled = False
            self.changed.clear()
            return ids, tuple(logprobs), self.finish_reason

    def generate(self, complete: Complete) -> None:
        """Draw the completion; called on a thread of its own, when all but the prompt's last piece is read."""
        if not self.sampling.ignore_eos and self.sampling.min_tokens:
            # llama.cpp has no fewest number of tokens: so many are drawn without an end, and it goes on from there.
            self._draw(complete, min(self.sampling.min_tokens, self.limit), ignore_end=True)
        if not self.has_ended and len(self.generated) < self.limit:
            self._draw(complete, self.limit - len(self.generated), self.sampling.ignore_eos)
        if self.finish_reason is None and self.error is None:
            self._finish("length")

    def fail(self, why: str) -> None:
        """End the completion with an error."""
        with self._lock:
            self.error = why
        self._signal()

    def _draw(self, complete: Complete, count: int, ignore_end: bool) -> None:
        ends = set() if ignore_end else set(self.base.ends)

        def each(part: dict[str, Any]) -> bool:
            if "choices" not in part:
                self.fail(str(part.get("error", part)))
                return True
            choice = part["choices"][0]
            ids, logprobs = self._tokens_of(choice)
            end = next((place for place, token in enumerate(ids) if token in ends), None)
            if end is not None:
                ids, logprobs = ids[: end + 1], logprobs[: end + 1]
            self.generated.extend(ids)
            stopped = end is not None
            if choice["finish_reason"] == "stop" and not stopped and not ignore_end:
                # The end itself is not among llama.cpp's parts.
                ids, stopped = [*ids, self.base.ends[0]], True
                self.generated.append(self.base.ends[0])
                logprobs = [*logprobs, *_end_logprob(choice, self.base.ends[0], self.sampling.logprobs)]
            self._add(ids, logprobs)
            if stopped and self.error is None:
                self._finish("end")
            return stopped or self.has_ended

        body = completion_body(
            [*self.prompt_ids, *self.generated], self.sampling, count, ignore_end, len(self.generated)
        )
        if self.sampling.schema is not None:
            body["grammar"] = grammar_of(self.sampling.schema)
        complete(body | lora(self.adapter, self.adapters), each)

    def _tokens_of(self, choice: dict[str, Any]) -> tuple[list[int], list[Logprob]]:
        """Token id of one part of the completion, if it has one, and its log-probability if that was asked for.

        Fails if the part is not the text of exactly one token.
        """
        if not choice["text"]:
            return [], []
        token = self.base.ids_by_text.get(stored(choice["text"]))
        if token is None:
            self.fail(f"llama.cpp sent {choice['text'][:100]!r}, which is not one of its tokens")
            return [], []
        if self.sampling.logprobs is None:
            return [token], []
        content = (choice.get("logprobs") or {}).get("content", [])
        return [token], [
            Logprob(
                entry["id"],
                entry["logprob"],
                tuple(
                    (other["id"], other["logprob"])
                    for other in entry["top_logprobs"][: self.sampling.logprobs]
                ),
            )
            for entry in content[:1]
        ]

    def _add(self, ids: list[int], logprobs: list[Logprob]) -> None:
        with self._lock:
            self._new_ids += ids
            self._new_logprobs += logprobs
        if ids:
            self._signal()

    def _finish(self, reason: str) -> None:
        with self._lock:
            self.finish_reason = reason
        self._signal()

    def _signal(self) -> None:
        """Wake the reader, once for all that comes until it looks."""
        with self._lock:
            if self._signalled:
                return
            self._signalled = True
        try:
            self.loop.call_soon_threadsafe(self.changed.set)
        except RuntimeError:
            self.cancelled = True  # the reader's event loop has closed: nobody waits any more


def completion_body(
    ids: list[int], sampling: Sampling, count: int, ignore_end: bool, drawn: int = 0
) -> dict[str, Any]:
    """What llama.cpp is asked: at most `count` tokens after `ids`, of which the last `drawn` were drawn before."""
    body: dict[str, Any] = {
        "prompt": ids,
        "n_predict": count,
        "stream": True,
        "cache_prompt": True,
        "temperature": sampling.temperature,
        # In the order of transformers' own cuts; top-k first, because order changes nothing for it and fewer
        # tokens are left for the rest.
        "samplers": [
            *(["penalties"] if sampling.frequency_penalty or sampling.presence_penalty else []),
            *(["top_k"] if sampling.top_k else []),
            "temperature",
            *(["top_p"] if sampling.top_p < 1 else []),
            *(["min_p"] if sampling.min_p else []),
        ],
        "min_p": sampling.min_p,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "repeat_last_n": PENALTY_WINDOW,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "seed": (sampling.seed + drawn) % MOST_SEEDS,
        "ignore_eos": ignore_end,
    }
    if sampling.logprobs is not None:
        body["n_probs"] = max(1, sampling.logprobs)
    return body


def lora(adapter: int | None, adapters: int) -> dict[str, Any]:
    """The part of a request that applies one of so many attached adapters, by its number; None for none."""
    scales = [{"id": number, "scale": 1.0 if number == adapter else 0.0} for number in range(adapters)]
    return {"lora": scales} if scales else {}


def _end_logprob(choice: dict[str, Any], end: int, logprobs: int | None) -> list[Logprob]:
    if logprobs is None:
        return []
    entries = (choice.get("logprobs") or {}).get("content", [])
    return [Logprob(entry["id"], entry["logprob"]) for entry in entries if entry["id"] == end][:1]
