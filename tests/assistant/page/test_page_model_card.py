"""The page fits the model: texts and examples of its card, the switch for thinking, and its name without a path."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import gradio as gr
import pytest
from helpers.empty_versions import add
from helpers.fake_chat import FakeChat
from helpers.fake_dashboard import WHO, services_over
from helpers.handler_steps import collect, event, request, say, shown
from markupsafe import escape

from assistant.bases.base import Base
from assistant.bases.built_in_cards import SMOLLM2_CARD, STARTER_CARD
from assistant.page.chat_events import ChatHandlers
from assistant.page.chat_layout import build_layout
from assistant.page.dashboard.admin_handlers import AdminHandlers
from assistant.page.handlers.page_update import PageUpdate
from assistant.page.handlers.session_manager import SessionManager
from assistant.page.i18n.languages import LANGUAGES
from assistant.page.session.chat_session import ChatSession
from assistant.page.session.dashboard_session import DashboardSession
from assistant.registry.versions import Versions

SECRET = "/srv/secret-place/models/Some-1B"


class Page:
    """The handlers of a page over a model called `base`, and one tab's session."""

    def __init__(self, base: str, has_switch: bool) -> None:
        self.chat = FakeChat()
        self.chat.base, self.chat.has_switch = base, has_switch
        self.handlers, self.session = ChatHandlers(SessionManager(self.chat)), ChatSession()

    def open(self, language: str = "en", memory: object = None) -> PageUpdate:
        return self.handlers.opening.open(self.session, request(language), memory)


def switch(screen: PageUpdate) -> tuple[Any, Any]:
    """Whether the switch for thinking is on, and whether it is shown."""
    arguments = screen.think.constructor_args
    return arguments["value"], arguments["visible"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("base", "has_switch", "card"), [("starter", True, STARTER_CARD), ("smollm2", False, SMOLLM2_CARD)]
)
def test_welcome_examples_and_placeholder_are_the_models_own(
    base: str, has_switch: bool, card: Any, language: str
) -> None:
    screen = Page(base, has_switch).open(language)
    texts = card.texts[language]
    for text in (texts.greeting, texts.welcome, *texts.examples):
        assert str(escape(text)) in shown(screen)
    assert screen.message.constructor_args["placeholder"] == texts.placeholder
    assert f"v1 · {card.name} · {card.size}" in shown(screen)


def test_the_chinese_page_says_that_smollm2_knows_english_alone_and_marks_its_examples_as_english() -> None:
    screen = shown(Page("smollm2", False).open("zh"))
    assert "只懂英语" in screen
    assert '<section class="welcome" lang="zh">' in screen
    assert screen.count('<button type="button" lang="en"') == 4


def test_the_card_of_a_version_says_what_its_model_is_good_at_and_its_languages_and_licence() -> None:
    page = Page("smollm2", False)
    page.open()
    panel = str(page.handlers.panels.version_card(page.session).panel)
    texts = SMOLLM2_CARD.texts["en"]
    for text in (
        texts.good_at,
        texts.not_good_at,
        "English",
        "apache-2.0",
        "134.5M",
        "SmolLM2-135M-Instruct",
    ):
        assert text in panel
    assert "model card" not in panel.lower()


@pytest.mark.parametrize(
    ("base", "has_switch", "expected"),
    [
        ("starter", True, (True, True)),
        ("Qwen/Qwen3-0.6B", True, (True, True)),
        ("Qwen/Qwen3-4B-Instruct-2507", False, (False, True)),
        ("org/Some-1B", False, (False, True)),
        ("smollm2", False, (False, False)),
    ],
)
def test_thinking_is_on_with_a_switch_of_the_models_own_off_without_and_hidden_if_it_cannot_think(
    base: str, has_switch: bool, expected: tuple[bool, bool]
) -> None:
    page = Page(base, has_switch)
    assert switch(page.open()) == expected
    say(page.handlers, page.session, "hello")
    assert [think for _, think in page.chat.requests] == [expected[0]]


def test_a_models_own_default_is_not_remembered_as_the_persons_decision() -> None:
    page = Page("starter", True)
    page.open()
    screens = collect(page.handlers.sending.send("hello", page.session, None, True, "one"))
    assert screens[-1].memory["think"] is None
    screens = collect(page.handlers.sending.send("hello", page.session, None, False, "one"))
    assert screens[-1].memory["think"] is False
    assert [think for _, think in page.chat.requests] == [True, False]


def test_a_model_that_cannot_think_never_does_even_if_the_browser_remembers_the_wish() -> None:
    page = Page("smollm2", False)
    screen = page.open(memory={"rater": "r" * 22, "think": True, "mode": "thinking"})
    assert switch(screen) == (False, False)
    assert "thinking" not in str(screen.answer_mode)
    last = collect(page.handlers.sending.send("hello", page.session, None, True, "thinking"))[-1]
    assert page.chat.requests == [("hello", False)]
    assert "bulb" not in shown(last)
    assert LANGUAGES["en"].retry_thinking not in shown(last)
    able = Page("starter", True)
    able.open(memory={"rater": "r" * 22, "think": False})
    assert LANGUAGES["en"].retry_thinking in shown(say(able.handlers, able.session, "hello")[-1])


def test_a_release_on_another_model_changes_the_page_and_breaks_nothing() -> None:
    page = Page("starter", True)
    page.open()
    say(page.handlers, page.session, "hello")
    page.chat.version, page.chat.base, page.chat.has_switch = "v2", "smollm2", False
    say(page.handlers, page.session, "hello")
    assert [think for _, think in page.chat.requests] == [True, False]
    screen = page.handlers.branching.new_conversation(page.session)
    assert SMOLLM2_CARD.texts["en"].welcome in shown(screen)
    assert switch(screen) == (False, False)


def test_before_it_is_loaded_the_page_has_the_switch_as_the_model_needs_it() -> None:
    async def built(base: str, has_switch: bool) -> tuple[Any, Any]:
        # In an event loop, because Gradio otherwise makes one that it never closes.
        with gr.Blocks():
            think = build_layout(Page(base, has_switch).chat.card, login_button=False).think
        return think.value, think.visible

    assert asyncio.run(built("starter", True)) == (True, True)
    assert asyncio.run(built("smollm2", False)) == (False, False)


# Names, never paths


def test_a_folder_on_the_server_is_shown_nowhere_on_the_page_nor_in_a_saved_conversation() -> None:
    page = Page(SECRET, False)
    screens = [page.open(), *say(page.handlers, page.session, "hello")]
    screens.append(page.handlers.panels.version_card(page.session))
    screens.append(page.handlers.panels.tokens(page.session, event(turn=page.session.turns[-1].id)))
    conversations = page.handlers.conversation_list
    saved = event(turn=page.session.conversation)
    screens += [
        conversations.export_markdown(page.session, saved),
        conversations.export_json(page.session, saved),
    ]
    everything = " ".join(
        str(part.constructor_args if isinstance(part, gr.Component) else part)
        for screen in screens
        for part in screen
    )
    assert "Some-1B" in everything
    assert "secret-place" not in everything
    tree = page.chat.library.tree(str(page.session.conversation), page.session.rater)
    assert "secret-place" not in json.dumps([str(message) for message in tree])


def test_a_folder_on_the_server_is_shown_nowhere_on_the_dashboard(tmp_path: Any) -> None:
    chat, versions = FakeChat(), Versions(tmp_path / "home")
    chat.base, chat.has_switch = SECRET, False
    versions.release(add(versions, base=Base(SECRET, "0f" * 20)))
    services, session = services_over(chat, versions), DashboardSession()
    handlers = AdminHandlers(services)
    parts = list(handlers.open_version(session, {"version": "v1"}, WHO))
    for view in ("overview", "versions", "side_by_side"):
        parts += list(handlers.go(session, {"view": view}, WHO))
    everything = " ".join(map(str, parts))
    assert "Some-1B" in everything
    assert "secret-place" not in everything


def test_side_by_side_offers_the_models_examples_and_thinking_only_if_it_thinks(tmp_path: Any) -> None:
    chat, versions = FakeChat(), Versions(tmp_path / "home")
    versions.release(add(versions))
    add(versions)
    forms = []
    for base, has_switch in (("starter", True), ("org/Some-1B", False), ("smollm2", False)):
        chat.base, chat.has_switch = base, has_switch
        session = DashboardSession(view="side_by_side")
        forms.append(str(AdminHandlers(services_over(chat, versions)).draw(session, WHO).body))
    starter, neutral, smollm2 = forms
    assert 'name="think" checked' in starter
    assert 'name="think"' in neutral and 'name="think" checked' not in neutral
    assert 'name="think"' not in smollm2
    assert STARTER_CARD.texts["en"].examples[0] in starter
    assert SMOLLM2_CARD.texts["en"].examples[0] in smollm2
