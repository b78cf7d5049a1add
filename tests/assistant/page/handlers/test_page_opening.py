"""Opening the page: the person, what their browser stored, and the language."""

from __future__ import annotations

import pytest
from helpers.handler_steps import collect, event, request, say, shown

from assistant.bases.built_in_cards import STARTER_CARD
from assistant.page.chat_events import ChatHandlers
from assistant.page.i18n.languages import CHINESE, ENGLISH
from assistant.page.session.chat_session import ChatSession
from assistant.page.session.preferences import Preferences, preferences
from assistant.sampling_settings import Sampling


def test_a_first_visit_gets_an_unguessable_pseudonym_and_examples(handlers: ChatHandlers) -> None:
    first, second = ChatSession(), ChatSession()
    screen = handlers.opening.open(first, request("zh-CN"), None)
    handlers.opening.open(second, request(), None)
    assert len(first.rater) >= 22
    assert first.rater != second.rater
    assert all(example in shown(screen) for example in STARTER_CARD.texts["zh"].examples)
    assert screen.memory == {
        "rater": first.rater,
        "account": None,
        "language": "zh",
        "think": None,
        "mode": "one",
        "preferences": {},
        "conversation": None,
        "pair": None,
        "told": "",
    }


def test_a_reload_restores_conversation_ratings_and_switches(
    handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.rating.feedback(session, event(turn=reply, value="-1", reasons=["wrong"], text="no"))
    memory = handlers.opening.set_think(False, session).memory
    again = ChatSession()
    screen = handlers.opening.open(again, request(), memory)
    assert "You said: hello" in shown(screen)
    assert again.turns[-1].rating == -1
    assert again.turns[-1].reasons == ("wrong",)
    assert again.think is False


@pytest.mark.parametrize(
    "memory", ["text", 7, [], {"rater": 3, "conversation": [], "language": "xx", "think": "yes"}]
)
def test_a_malformed_memory_is_a_first_visit(handlers: ChatHandlers, memory: object) -> None:
    session = ChatSession()
    handlers.opening.open(session, request(), memory)
    assert session.rater
    assert session.language == "en"
    assert session.conversation is None


@pytest.mark.parametrize("name", ["login-0f", "api-0f", "api"])
def test_what_a_browser_stored_cannot_claim_the_pseudonym_of_an_account_or_a_program(
    handlers: ChatHandlers, name: str
) -> None:
    handlers.opening.open(session := ChatSession(), request(), {"rater": name})
    assert session.rater and session.rater != name


def test_somebody_elses_conversation_is_not_shown(handlers: ChatHandlers, session: ChatSession) -> None:
    say(handlers, session, "secret")
    thief = ChatSession()
    screen = handlers.opening.open(thief, request(), {**session.memory(), "rater": "rater-2"})
    assert "secret" not in shown(screen)
    assert ENGLISH.lost_conversation in shown(screen)


def test_an_address_opens_its_conversation_for_its_owner_only(
    handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    first = session.conversation
    handlers.branching.new_conversation(session)
    say(handlers, session, "second")
    memory = session.memory()
    for address, expected in (
        (first, "said: hello"),
        (None, "said: second"),
        ("", "welcome"),
        ("0", "welcome"),
    ):
        screen = handlers.opening.open(tab := ChatSession(), request(), {**memory, "shown": address})
        assert expected in shown(screen), address
    assert tab.conversation is None and ENGLISH.lost_conversation in shown(screen)
    thief = handlers.opening.open(ChatSession(), request(), {"rater": "rater-2", "shown": first})
    assert "said: hello" not in shown(thief) and ENGLISH.lost_conversation in shown(thief)


def test_an_open_page_continues_after_a_restart_of_the_server(
    handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    memory = session.memory()
    again = ChatSession()
    collect(handlers.sending.send("more", again, memory))
    assert again.rater == "rater-1"
    assert [turn.content for turn in again.turns][:3] == ["hello", "You said: hello", "more"]


def test_the_language_button_changes_every_text(handlers: ChatHandlers, session: ChatSession) -> None:
    say(handlers, session, "hello")
    screen = handlers.opening.language(session)
    assert f'aria-label="{CHINESE.good}"' in shown(screen)
    assert CHINESE.new_conversation in screen.header
    assert ENGLISH.good not in shown(screen)
    assert screen.memory["language"] == "zh"


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {"temperature": "hot", "top_p": 0, "top_k": -1, "max_new_tokens": 0, "seed": 1.5, "system": 3},
    ],
)
def test_invalid_settings_are_ignored(values: object) -> None:
    assert preferences(values) == Preferences()


def test_only_changed_settings_differ_from_the_servers() -> None:
    server = Sampling(temperature=0.3, max_new_tokens=512)
    assert Preferences().sampling(server) == server
    sampling = preferences({"temperature": "1.25", "top_k": "40"}).sampling(server)
    assert (sampling.temperature, sampling.top_k, sampling.max_new_tokens) == (1.25, 40, 512)
