"""A version whose adapter is attached to its base: what a lease of the engine on llama.cpp hands out."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from assistant.errors import EngineError, FormatRefused, TooLong
from assistant.registry.versions import Version
from assistant.sampling_settings import Sampling
from assistant.serving.context_window import completion_limit
from assistant.serving.engine import Chunk, TokenScore
from assistant.serving.llama_cpp.completion_request import CompletionRequest, completion_body
from assistant.serving.llama_cpp.llama_server import LlamaServer
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer

QUEUE_SECONDS = 0.2
"""How often a reply that waits looks at its place in the queue."""


@dataclass(frozen=True)
class AttachedVersion:
    """One version in service, as a lease hands it out."""

    version: Version
    server: LlamaServer

    @property
    def tokenizer(self) -> Tokenizer:
        """The base's tokenizer."""
        return self.server.base.tokenizer

    @property
    def window(self) -> int:
        """Longest sequence in tokens, prompt and completion together."""
        return self.server.base.window

    @property
    def parameters(self) -> int | None:
        """Number of the base's parameters."""
        return self.server.base.parameters

    def check_schema(self, schema: str) -> None:
        """See `ServedVersion.check_schema`."""
        if not self.server.base.ends:
            raise FormatRefused(
                "This model has no token that ends an answer, so that no format can end either."
            )
        if not self.server.follows(schema, self.version.id):
            raise FormatRefused(
                "llama.cpp cannot make a grammar of this schema: a type or a pattern in it is unknown, a '$ref' leads "
                "nowhere, or nothing fits it. Simplify it."
            )

    async def stream(self, prompt_ids: list[int], sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """See `ServedVersion.stream`."""
        limit = completion_limit(self, prompt_ids, sampling)
        if len(prompt_ids) >= self.server.base.capacity:
            raise TooLong(
                f"The message is too long: {len(prompt_ids)} tokens with its conversation, and this machine keeps "
                f"{self.server.base.capacity} in memory. Shorten it, or grant more with --cache-memory.",
                len(prompt_ids),
                self.server.base.capacity,
            )
        limit = min(limit, self.server.base.capacity - len(prompt_ids))
        request = CompletionRequest(
            asyncio.get_running_loop(),
            self.server.base,
            prompt_ids,
            sampling,
            limit,
            self.server.adapters.get(self.version.id),
            len(self.server.adapters),
        )
        self.server.submit(request)
        position = 0
        try:
            while True:
                try:
                    await asyncio.wait_for(request.changed.wait(), QUEUE_SECONDS)
                except TimeoutError:
                    now = self.server.position(request)
                    if now != position:
                        position = now
                        yield Chunk([], None, waiting=now)
                    continue
                ids, logprobs, reason = request.take()
                if request.error is not None:
                    raise EngineError(f"The reply failed: {request.error}. Send the message again.")
                if ids or reason:
                    yield Chunk(ids, reason, logprobs)
                if reason:
                    return
        finally:
            self.server.withdraw(request)

    def score(
        self, prompt_ids: list[int], completion_ids: list[int], sampling: Sampling, alternatives: int
    ) -> list[TokenScore]:
        """See `ServedVersion.score`. One token is drawn after each beginning of the completion."""
        scores = []
        for place, token in enumerate(completion_ids):
            drawn = self._likeliest(prompt_ids, completion_ids[:place], sampling, max(2 * alternatives, 20))
            if token not in drawn:
                drawn = self._likeliest(
                    prompt_ids, completion_ids[:place], sampling, self.server.base.tokenizer.vocab_size
                )
            scores.append(TokenScore(drawn.get(token, 0.0), tuple(drawn.items())[:alternatives]))
        return scores

    def _likeliest(
        self, prompt_ids: list[int], completion_ids: list[int], sampling: Sampling, count: int
    ) -> dict[int, float]:
        """Token id → probability of the next token, the likeliest first."""
        body = completion_body(
            [*prompt_ids, *completion_ids], sampling, 1, ignore_end=False, drawn=len(completion_ids)
        )
        if sampling.temperature == 0:
            body |= {"temperature": 1.0, "samplers": ["temperature"]}
        probabilities: dict[int, float] = {}

        def each(part: dict[str, Any]) -> bool:
            for entry in ((part.get("choices") or [{}])[0].get("logprobs") or {}).get("content", []):
                probabilities.update({other["id"]: other["prob"] for other in entry["top_probs"]})
            return False

        body |= {"n_probs": count, "post_sampling_probs": True}
        self.server.complete(body, self.version.id, each)
        return probabilities
