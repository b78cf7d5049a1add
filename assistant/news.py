"""What the steps of a batch brought, handed on from the thread that makes them."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from transformers.generation.continuous_batching.continuous_api import OutputRouter
from transformers.generation.continuous_batching.requests import GenerationOutput

TOGETHER_SECONDS = 0.02
"""Steps within so much time are told together: fifty times a second is as good as always."""


@dataclass(frozen=True)
class News:
    """A reply as far as it has come."""

    key: str
    tokens: list[int]
    """All of them, and not only the new ones."""
    finished: bool
    error: str | None


class Router(OutputRouter):
    """Hands on what steps brought, for all replies in one call.

    Whoever is woken for every step takes the time of the next one. So steps that follow each other faster than anybody
    reads are handed on together; first tokens and ends never wait.
    """

    def __init__(self, deliver: Callable[[list[News]], None]) -> None:
        super().__init__()
        self._deliver = deliver
        self._told = -math.inf

    def deliver(self, output: GenerationOutput) -> None:
        """Hand on what a step brought for one reply."""
        self.deliver_batch([output])

    def deliver_batch(self, outputs: list[GenerationOutput]) -> None:
        """Hand on what a step brought, or leave it to the next step, whose news hold these as well."""
        now = time.monotonic()
        if now - self._told < TOGETHER_SECONDS and all(map(_can_wait, outputs)):
            return
        self._told = now
        self._deliver(
            [News(one.request_id, one.generated_tokens, one.is_finished(), one.error) for one in outputs]
        )


def _can_wait(output: GenerationOutput) -> bool:
    return len(output.generated_tokens) > 1 and output.error is None and not output.is_finished()
