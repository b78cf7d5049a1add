"""A reply that thinks before an answer in a given format: the format binds the answer alone.

Engines hold a completion to a schema from its first token on. So the thought is generated first, freely, and then the
answer by a second request, which begins with the thought.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from assistant.errors import EngineError
from assistant.sampling_settings import JSON_BEGINNINGS, Sampling
from assistant.serving import prompt
from assistant.serving.engine import Chunk, Logprob, ServedVersion
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer

_AFTER_THOUGHT = "\n\n"
"""Between thought and answer, as in what models are trained on (`prompt.completion`)."""


async def formatted_answer(
    served: ServedVersion, prompt_ids: list[int], sampling: Sampling
) -> AsyncGenerator[Chunk, None]:
    """The chunks of a completion that follows `sampling.schema`.

    Raises EngineError if it has ended and is no JSON, and what `ServedVersion.stream` raises.
    """
    ids: list[int] = []
    has_begun = False
    async with aclosing(served.stream(prompt_ids, sampling)) as chunks:
        async for chunk in chunks:
            ids += chunk.token_ids
            ended = chunk.finish_reason == "end"
            text = "" if has_begun and not ended else prompt.decode(served.tokenizer, ids).lstrip()
            has_begun = has_begun or bool(text)
            # A grammar can fail silently, and another server may pass over what it does not know.
            if (text and text[0] not in JSON_BEGINNINGS) or (ended and not _is_json(text)):
                raise EngineError(
                    "The answer left its format. Send the message again, or simplify the format."
                )
            yield chunk


async def thought_and_formatted_answer(
    served: ServedVersion, prompt_ids: list[int], sampling: Sampling
) -> AsyncGenerator[Chunk, None]:
    """The chunks of a reply whose thought is free and whose answer follows `sampling.schema`.

    A thought that the model ends without its tag is closed. A reply that begins without a thought is begun again as an
    answer. Raises what `ServedVersion.stream` raises.
    """
    tokenizer = served.tokenizer
    opened = prompt.ends_in_open_thought(tokenizer, prompt_ids)
    drawn: list[int] = []
    logprobs: list[Logprob] = []
    sent = 0
    async with aclosing(served.stream(prompt_ids, replace(sampling, schema=None))) as chunks:
        async for chunk in chunks:
            if not chunk.token_ids and chunk.finish_reason is None:
                yield chunk  # its place in the queue
                continue
            drawn += chunk.token_ids
            logprobs += chunk.logprobs
            text = prompt.decode(tokenizer, drawn)
            answer = prompt.answer_at(text, True, opened)
            if answer is not None or chunk.finish_reason == "end":
                break
            # Until the opening tag is whole, the reply may yet begin without a thought.
            if opened or chunk.finish_reason or text.lstrip().startswith(prompt.THINK_OPEN):
                yield replace(chunk, token_ids=drawn[sent:], logprobs=tuple(logprobs[sent:]))
                sent = len(drawn)
            if chunk.finish_reason:
                return
    kept, closing = _thought(tokenizer, drawn, text, answer, opened)
    thought = [*drawn[:kept], *closing]
    if thought[sent:]:
        # What is put there has not been drawn: it was certain.
        certain = [Logprob(token, 0.0) for token in closing] if sampling.logprobs is not None else []
        yield Chunk(thought[sent:], None, (*logprobs[sent:kept], *certain))
    room = sampling.max_new_tokens - len(thought)
    if room < 1:
        yield Chunk([], "length")
        return
    answer_ids = [*prompt_ids, *thought]
    async with aclosing(
        formatted_answer(served, answer_ids, replace(sampling, max_new_tokens=room))
    ) as chunks:
        async for chunk in chunks:
            yield chunk


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _thought(
    tokenizer: Tokenizer, drawn: list[int], text: str, answer: int | None, opened: bool
) -> tuple[int, list[int]]:
    """How many of the drawn tokens are the thought, and the token ids that close it; none of both without a thought.

    `text`: of the drawn tokens. `answer`: where the answer begins in it; None if the reply has ended before.
    """
    if answer == 0 or (answer is None and not opened and not text.lstrip().startswith(prompt.THINK_OPEN)):
        return 0, []
    if answer is None and prompt.decode(tokenizer, drawn[:-1]) == text:
        drawn = drawn[:-1]  # END
    end = len(text) if answer is None else answer
    kept = prompt.tokens_within(tokenizer, drawn, text[:end])
    rest = text[len(prompt.decode(tokenizer, drawn[:kept])) : end]
    tag = f"{rest}\n{prompt.THINK_CLOSE}" if answer is None else rest
    return kept, list(tokenizer(tag + _AFTER_THOUGHT, add_special_tokens=False).input_ids)
