"""Steps that follow each other at once are told together, and nothing that somebody waits for is kept back."""

from __future__ import annotations

import pytest
from transformers.generation.continuous_batching.requests import GenerationOutput, RequestStatus

from assistant import news
from assistant.news import TOGETHER_SECONDS, News, Router


def step(key: str, tokens: int, status: RequestStatus = RequestStatus.DECODING) -> GenerationOutput:
    return GenerationOutput(key, generated_tokens=list(range(tokens)), status=status)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [100.0]
    monkeypatch.setattr(news.time, "monotonic", lambda: now[0])
    return now


def told_of(told: list[list[News]]) -> list[list[tuple[str, int]]]:
    return [[(one.key, len(one.tokens)) for one in batch] for batch in told]


def test_steps_in_quick_succession_are_told_together_and_slow_ones_each(clock: list[float]) -> None:
    told: list[list[News]] = []
    router = Router(told.append)
    for tokens in range(1, 8):
        router.deliver_batch([step("a", tokens)])
        clock[0] += TOGETHER_SECONDS / 2.5
    assert told_of(told) == [[("a", 1)], [("a", 4)], [("a", 7)]]
    told.clear()
    for tokens in range(8, 11):
        clock[0] += 2 * TOGETHER_SECONDS
        router.deliver_batch([step("a", tokens)])
    assert told_of(told) == [[("a", 8)], [("a", 9)], [("a", 10)]]


@pytest.mark.parametrize(
    "urgent",
    [
        step("b", 1),
        step("b", 5, RequestStatus.FINISHED),
        GenerationOutput("b", generated_tokens=[1, 2], error="out of memory"),
    ],
    ids=["first token", "end", "failure"],
)
def test_what_somebody_waits_for_is_told_at_once(clock: list[float], urgent: GenerationOutput) -> None:
    told: list[list[News]] = []
    router = Router(told.append)
    router.deliver_batch([step("a", 2)])
    router.deliver_batch([step("a", 3)])
    router.deliver_batch([step("a", 4), urgent])
    assert told_of(told) == [[("a", 2)], [("a", 4), ("b", len(urgent.generated_tokens))]]
