"""Sending messages, and what the page shows during and after a reply."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from helpers.fake_chat import FakeChat
from helpers.handler_steps import collect, event, request, say, shown
from markupsafe import escape

from assistant.bases.built_in_cards import STARTER_CARD
from assistant.chat.reply_stream import Update
from assistant.page.chat_events import ChatHandlers
from assistant.page.handlers.page_update import SKIP, PageUpdate
from assistant.page.handlers.session_manager import SessionManager
from assistant.page.i18n.languages import CHINESE, ENGLISH, ChatTexts
from assistant.page.session.chat_session import ChatSession
from assistant.page.views import conversation
from assistant.page.views import reply as reply_view
from feedback_store.errors import StoreUnwritable

EXAMPLE = STARTER_CARD.texts["en"].examples[0]


def test_a_message_streams_thought_then_answer(handlers: ChatHandlers, session: ChatSession) -> None:
    screens = say(handlers, session, "347 + 285")
    assert screens[0].message == ""
    reply = session.turns[-1].id
    assert f'<details class="thought thinking" id="thought-{reply}" open>' in shown(screens[3])
    assert "<summary>Thinking…</summary>" in shown(screens[3])
    final = shown(screens[-1])
    assert re.search(r"<summary>Thought for \d+\.\d s</summary>", final)
    assert " open>" not in final
    assert "The answer is <strong>632</strong>." in final
    assert '<span class="caption">v1</span>' in final


def test_a_message_is_sent_with_the_switches_as_shown_even_if_their_own_events_arrive_later(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    collect(handlers.sending.send("which one?", session, None, False, "resample"))
    assert chat.requests == [("which one?", False)] * 2
    assert session.memory()["mode"] == "resample" and session.memory()["think"] is False
    collect(handlers.sending.retry(session, event(turn=session.turns[-1].id), None, True, "resample"))
    assert chat.requests[2:] == [("which one?", True)]


def test_without_thinking_there_is_no_thought_block(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    handlers.opening.set_think(False, session)
    final = shown(say(handlers, session, "347 + 285")[-1])
    assert chat.requests == [("347 + 285", False)]
    assert "<details" not in final


def test_the_browser_learns_the_conversation_with_the_first_update(
    handlers: ChatHandlers, session: ChatSession
) -> None:
    screens = say(handlers, session, "hello")
    assert screens[1].memory["conversation"] == session.conversation is not None


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_an_empty_message_sends_nothing_and_hints(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession, text: str
) -> None:
    [screen] = say(handlers, session, text)
    assert chat.requests == []
    assert ENGLISH.empty_message in shown(screen)


def test_an_error_is_shown_and_one_click_sends_the_message_again(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    final = say(handlers, session, "broken please")[-1]
    assert ENGLISH.errors["EngineError"] in shown(final)
    assert 'role="alert"' in shown(final)
    assert final.message is SKIP
    assert shown(final).count("broken please</div>") == 1
    assert "You said: hello" in shown(final)
    assert not session.busy
    assert f'data-do="retry" data-turn="{session.turns[-1].id}"' in shown(final)
    two = collect(handlers.sending.send("broken twice", session, None, True, "resample"))[-1]
    assert two.message is SKIP and shown(two).count("broken twice</div>") == 1


def test_a_message_without_a_reply_is_answered_by_one_click_of_its_own_rater_only(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    # As after a crash of the server before the reply was stored.
    question = chat.store.add_message(
        str(session.conversation), session.turns[-1].id, "user", "are you there?"
    ).id
    screen = handlers.opening.open(reopened := ChatSession(), request(), session.memory())
    again = f'data-do="retry" data-turn="{question}">{ENGLISH.resend}'
    assert again in shown(screen)
    thief = ChatSession(browser="rater-2", turns=list(reopened.turns))
    screen = collect(handlers.sending.retry(thief, event(turn=question)))[-1]
    assert ENGLISH.errors["NotYours"] in shown(screen)
    assert len(chat.finished) == 1
    screen = collect(handlers.sending.retry(reopened, event(turn=question)))[-1]
    assert reopened.turns[-1].content == "You said: are you there?"
    assert reopened.turns[-2].siblings == (question,)
    assert again not in shown(screen)


def test_an_error_of_the_store_is_shown(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(handlers, session, "hello")

    def full(*_: object) -> None:
        raise StoreUnwritable("sqlite: disk I/O error. Free some space.")

    monkeypatch.setattr(chat.library, "rate", full)
    html = shown(handlers.rating.rate_reply(session, event(turn=session.turns[-1].id, value="1")))
    assert ENGLISH.errors["StoreUnwritable"] in html and "sqlite" not in html
    assert "You said: hello" in html


def test_a_message_that_never_got_a_reply_is_replaced_by_the_next(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    assert session.conversation is not None
    head = session.turns[-1].id
    chat.store.add_message(session.conversation, head, "user", "lost")
    SessionManager(chat).reload(session)
    say(handlers, session, "again")
    assert [turn.content for turn in session.turns] == [
        "hello",
        "You said: hello",
        "again",
        "You said: again",
    ]


def test_an_example_is_sent_unchanged(chat: FakeChat, handlers: ChatHandlers, session: ChatSession) -> None:
    collect(handlers.sending.example(session, event(text=EXAMPLE)))
    assert chat.requests == [(EXAMPLE, True)]


def test_stop_keeps_the_part_that_was_written(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    session.think = False

    async def run() -> PageUpdate:
        screens = handlers.sending.send("slow", session)
        async for screen in screens:
            last = screen
            if session.live is not None and "tick" in session.live.answer:
                await handlers.sending.stop(session)
        return last

    final = asyncio.run(run())
    assert "tick" in session.turns[-1].content
    assert session.turns[-1].finish_reason == "stopped"
    assert '<span class="caption">v1 · stopped</span>' in shown(final)


def test_stop_before_the_first_word_still_stops(handlers: ChatHandlers, session: ChatSession) -> None:
    async def run() -> None:
        screens = handlers.sending.send("slow", session)
        await anext(screens)
        await handlers.sending.stop(session)
        async for _ in screens:
            pass

    asyncio.run(asyncio.wait_for(run(), 10))
    assert session.turns[-1].finish_reason == "stopped"


def test_a_second_message_waits_for_the_first(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    async def run() -> PageUpdate:
        screens = handlers.sending.send("slow", session)
        await anext(screens)
        hint = await anext(handlers.sending.send("me too", session))
        await handlers.sending.stop(session)
        async for _ in screens:
            pass
        return hint

    assert ENGLISH.busy in shown(asyncio.run(run()))
    assert [message for message, _ in chat.requests] == ["slow"]


def test_after_an_unexpected_error_the_page_can_be_used_again(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> AsyncIterator[Any]:
        raise ZeroDivisionError
        yield

    monkeypatch.setattr(chat, "reply", broken)
    with pytest.raises(ZeroDivisionError):
        say(handlers, session, "hello")
    screen = handlers.sending.recover(session)
    assert not session.busy
    assert screen.message == "hello"
    assert escape(ENGLISH.unexpected) in shown(screen)


def test_a_reply_says_if_its_model_did_not_read_the_oldest_messages(
    handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "347 + 285")
    assert "oldest" not in "".join(conversation.conversation(session, "v1"))
    session.turns[-1] = dataclasses.replace(session.turns[-1], dropped=4)
    assert "written without the 4 oldest messages" in "".join(conversation.conversation(session, "v1"))


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_the_place_in_the_queue_and_what_is_read_are_shown_until_the_first_word(texts: ChatTexts) -> None:
    update = Update("r1", "c1", "", "", "v1", False, None, 0.0, None, waiting=3)
    assert texts.queue_format.format(place=3) in reply_view.live_reply(texts, update)
    reading = dataclasses.replace(update, waiting=0, prompt_tokens=3900)
    assert texts.reading_format.format(tokens="3,900") in reply_view.live_reply(texts, reading)
    begun = dataclasses.replace(reading, completion_tokens=1, thinking=True)
    assert "3,900" not in reply_view.live_reply(texts, begun) and texts.thinking in reply_view.live_reply(
        texts, begun
    )
    written = dataclasses.replace(update, waiting=0, answer="19")
    assert texts.queue_format.split("{place}")[0] not in reply_view.live_reply(texts, written)


def test_a_message_with_two_answers_waiting_for_a_choice_cannot_be_sent_again(
    handlers: ChatHandlers, session: ChatSession
) -> None:
    screens = collect(handlers.sending.send("which one?", session, None, True, "resample"))
    assert ENGLISH.choices["left"] in shown(screens[-1])
    assert ENGLISH.resend not in shown(screens[-1])


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_two_answers_that_are_the_same_are_shown_once_and_not_compared(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession, texts: ChatTexts
) -> None:
    session.language = texts.code
    final = shown(collect(handlers.sending.send("347 + 285", session, None, True, "thinking"))[-1])
    assert texts.pair_same in final and texts.choices["left"] not in final
    assert final.count("<strong>632</strong>") == 1
    # Both are kept, as answers that were asked for again are.
    assert len(chat.siblings(session.turns[-1].parent_id)) == 2
    handlers.rating.choose(session, event(value="left"))
    assert list(chat.store.comparisons()) == []
    # As in a browser that stored them as waiting, before an update of the app.
    ids = [turn.id for turn in chat.siblings(session.turns[-1].parent_id)]
    again = ChatSession()
    handlers.opening.open(again, request(), {**session.memory(), "pair": ["thinking", *ids]})
    assert again.pair is None and len(again.turns) == 2
