"""Ratings with their reasons and comments."""

from __future__ import annotations

import re

import pytest
from helpers.fake_chat import FakeChat
from helpers.handler_steps import event, say, shown

from assistant.page.chat_events import ChatHandlers
from assistant.page.i18n.languages import ENGLISH
from assistant.page.session.chat_session import ChatSession


def test_a_thumb_opens_the_reasons_for_its_direction(handlers: ChatHandlers, session: ChatSession) -> None:
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    up = shown(handlers.rating.rate_reply(session, event(turn=reply, value="1")))
    assert re.findall(r'name="reason" value="(\w+)"', up) == ["correct", "clear", "helpful", "other"]
    down = shown(handlers.rating.rate_reply(session, event(turn=reply, value="-1")))
    assert re.findall(r'name="reason" value="(\w+)"', down) == [
        "wrong",
        "unclear",
        "off_topic",
        "too_long",
        "too_short",
        "other",
    ]
    assert ENGLISH.thanks in down


def test_reasons_are_stored_as_keys_with_the_comment(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    session.language = "zh"
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.rating.rate_reply(session, event(turn=reply, value="-1"))
    screen = handlers.rating.finish(
        session, event(turn=reply, value="-1", reasons=["wrong", "too_long"], text="不对")
    )
    rating = chat.ratings[reply, "rater-1"]
    assert (rating.value, rating.reasons, rating.comment) == (-1, ("wrong", "too_long"), "不对")
    assert "<form" not in shown(screen)


@pytest.mark.parametrize("how", ["same thumb", "withdraw"])
def test_a_rating_can_be_withdrawn(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession, how: str
) -> None:
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.rating.rate_reply(session, event(turn=reply, value="1"))
    again = event(turn=reply, value="0")
    screen = (
        handlers.rating.rate_reply(session, again)
        if how == "same thumb"
        else handlers.rating.withdraw(session, again)
    )
    assert chat.ratings == {}
    assert 'aria-pressed="true"' not in shown(screen)
    assert ENGLISH.withdrawn in shown(screen)


def test_an_event_that_is_sent_twice_rates_once_and_withdraws_nothing(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    for _ in range(2):
        screen = handlers.rating.rate_reply(session, event(turn=reply, value="1"))
    assert chat.ratings[reply, "rater-1"].value == 1
    assert re.findall(r'data-do="rate_reply"[^>]* data-value="(-?\d)"', shown(screen)) == ["0", "-1"]


def test_a_comment_that_arrives_late_does_not_undo_a_withdrawal(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.rating.rate_reply(session, event(1, turn=reply, value="1"))
    handlers.rating.withdraw(session, event(3, turn=reply))
    handlers.rating.feedback(session, event(2, turn=reply, value="1", reasons=[], text="late"))
    assert chat.ratings == {}


def test_a_comment_that_arrives_late_leaves_the_form_for_a_better_answer_open(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    screen = handlers.rating.rate_reply(session, event(1, turn=reply, value="-1"))
    assert f'data-do="correct" data-turn="{reply}">{ENGLISH.correct}' in shown(screen)
    handlers.rating.correct(session, event(3, turn=reply))
    screen = handlers.rating.feedback(session, event(2, turn=reply, value="-1", reasons=[], text="late"))
    assert chat.ratings[reply, "rater-1"].comment == "late"
    assert 'data-do="keep_correction"' in shown(screen) and 'data-change="feedback"' not in shown(screen)
