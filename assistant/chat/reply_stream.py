"""One reply: from a prompt to a stored reply, streamed. It is stored once, when it ends: whole, stopped or failed."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from typing import Any

from assistant.errors import AssistantError
from assistant.serving import prompt
from assistant.serving.remote import RemoteServed
from assistant.serving.sampling import Logprob, Sampling
from assistant.serving.stop_strings import until_stop
from assistant.serving.transformers_engine import Chunk, Served
from feedback_store import FeedbackStore, FinishReason, Message, NewReply


@dataclass(frozen=True)
class Update:
    """A reply as it stands; texts are cumulative."""

    reply_id: str
    conversation: str
    thought: str
    answer: str
    version: str
    thinking: bool
    """The thought is still open."""
    finish_reason: str | None
    """None while it streams; then "end", "length", "stopped" or "error"."""
    seconds: float
    thought_seconds: float | None
    dropped: int = 0
    """How many of the oldest messages the model did not read, because the conversation is too long."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprobs: tuple[Logprob, ...] = ()
    """Of the tokens so far, where they were asked for."""
    waiting: int = 0
    """Place in the queue, 1 for the next to begin; 0 once it is being written."""


@dataclass(frozen=True)
class Request:
    """All that makes one reply."""

    reply_id: str
    question: Message
    prompt_ids: list[int]
    think: bool
    sampling: Sampling
    beginning: tuple[int, ...] = ()
    """Tokens that the reply begins with, where somebody chose them."""
    dropped: int = 0
    """How many messages the prompt leaves out."""


async def answer(
    store: FeedbackStore,
    served: Served | RemoteServed,
    asked: Request,
    stop: asyncio.Event,
    pause: Callable[[], float],
) -> AsyncGenerator[Update, None]:
    """Stream the reply, and store it however it ends.

    `pause` is asked after each update for the seconds until the next one at least. Raises EngineError if generation
    fails; what there is of the reply is stored then too.
    """
    tokenizer, began = served.loaded.tokenizer, time.monotonic()
    ids = list(asked.beginning)
    begun = prompt.parse(prompt.decode(tokenizer, ids), asked.think)
    state = Update(
        asked.reply_id,
        asked.question.conversation_id,
        begun.thought,
        begun.answer,
        served.version.id,
        begun.thinking,
        None,
        seconds=0.0,
        thought_seconds=None,
        dropped=asked.dropped,
        prompt_tokens=len(asked.prompt_ids),
        completion_tokens=len(ids),
    )
    first_token: float | None = None
    reason: FinishReason = "stopped"
    chunks = _until(_rest(served, asked), stop)
    try:
        yield state
        async for chunk in chunks:
            if chunk.waiting or state.waiting:
                state = replace(state, waiting=chunk.waiting)
            if not chunk.token_ids and chunk.finish_reason is None:
                yield state
                continue
            ids += chunk.token_ids
            elapsed = time.monotonic() - began
            first_token = first_token if first_token is not None else elapsed
            said, stopped = _said(tokenizer, ids, asked, chunk.finish_reason is not None)
            parsed = prompt.parse(said, asked.think)
            ended: FinishReason | None = "end" if stopped else chunk.finish_reason
            thought_ended = elapsed if parsed.thought and not parsed.thinking else None
            state = replace(
                state,
                thought=parsed.thought,
                answer=parsed.answer,
                thinking=parsed.thinking and ended is None,
                seconds=elapsed,
                thought_seconds=state.thought_seconds if state.thought_seconds is not None else thought_ended,
                completion_tokens=len(ids),
                logprobs=state.logprobs + chunk.logprobs,
            )
            if ended is not None:
                reason = ended
                break
            yield state
            # The engine gathers what comes meanwhile into the next chunk. Not before there is something to read:
            # a thought begins with a tag, and its first word should not wait behind it.
            if parsed.thought or parsed.answer:
                await asyncio.sleep(pause())
    except AssistantError:
        reason = "error"
        raise
    finally:
        await chunks.aclose()
        state = replace(state, finish_reason=reason, thinking=False, seconds=time.monotonic() - began)
        sampling = asked.sampling.kept()
        if asked.beginning:
            sampling["beginning"] = len(asked.beginning)
        if asked.dropped:
            sampling["dropped"] = asked.dropped
        new = NewReply(
            id=asked.reply_id,
            conversation_id=asked.question.conversation_id,
            parent_id=asked.question.id,
            thought=state.thought or None,
            answer=state.answer,
            think=asked.think,
            sampling=sampling,
            seed=asked.sampling.seed,
            version=served.version.id,
            prompt_ids=asked.prompt_ids,
            completion_ids=ids,
            finish_reason=reason,
            first_token_seconds=first_token,
            seconds=state.seconds,
            thought_seconds=state.thought_seconds,
        )
        # Shielded: a reader who leaves must not leave a reply half recorded.
        await asyncio.shield(asyncio.to_thread(store.add_reply, new))
    yield state


async def together(
    left: AsyncGenerator[Update, None], right: AsyncGenerator[Update, None]
) -> AsyncGenerator[tuple[Update, Update], None]:
    """Two replies at once: both as they stand, whenever one has changed. Closing it ends both."""
    # The first update of a reply comes at once, before any token.
    streams, latest = (left, right), [await anext(left), await anext(right)]
    coming = {asyncio.ensure_future(anext(stream)): side for side, stream in enumerate(streams)}
    try:
        yield latest[0], latest[1]
        while coming:
            done, _ = await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                side = coming.pop(task)
                try:
                    latest[side] = task.result()
                except StopAsyncIteration:
                    continue
                coming[asyncio.ensure_future(anext(streams[side]))] = side
            yield latest[0], latest[1]
    finally:
        for task in coming:
            task.cancel()
        if coming:
            await asyncio.wait(coming)
        for stream in streams:
            await stream.aclose()


def _said(tokenizer: Any, ids: list[int], asked: Request, ended: bool) -> tuple[str, bool]:
    """Text of the completion so far up to a stop text, and whether there was one."""
    text = prompt.decode(tokenizer, ids)
    stops = (*asked.sampling.stop, *prompt.stops(tokenizer))
    if not stops:
        return text, False
    # A stop text counts from the fewest tokens on that were asked for.
    free = len(prompt.decode(tokenizer, ids[: asked.sampling.min_tokens]))
    if asked.sampling.ignore_eos:
        return text, False
    said, stopped = until_stop(text[free:], stops, ended)
    return text[:free] + said, stopped


async def _rest(served: Served | RemoteServed, asked: Request) -> AsyncGenerator[Chunk, None]:
    """The tokens after the beginning; none if that ends the reply already."""
    beginning = list(asked.beginning)
    if beginning and beginning[-1] == served.loaded.tokenizer.eos_token_id:
        yield Chunk([], "end")
        return
    left = asked.sampling.max_new_tokens - len(beginning)
    if left < 1:
        yield Chunk([], "length")
        return
    stream = served.stream([*asked.prompt_ids, *beginning], replace(asked.sampling, max_new_tokens=left))
    try:
        async for chunk in stream:
            yield chunk
    finally:
        await stream.aclose()


async def _until(items: AsyncGenerator[Chunk, None], stop: asyncio.Event) -> AsyncGenerator[Chunk, None]:
    """`items` until they end or `stop` is set, whichever comes first."""
    stopped = asyncio.ensure_future(stop.wait())
    coming: asyncio.Future[Chunk] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(items))
            await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            # Whatever came together with the stop is let go: one who presses stop wants no more.
            if stop.is_set():
                return
            try:
                yield coming.result()
            except StopAsyncIteration:
                return
    finally:
        stopped.cancel()
        if coming is not None and not coming.done():
            coming.cancel()
            await asyncio.wait({coming})
        await items.aclose()
