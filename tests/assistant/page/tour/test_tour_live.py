"""What can be tried on the tour: the handlers over an engine without a model."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from helpers.fake_chat import FakeChat, FakeServed
from markupsafe import escape

from assistant.errors import EngineBusy
from assistant.page.session.tour_session import TourSession
from assistant.page.tour import live_views, tour_handlers
from assistant.page.tour.tour_handlers import Drawn, TourHandlers
from assistant.tour.shared_starter import SharedStarter


@pytest.fixture
def fake() -> FakeChat:
    return FakeChat()


@pytest.fixture
def tour(fake: FakeChat) -> TourHandlers:
    engine: Any = fake.engine
    return TourHandlers(SharedStarter(lambda home: engine), engine)


def drawn(stream: AsyncGenerator[Drawn, None]) -> list[Drawn]:
    async def run() -> list[Drawn]:
        return [update async for update in stream]

    return asyncio.run(run())


def test_the_base_v1_and_an_aligned_version_get_the_same_message(fake: FakeChat, tour: TourHandlers) -> None:
    session = TourSession()
    shown = drawn(tour.compare(session, {"text": "347 + 285"}))[-1]["base_and_assistant-live"]
    assert list(session.sides["base_and_assistant"]) == ["base", "v1", "aligned"]
    assert "v1, which serves here: then trained on feedback (kto)" in shown
    assert session.texts.no_aligned not in shown
    assert fake.requests == [("347 + 285", False), ("347 + 285", True), ("347 + 285", True)]


def test_without_an_aligned_starter_there_are_two_and_the_page_says_so(
    tour: TourHandlers, fake: FakeChat
) -> None:
    fake.base = "smollm2"
    session = TourSession()
    shown = drawn(tour.compare(session, {"text": "347 + 285"}))[-1]["base_and_assistant-live"]
    assert list(session.sides["base_and_assistant"]) == ["base", "v1"]
    assert session.texts.no_aligned in shown


def test_thinking_is_on_in_one_answer_and_off_in_the_other(tour: TourHandlers, fake: FakeChat) -> None:
    session = TourSession()
    drawn(tour.think(session, {"text": "347 + 285"}))
    on, off = session.sides["chain_of_thought"].values()
    assert on.thought and not off.thought and on.answer == off.answer == "The answer is **632**."


def test_nothing_of_the_tour_is_stored(tour: TourHandlers, fake: FakeChat) -> None:
    session = TourSession()
    drawn(tour.compare(session, {"text": "which 7"}))
    drawn(tour.write_two(session, {"index": "0"}))
    drawn(tour.vote(session, {"kind": "up", "side": "0"}))
    assert [kind for kind, _ in session.rows] == ["trl-kto"]
    (shown,) = drawn(tour.vote(session, {"kind": "down", "side": "1"}))
    assert shown["votes_and_rows-live"].count('aria-pressed="true"') == 2 and len(session.votes) == 2
    assert fake.turns == {} and fake.ratings == {}


def test_what_a_visitor_and_a_model_write_is_escaped_and_bounded(tour: TourHandlers, fake: FakeChat) -> None:
    session = TourSession()
    attack = "<img src=x onerror=alert(1)>"
    first, *_, last = drawn(tour.compare(session, {"text": attack + "x" * 10_000}))
    assert all("<img" not in html for html in (*first.values(), *last.values()))
    assert len(session.messages["base_and_assistant"]) == live_views.MAX_MESSAGE
    drawn(tour.write_two(session, {}))
    (shown,) = drawn(tour.vote(session, {"kind": "correction", "text": attack + "x" * 10_000}))
    assert "<img" not in shown["votes_and_rows-live"]
    assert len(session.votes[0].text) == live_views.MAX_CORRECTION


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "sabotage"},
        {"kind": ["up"]},
    ],
)
def test_a_vote_that_says_nothing_changes_nothing(tour: TourHandlers, data: dict[str, Any]) -> None:
    session = TourSession()
    assert drawn(tour.vote(session, {"kind": "up"})) == []  # there is no answer yet
    drawn(tour.write_two(session, {}))
    assert drawn(tour.vote(session, data)) == [] and session.votes == []


@pytest.mark.parametrize("text", [" ", 7])
def test_an_empty_correction_is_asked_for_and_keeps_the_answers(tour: TourHandlers, text: object) -> None:
    session = TourSession()
    drawn(tour.write_two(session, {}))
    (shown,) = drawn(tour.vote(session, {"kind": "correction", "text": text}))
    html = shown["votes_and_rows-live"]
    assert session.texts.empty_correction in html and html.count("<article") == 2 and session.votes == []


@pytest.mark.parametrize("seed", ["-1", "9" * 99, None, {}])
def test_a_seed_out_of_range_is_read_as_the_first(tour: TourHandlers, seed: object) -> None:
    session = TourSession()
    drawn(tour.chain_begin(session, {"text": "Who are you?", "seed": seed}))
    assert session.chain is not None and session.chain.seed == 0


def test_an_answer_to_no_question_is_not_begun(tour: TourHandlers) -> None:
    session = TourSession()
    (shown,) = drawn(tour.chain_begin(session, {"text": " "}))
    assert session.chat_texts.empty_message in shown["word_chain-live"] and session.chain is None


def test_a_token_that_was_not_offered_is_not_taken(tour: TourHandlers) -> None:
    session = TourSession()
    assert drawn(tour.chain_take(session, {})) == []  # no answer has begun
    drawn(tour.chain_begin(session, {"text": "Why?"}))
    assert session.question == "Why?"
    assert drawn(tour.chain_take(session, {"token": "77777"})) == []
    assert drawn(tour.chain_take(session, {"token": [1]})) == []
    drawn(tour.chain_take(session, {"token": f"{ord('x')}"}))
    assert session.chain is not None and session.chain.answer == "x"


def test_an_answer_with_a_chosen_token_is_not_among_the_drawn(
    tour: TourHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tour_handlers, "UPDATE_SECONDS", 0)
    session = TourSession()
    for token in ({"token": f"{ord('x')}"}, {}):
        drawn(tour.chain_begin(session, {"text": "Why?"}))
        drawn(tour.chain_take(session, token))
        drawn(tour.chain_take(session, {"all": "yes"}))
    assert session.chain is not None and session.chain.is_over
    assert session.chains == [(session.chain.seed, session.chain.answer)]


def test_the_same_seed_again_is_no_other_draw(tour: TourHandlers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour_handlers, "UPDATE_SECONDS", 0)
    session = TourSession()
    for _ in range(2):
        drawn(tour.chain_begin(session, {"text": "Why?", "seed": "7"}))
        drawn(tour.chain_take(session, {"all": "yes"}))
    assert session.chain is not None and session.chains == [(7, session.chain.answer)]


def test_while_an_answer_is_drawn_a_second_click_changes_nothing(tour: TourHandlers) -> None:
    session = TourSession()
    drawn(tour.chain_begin(session, {"text": "Why?"}))
    session.begin("word_chain")
    assert drawn(tour.chain_take(session, {})) == []


def test_another_language_keeps_what_was_written(tour: TourHandlers) -> None:
    session = TourSession()
    drawn(tour.compare(session, {"text": "347 + 285"}))
    drawn(tour.chain_begin(session, {"text": "Why?"}))
    drawn(tour.think(session, {"text": " "}))
    before = dataclasses.replace(session, errors={}, language="zh")
    shown = tour.language(session, {"browser_language": "en"})
    assert session == before
    assert session.texts.sides["base"] in shown["base_and_assistant-live"]
    assert "632" in shown["base_and_assistant-live"]


def test_a_vote_that_makes_no_row_says_why(tour: TourHandlers) -> None:
    session = TourSession()
    drawn(tour.write_two(session, {}))
    for kind, reason in (("left", session.texts.same_answers), ("both_bad", session.texts.no_row)):
        session.sides["votes_and_rows"] = dict.fromkeys(
            ("left", "right"), session.sides["votes_and_rows"]["left"]
        )
        (shown,) = drawn(tour.vote(session, {"kind": kind}))
        assert str(escape(reason)) in shown["votes_and_rows-live"]


def test_a_correction_says_whose_the_thought_is_and_outlives_another_vote(tour: TourHandlers) -> None:
    session = TourSession()
    drawn(tour.write_two(session, {}))
    assert session.sides["votes_and_rows"]["left"].thought
    (shown,) = drawn(tour.vote(session, {"kind": "correction", "text": "It is 633."}))
    assert str(escape(session.texts.thought_stays)) in shown["votes_and_rows-live"]
    (shown,) = drawn(tour.vote(session, {"kind": "down"}))
    assert str(escape(session.texts.thought_stays)) not in shown["votes_and_rows-live"]
    assert 'value="It is 633."' in shown["votes_and_rows-live"]
    drawn(tour.write_two(session, {}))
    assert session.correction == ""


def test_a_correction_takes_the_place_of_either_answer(tour: TourHandlers) -> None:
    session = TourSession()
    drawn(tour.write_two(session, {}))
    for side in ("0", "1"):
        (shown,) = drawn(tour.vote(session, {"kind": "correction", "text": "It is 633.", "side": side}))
        assert [(vote.kind, vote.side) for vote in session.votes] == [("correction", int(side))]
        pressed = shown["votes_and_rows-live"].split(f'data-key="vote-correction-{side}"')[1][:60]
        assert 'aria-pressed="true"' in pressed


def test_a_later_run_ends_the_earlier(tour: TourHandlers, fake: FakeChat) -> None:
    session = TourSession()

    async def two_runs() -> None:
        earlier = tour.compare(session, {"text": "slow"})
        while not session.sides.get("base_and_assistant"):
            await anext(earlier)
        async for _ in tour.compare(session, {"text": "347 + 285"}):
            pass
        async for _ in earlier:
            pass

    asyncio.run(two_runs())
    assert session.messages["base_and_assistant"] == "347 + 285" and not session.busy
    assert session.sides["base_and_assistant"]["v1"].answer == "The answer is **632**."


def test_a_busy_engine_is_named_on_the_screen(tour: TourHandlers, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> AsyncGenerator[Any, None]:
        raise EngineBusy("192 replies wait.")
        yield

    monkeypatch.setattr(FakeServed, "stream", refuse)
    session = TourSession(language="zh")
    with pytest.raises(EngineBusy) as caught:
        drawn(tour.think(session, {"text": "7"}))
    shown = tour.failed(session, "chain_of_thought", caught.value)["chain_of_thought-live"]
    assert session.chat_texts.errors["EngineBusy"] in shown and "192" not in shown and not session.busy


def test_an_empty_message_is_refused_in_words(tour: TourHandlers) -> None:
    session = TourSession()
    (shown,) = drawn(tour.compare(session, {"text": "  "}))
    assert session.chat_texts.empty_message in shown["base_and_assistant-live"]
