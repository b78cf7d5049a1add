"""One reply while it is written: what it is made from, its tokens so far, and the updates that readers see."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from assistant.chat.formatted_answer import formatted_answer, thought_and_formatted_answer
from assistant.chat.stop_strings import StopSearch, model_stops
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.engine import Chunk, Logprob, ServedVersion
from feedback_store import FinishReason, Message, NewReply

Item = TypeVar("Item")


@dataclass(frozen=True)
class Update:
    """A reply so far; its texts are cumulative."""

    reply_id: str
    conversation: str
    thought: str
    answer: str
    version: str
    thinking: bool
    """Whether the thought is still open."""
    finish_reason: str | None
    """None while it streams; then "end", "length", "stopped" or "error"."""
    seconds: float
    thought_seconds: float | None
    dropped: int = 0
    """How many of the oldest messages the model did not read, because the conversation is too long."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprobs: tuple[Logprob, ...] = ()
    """One for each token so far, if the sampling settings ask for them."""
    waiting: int = 0
    """Position in the queue, 1 for the next reply to begin; 0 once it is being generated."""


@dataclass(frozen=True)
class Request:
    """Everything that determines one reply."""

    reply_id: str
    question: Message
    prompt_ids: list[int]
    think: bool
    sampling: Sampling
    beginning: tuple[int, ...] = ()
    """Tokens that the reply begins with, if somebody chose them."""
    dropped: int = 0
    """How many messages the prompt leaves out."""
    trial: str | None = None
    """Id of the live comparison that drew the version, for either arm; None if the version was chosen otherwise."""


class Draft:
    """A reply that is being written: it takes chunks, and gives the update to show and the reply to store."""

    def __init__(self, request: Request, served: ServedVersion, engine: str) -> None:
        """`engine`: its name, which the reply records."""
        self._request = request
        self._tokenizer = served.tokenizer
        self._version = served.version.id
        self._engine = engine
        self._opened = prompt.ends_in_open_thought(served.tokenizer, request.prompt_ids)
        self._started = time.monotonic()
        self._ids = list(request.beginning)
        self._logprobs: list[Logprob] = []
        self._read = len(self._ids)
        """How many tokens the reader has seen: fewer than there are where a stop text hides the last ones."""
        self._first_token_seconds: float | None = None
        self.finish_reason: FinishReason = "stopped"
        """What the reply is stored with; "stopped" until something else ends it."""
        parsed = prompt.parse(prompt.decode(self._tokenizer, self._ids), request.think, self._opened)
        self.update = Update(
            request.reply_id,
            request.question.conversation_id,
            parsed.thought,
            parsed.answer,
            self._version,
            parsed.thinking,
            None,
            seconds=0.0,
            thought_seconds=None,
            dropped=request.dropped,
            prompt_tokens=len(request.prompt_ids),
            completion_tokens=len(self._ids),
        )

    @property
    def has_text(self) -> bool:
        """Whether there is anything to read yet: a thought begins with a tag, which is not shown."""
        return bool(self.update.thought or self.update.answer)

    def take(self, chunk: Chunk) -> bool:
        """Add a chunk to the reply, and tell whether the reply ends with it."""
        if chunk.waiting or self.update.waiting:
            self.update = replace(self.update, waiting=chunk.waiting)
        if not chunk.token_ids and chunk.finish_reason is None:
            return False
        self._ids += chunk.token_ids
        seconds = time.monotonic() - self._started
        if self._first_token_seconds is None:
            self._first_token_seconds = seconds
        self._logprobs += chunk.logprobs
        text, stopped = self._text(ended=chunk.finish_reason is not None)
        parsed = prompt.parse(text, self._request.think, self._opened)
        finish_reason: FinishReason | None = "end" if stopped else chunk.finish_reason
        thought_seconds = self.update.thought_seconds
        if thought_seconds is None and parsed.thought and not parsed.thinking:
            thought_seconds = seconds
        self.update = replace(
            self.update,
            thought=parsed.thought,
            answer=parsed.answer,
            thinking=parsed.thinking and finish_reason is None,
            seconds=seconds,
            thought_seconds=thought_seconds,
            completion_tokens=self._read,
            logprobs=tuple(self._logprobs[: max(0, self._read - len(self._request.beginning))]),
        )
        if finish_reason is None:
            return False
        self.finish_reason = finish_reason
        return True

    def finish(self) -> NewReply:
        """Close the last update, and give the reply to store: its tokens are those that were read."""
        request = self._request
        self.update = replace(
            self.update,
            finish_reason=self.finish_reason,
            thinking=False,
            seconds=time.monotonic() - self._started,
        )
        sampling = request.sampling.as_stored()
        if request.beginning:
            sampling["beginning"] = min(len(request.beginning), self._read)
        sampling["engine"] = self._engine
        if request.dropped:
            sampling["dropped"] = request.dropped
        if request.trial:
            sampling["trial"] = request.trial
        return NewReply(
            id=request.reply_id,
            conversation_id=request.question.conversation_id,
            parent_id=request.question.id,
            thought=self.update.thought or None,
            answer=self.update.answer,
            think=request.think,
            sampling=sampling,
            seed=request.sampling.seed,
            version=self._version,
            prompt_ids=request.prompt_ids,
            completion_ids=self._ids[: self._read],
            finish_reason=self.finish_reason,
            first_token_seconds=self._first_token_seconds,
            seconds=self.update.seconds,
            thought_seconds=self.update.thought_seconds,
        )

    def _text(self, ended: bool) -> tuple[str, bool]:
        """Text of the completion so far, up to a stop text, and whether there was one. Counts the tokens in it."""
        sampling = self._request.sampling
        text = prompt.decode(self._tokenizer, self._ids)
        own = model_stops(self._tokenizer)
        self._read = len(self._ids)
        if not (sampling.stop or own) or sampling.ignore_eos:
            return text, False
        # A stop text counts only in what is generated, and after the first `min_tokens` tokens.
        spared = max(sampling.min_tokens, len(self._request.beginning))
        unstoppable = len(prompt.decode(self._tokenizer, self._ids[:spared]))
        before, stopped = StopSearch(sampling.stop, own, unstoppable).until_stop(
            text, prompt.answer_at(text, self._request.think, self._opened), ended
        )
        if len(before) < len(text):
            self._read = prompt.tokens_within(self._tokenizer, self._ids, before)
        return before, stopped


def chunks_of(request: Request, served: ServedVersion) -> AsyncGenerator[Chunk, None]:
    """The tokens after the reply's beginning; none if the beginning ends the reply already."""
    beginning = list(request.beginning)
    if beginning and beginning[-1] == served.tokenizer.eos_token_id:
        return _only(Chunk([], "end"))
    room = request.sampling.max_new_tokens - len(beginning)
    if room < 1:
        return _only(Chunk([], "length"))
    sampling = replace(request.sampling, max_new_tokens=room)
    if sampling.schema is not None:
        write = thought_and_formatted_answer if request.think else formatted_answer
        return write(served, request.prompt_ids, sampling)
    return served.stream([*request.prompt_ids, *beginning], sampling)


async def _only(chunk: Chunk) -> AsyncGenerator[Chunk, None]:
    yield chunk


async def next_chunk(chunks: AsyncGenerator[Chunk, None], stop: asyncio.Event) -> Chunk | None:
    """The next chunk; None if there is none any more, or if `stop` is set before or together with it."""
    coming = asyncio.ensure_future(anext(chunks))
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return None if stop.is_set() else coming.result()
    except StopAsyncIteration:
        return None
    finally:
        await _cancelled(stopped, coming)


async def together(
    streams: Sequence[AsyncGenerator[Item, None]], opening: Sequence[Item]
) -> AsyncGenerator[tuple[Item, ...], None]:
    """Several replies at once: all of them so far, whenever one has changed. Closing it closes the streams.

    `opening`: the update of each stream that was read last; the first item is these.
    """
    latest = list(opening)
    coming = {asyncio.ensure_future(anext(stream)): number for number, stream in enumerate(streams)}
    try:
        yield tuple(latest)
        while coming:
            done, _ = await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                number = coming.pop(task)
                try:
                    latest[number] = task.result()
                except StopAsyncIteration:
                    continue
                coming[asyncio.ensure_future(anext(streams[number]))] = number
            yield tuple(latest)
    finally:
        await _cancelled(*coming)
        await close_all(streams)


async def close_all(streams: Sequence[AsyncGenerator[Any, None]]) -> None:
    """Close all streams: replies that have not ended are stored as far as they are."""
    for stream in streams:
        await stream.aclose()


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks that have not ended, and wait until they have."""
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # where two fail at once, one is raised, and asyncio need not complain of the other
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)
