"""Answers that are written for a visitor of the tour and stored nowhere."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.context_window import fit
from assistant.serving.engine import ServedVersion


@dataclass(frozen=True)
class TourAnswer:
    """An answer as far as it is written."""

    think: bool
    prompt_ids: tuple[int, ...] = ()
    completion_ids: tuple[int, ...] = ()
    thought: str = ""
    answer: str = ""
    is_thinking: bool = False
    waiting: int = 0
    """Position in the queue; 0 once it is being written."""
    finish_reason: str | None = None


async def answer(
    served: ServedVersion, message: str, think: bool, sampling: Sampling
) -> AsyncGenerator[TourAnswer, None]:
    """The answer of a version that was made to chat. Raises what `fit` and `stream` raise."""
    messages = [{"role": "user", "content": message}]
    ids = fit(served.tokenizer, served.window, messages, think, sampling.max_new_tokens).ids
    async with aclosing(_write(served, ids, think, sampling)) as answers:
        async for written in answers:
            yield written


async def continuation(
    served: ServedVersion, text: str, sampling: Sampling
) -> AsyncGenerator[TourAnswer, None]:
    """How a base continues a text: what follows it in the texts that it has read. Raises what `stream` raises."""
    ids = prompt.beginning(served.tokenizer, text)
    async with aclosing(_write(served, ids, think=False, sampling=sampling)) as answers:
        async for written in answers:
            yield written


async def _write(
    served: ServedVersion, ids: list[int], think: bool, sampling: Sampling
) -> AsyncGenerator[TourAnswer, None]:
    opened = think and prompt.ends_in_open_thought(served.tokenizer, ids)
    completion: list[int] = []
    yield TourAnswer(think, tuple(ids))
    async with aclosing(served.stream(ids, sampling)) as chunks:
        async for chunk in chunks:
            completion += chunk.token_ids
            parsed = prompt.parse(prompt.decode(served.tokenizer, completion), think, opened)
            yield TourAnswer(
                think,
                tuple(ids),
                tuple(completion),
                parsed.thought,
                parsed.answer,
                parsed.thinking and chunk.finish_reason is None,
                chunk.waiting,
                chunk.finish_reason,
            )
