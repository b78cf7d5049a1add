"""Shared by the tests of engines: rendered prompts and collected completions."""

from __future__ import annotations

from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.engine import ServedVersion

GREEDY = Sampling(temperature=0.0, max_new_tokens=40)


def ids_of(served: ServedVersion, message: str, think: bool = True) -> list[int]:
    return prompt.render(served.tokenizer, [{"role": "user", "content": message}], think)


async def collect(served: ServedVersion, ids: list[int], sampling: Sampling) -> tuple[list[int], str | None]:
    tokens: list[int] = []
    reason = None
    async for chunk in served.stream(ids, sampling):
        tokens += chunk.token_ids
        reason = chunk.finish_reason
    return tokens, reason
