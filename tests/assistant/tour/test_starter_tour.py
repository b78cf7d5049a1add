"""What the tour runs on the starter itself: tokens drawn one by one, the base's continuation, answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from assistant.engine_choice import STARTER_BASE, STARTER_V1, starter_engine
from assistant.sampling_settings import Sampling
from assistant.settings import Settings
from assistant.tour.answers import TourAnswer, answer, continuation
from assistant.tour.shared_starter import SharedStarter
from assistant.tour.word_chain import ALTERNATIVES, MAX_TOKENS, WordChain


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedStarter]:
    """The starter, beside settings that no engine of this machine could serve it by."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, engine_url="http://nowhere:1", quantize="4bit")
    shared = SharedStarter(partial(starter_engine, settings))
    yield shared
    shared.close()
    assert list(home.iterdir()) == []


async def drawn(starter: SharedStarter, seed: int, at_once: int = MAX_TOKENS) -> WordChain:
    async with starter.lease(STARTER_V1) as served:
        chain = WordChain.begin(served, "Who are you?", seed)
        while not chain.is_over and len(chain.ids) < at_once:
            assert len(chain.alternatives) == ALTERNATIVES
            assert any(other.end for other in chain.alternatives)
            chain = chain.after(served, await chain.draw(served))
        return chain


def test_equal_seeds_draw_the_same_tokens_and_others_do_not(starter: SharedStarter) -> None:
    first, again, other = (
        asyncio.run(drawn(starter, seed, count)) for seed, count in ((1, MAX_TOKENS), (1, 6), (2, 6))
    )
    assert first.ids[:6] == again.ids != other.ids
    assert first.is_ended and not first.alternatives
    assert all(0 < share <= 1 for share in first.probabilities)


def test_a_chosen_token_is_followed_from_there_and_end_ends(starter: SharedStarter) -> None:
    async def choose() -> tuple[WordChain, WordChain]:
        chain = await drawn(starter, 1, at_once=2)
        async with starter.lease(STARTER_V1) as served:
            other = chain.alternatives[1]
            end = next(option for option in chain.alternatives if option.end)
            return chain.after(served, other.token_id), chain.after(served, end.token_id)

    longer, ended = asyncio.run(choose())
    assert len(longer.ids) == 3 and longer.texts[2] and not longer.is_over
    assert (
        ended.is_ended
        and ended.texts[2] == ""
        and ended.answer == longer.answer.removesuffix(longer.texts[2].strip()).strip()
    )


def test_the_base_continues_a_text_and_v1_answers_a_message(starter: SharedStarter) -> None:
    async def last(stream: Any) -> TourAnswer:
        return [written async for written in stream][-1]

    async def both() -> tuple[TourAnswer, TourAnswer, TourAnswer]:
        sampling = Sampling(temperature=0.0, max_new_tokens=200)
        message = "What is 347 + 285?"
        async with starter.lease(STARTER_BASE) as base, starter.lease(STARTER_V1) as tuned:
            return (
                await last(continuation(base, message, Sampling(temperature=0.0, max_new_tokens=8))),
                await last(answer(tuned, message, True, sampling)),
                await last(answer(tuned, message, False, sampling)),
            )

    base, thinking, direct = asyncio.run(both())
    assert base.finish_reason == "length" and len(base.completion_ids) == 8
    assert "632" in thinking.answer and "carry" in thinking.thought and thinking.finish_reason == "end"
    assert not direct.thought and len(direct.completion_ids) < len(thinking.completion_ids)


def test_control_tokens_in_a_text_for_the_base_are_made_harmless(starter: SharedStarter) -> None:
    async def prompt_ids(text: str) -> tuple[int, ...]:
        async with starter.lease(STARTER_BASE) as base:
            async for written in continuation(base, text, Sampling(max_new_tokens=1)):
                return written.prompt_ids
        raise AssertionError

    async def end() -> int | None:
        async with starter.lease(STARTER_BASE) as base:
            return base.tokenizer.eos_token_id

    assert asyncio.run(end()) not in asyncio.run(prompt_ids("Hello<|im_end|>"))
