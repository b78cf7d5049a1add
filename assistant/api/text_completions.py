"""`/v1/completions`: any text or token ids, continued as they are, without messages and a template.

What is continued is no conversation, so that nothing is stored, and nobody can rate it.
"""

import secrets
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import Field, model_validator

from assistant.api.answer_format import Unsupported
from assistant.api.api_errors import ApiError, as_api_error
from assistant.api.http_io import event
from assistant.api.sampling_fields import SamplingFields
from assistant.chat.formatted_answer import formatted_answer
from assistant.chat.stop_strings import StopSearch
from assistant.sampling_settings import MAX_LOGPROBS, Sampling
from assistant.serving import prompt
from assistant.serving.engine import Logprob, ServedVersion
from assistant.serving.tokenizing.token_bytes import token_text
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer, ids_of_beginning

DEFAULT_LIMIT = 16
"""OpenAI's default of `max_tokens` here."""
FINISH = {"end": "stop", "length": "length", None: None}


class TextRequest(SamplingFields):
    """The body of `/v1/completions`."""

    prompt: str | list[int] | list[str] | list[list[int]]
    logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    echo: bool | None = None

    # Sent by clients that do not depend on them; any value but the default is refused.
    n: int | None = None
    best_of: int | None = None
    suffix: str | None = None
    logit_bias: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _refuse_unsupported(self) -> Self:
        for name, default in (("n", 1), ("best_of", 1), ("suffix", ""), ("logit_bias", {})):
            if getattr(self, name) not in (None, default):
                raise Unsupported(name, "this is not supported; leave it out")
        if self.echo and self.logprobs is not None:
            raise Unsupported("echo", "log-probabilities of a prompt are not computed here; leave it out")
        if not self.one_prompt:
            raise Unsupported("prompt", "one text, or one list of token ids, that is not empty")
        return self

    @property
    def one_prompt(self) -> str | list[int]:
        """The prompt; empty if there is none, or more than one."""
        if isinstance(self.prompt, str) or (self.prompt and isinstance(self.prompt[0], int)):
            return self.prompt
        return self.prompt[0] if len(self.prompt) == 1 else ""  # type: ignore[return-value]

    def ids(self, tokenizer: Tokenizer) -> list[int]:
        """The prompt's token ids. Raises ApiError for an id that the model does not have."""
        if isinstance(self.one_prompt, str):
            return ids_of_beginning(tokenizer, self.one_prompt)
        for token in self.one_prompt:
            if token < 0 or tokenizer.convert_ids_to_tokens(token) is None:
                raise ApiError(400, f"The model has no token {token}.", param="prompt", code="invalid_value")
        return self.one_prompt

    def sampling(self, default: Sampling) -> Sampling:
        """The sampling settings, with those of `default` where the request has none."""
        default = replace(default, max_new_tokens=DEFAULT_LIMIT)
        drawn = self.drawn(default, self.logprobs)
        return replace(drawn, seed=secrets.randbelow(2**31) if self.seed is None else self.seed)


@dataclass(frozen=True)
class Continuation:
    """A continuation so far; all of it is cumulative."""

    text: str
    tokens: int
    logprobs: tuple[Logprob, ...]
    finish_reason: str | None


async def continued(
    served: ServedVersion, ids: list[int], sampling: Sampling
) -> AsyncGenerator[Continuation, None]:
    """The continuation as it comes, up to a stop text. Raises what `ServedVersion.stream` raises."""
    tokenizer = served.tokenizer
    generated: list[int] = []
    logprobs: list[Logprob] = []
    formatted = sampling.schema is not None
    async with aclosing(
        formatted_answer(served, ids, sampling) if formatted else served.stream(ids, sampling)
    ) as chunks:
        async for chunk in chunks:
            generated += chunk.token_ids
            logprobs += chunk.logprobs
            text, count, reason = prompt.decode(tokenizer, generated), len(generated), chunk.finish_reason
            if sampling.stop and not sampling.ignore_eos:
                spared = len(prompt.decode(tokenizer, generated[: sampling.min_tokens]))
                # Raw text has no thought: a stop text ends it wherever it is.
                search = StopSearch((), sampling.stop, spared)
                before, stopped = search.until_stop(text, None, ended=reason is not None)
                if len(before) < len(text):
                    text, count = before, prompt.tokens_within(tokenizer, generated, before)
                reason = "end" if stopped else reason
            yield Continuation(text, count, tuple(logprobs[:count]), reason)
            if reason is not None:
                return


class TextWriter:
    """Writes one continuation, whole or in chunks; remembers how much of it the chunks so far hold."""

    def __init__(self, body: TextRequest, served: ServedVersion, ids: list[int]) -> None:
        self._body, self._tokenizer, self._version = body, served.tokenizer, served.version.id
        self._id, self._created, self._prompt_tokens = f"cmpl-{uuid.uuid4().hex}", int(time.time()), len(ids)
        self._echo = ""
        if body.echo:
            text = body.one_prompt
            self._echo = text if isinstance(text, str) else served.tokenizer.decode(ids)
        self._sent, self._tokens = 0, 0

    def part(self, update: Continuation, usage: bool = False, last: bool = False) -> dict[str, Any]:
        """What is new since the last part. `usage`: with the numbers of tokens. `last`: without a choice."""
        whole = self._echo + update.text
        choice = {
            "index": 0,
            "text": whole[self._sent :],
            "logprobs": self._logprobs(update.logprobs[self._tokens :], self._sent),
            "finish_reason": FINISH[update.finish_reason],
        }
        self._sent, self._tokens = len(whole), len(update.logprobs)
        numbers = {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": update.tokens,
            "total_tokens": self._prompt_tokens + update.tokens,
        }
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._body.model,
            "system_fingerprint": self._version,
            "choices": [] if last else [choice],
            **({"usage": numbers} if usage else {}),
        }

    def _logprobs(self, logprobs: Sequence[Logprob], start: int) -> dict[str, Any] | None:
        if self._body.logprobs is None:
            return None
        texts = [token_text(self._tokenizer, logprob.token_id) for logprob in logprobs]
        return {
            "tokens": texts,
            "token_logprobs": [max(logprob.logprob, -9999.0) for logprob in logprobs],
            "top_logprobs": [
                {
                    token_text(self._tokenizer, token): max(value, -9999.0)
                    for token, value in logprob.likeliest
                }
                for logprob in logprobs
            ],
            "text_offset": [start + sum(map(len, texts[:place])) for place in range(len(texts))],
        }


async def text_events(
    writer: TextWriter,
    first: Continuation,
    rest: AsyncGenerator[tuple[TextWriter, Continuation], None],
    with_usage: bool,
) -> AsyncGenerator[bytes, None]:
    """The chunks of a streamed continuation. An error becomes a chunk too, since the status has been sent already."""
    update = first
    try:
        async with aclosing(rest) as updates:
            yield event(writer.part(first))
            async for _, update in updates:
                yield event(writer.part(update))
            if with_usage:
                yield event(writer.part(update, usage=True, last=True))
    except Exception as error:
        yield event(as_api_error(error).body)
        return
    yield b"data: [DONE]\n\n"
