"""One's own feedback: what stands, which versions learned from it, taking it back, and consent."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import pytest
from helpers.fake_chat import FakeChat
from helpers.handler_steps import event, request, say, shown

from assistant.admin.next_version import NextVersion
from assistant.page.chat_events import ChatHandlers
from assistant.page.handlers.page_update import SKIP, PageUpdate
from assistant.page.handlers.patches import _Patches
from assistant.page.handlers.session_manager import SessionManager
from assistant.page.i18n.languages import LANGUAGES
from assistant.page.session.chat_session import ChatSession


def test_the_line_below_the_message_box_counts_each_vote_and_is_sent_when_it_changes(
    chat: FakeChat, session: ChatSession, tmp_path: Path
) -> None:
    handlers = ChatHandlers(SessionManager(chat, next_version=NextVersion(chat.store, tmp_path, patience=60)))

    def line(screen: PageUpdate) -> str:
        return str(_Patches((session,)).patch(screen).footnote)

    texts = session.texts
    said = say(handlers, session, "hello")
    assert texts.votes_until_format.format(votes=0, needed=50) in line(said[-1])
    reply = session.turns[-1].id
    rated = handlers.rating.rate_reply(session, event(turn=reply, value="1"))
    assert texts.votes_until_format.format(votes=1, needed=50) in line(rated)
    again = handlers.rating.finish(session, event(turn=reply, value="1", reasons=["clear"], text=""))
    assert line(again) == str(SKIP)
    panel = handlers.panels.my_feedback(session)
    assert texts.votes_until_format.format(votes=1, needed=50) in str(panel.panel)
    opted_out = handlers.panels.set_consent(session, event(values={}))
    assert texts.votes_until_format.format(votes=0, needed=50) in line(opted_out)


@pytest.mark.parametrize("code", LANGUAGES)
def test_people_see_which_version_learned_from_their_thumb(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession, code: str
) -> None:
    session.language = code
    texts = LANGUAGES[code]
    assert texts.no_feedback in unescape(str(handlers.panels.my_feedback(session).panel))
    say(handlers, session, "Why <b>now</b>?")
    reply = session.turns[-1].id
    handlers.rating.rate_reply(session, event(turn=reply, value="1"))

    panel = str(handlers.panels.my_feedback(session).panel)
    assert "Why &lt;b&gt;now&lt;/b&gt;?" in panel and texts.feedback_kinds["up"] in panel
    assert texts.not_learned_yet in unescape(panel)

    conversation = chat.store.reply(reply).conversation_id
    chat.store.record_snapshot("one", Path("/snapshots/one"), "0" * 64, {}, [session.rater], [conversation])
    chat.store.record_use("v2", "one")
    assert texts.learned_by_format.format(versions="v2") in unescape(
        str(handlers.panels.my_feedback(session).panel)
    )


@pytest.mark.parametrize(
    ("stage", "thumbs", "corrections"), [("correct", 0, 1), ("kto", 1, 0), ("dpo", 1, 1)]
)
def test_a_version_has_learned_only_from_what_its_stage_reads(
    chat: FakeChat,
    handlers: ChatHandlers,
    session: ChatSession,
    stage: str,
    thumbs: int,
    corrections: int,
) -> None:
    chat.stage = stage
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.rating.rate_reply(session, event(turn=reply, value="-1"))
    handlers.rating.keep_correction(session, event(turn=reply, text="Good day."))
    conversation = chat.store.reply(reply).conversation_id
    chat.store.record_snapshot("one", Path("/snapshots/one"), "0" * 64, {}, [session.rater], [conversation])
    chat.store.record_use("v2", "one")
    learned = {one.value: len(one.learned_by) for one in chat.given_feedback(session.rater)}
    assert learned == {-1: thumbs, 0: corrections}


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_correction_says_whether_it_holds_in_the_version_that_answers_now(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession, tmp_path: Path, code: str
) -> None:
    session.language, chat.home = code, tmp_path
    say(handlers, session, "hello")
    handlers.rating.keep_correction(session, event(turn=session.turns[-1].id, text="Good day."))

    def panel() -> str:
        return unescape(str(handlers.panels.my_feedback(session).panel))

    states = session.texts.fix_states
    assert states["not asked"].format(version="v1") in panel()
    found = {
        "asked": "hello", "correction": "Good day.", "wrong": "You said: hello",
        "answer": "<b>Bye", "holds": False, "answer_before": "Good day.", "held_before": True,
    }  # fmt: skip
    folder = tmp_path / "cycles" / "1"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text('{"released": "v0"}')
    (folder / "probes-v1.json").write_text(json.dumps([found]))
    assert states["lost"].format(version="v1") in panel() and '<q dir="auto"><b>Bye</q>' in panel()
    (folder / "probes-v1.json").write_text(json.dumps([{**found, "holds": True}]))
    assert states["still right"].format(version="v1") in panel() and "Bye" not in panel()


def test_feedback_is_taken_back_in_the_list_and_in_the_conversation(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.rating.rate_reply(session, event(turn=reply, value="-1"))
    handlers.rating.keep_correction(session, event(turn=reply, text="A better answer"))
    assert len(chat.store.given_feedback(session.rater)) == 2

    handlers.panels.take_back(session, event(turn=reply, kind="down"))
    screen = handlers.panels.take_back(session, event(turn=reply, kind="correction"))

    assert chat.store.given_feedback(session.rater) == []
    assert (session.turns[-1].rating, session.turns[-1].correction) == (0, None)
    assert session.texts.no_feedback in unescape(str(screen.panel))


def test_consent_is_given_until_it_is_withdrawn(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    assert "checked" in str(handlers.panels.my_feedback(session).panel)

    assert "checked" not in str(handlers.panels.set_consent(session, event(values={})).panel)
    assert chat.store.consent(session.rater) is False
    assert "checked" in str(handlers.panels.set_consent(session, event(values={"consent": "yes"})).panel)
    assert chat.store.consent(session.rater) is True


def test_after_a_release_people_are_told_once_that_it_learned_from_them(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    handlers.rating.rate_reply(session, event(turn=session.turns[-1].id, value="1"))
    conversation = str(session.conversation)
    chat.store.record_snapshot("one", Path("/snapshots/one"), "0" * 64, {}, [session.rater], [conversation])
    chat.store.record_use("v2", "one")
    chat.version, chat.versions = "v2", ("v1", "v2")

    opened = ChatSession()
    screen = handlers.opening.open(opened, request(), session.memory())
    text = opened.texts.learned_from_you_format.format(version="v2", count=1)
    assert opened.notice == text and text in shown(screen)

    again = ChatSession()
    handlers.opening.open(again, request(), opened.memory())
    assert again.notice is None

    stranger = ChatSession()
    handlers.opening.open(stranger, request(), None)
    assert stranger.notice is None
