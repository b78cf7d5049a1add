"""Every text of the page exists in both languages, and every error is shown in the page's language."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import inspect
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, TypeVar

import gradio as gr
import pytest
from helpers.handler_steps import collect, event, request, say
from helpers.paths import ROOT

from assistant.auth.accounts import Account
from assistant.bases.built_in_cards import STARTER_CARD
from assistant.bases.model_card import CardTexts
from assistant.chat.library import REASONS
from assistant.errors import AssistantError
from assistant.page.chat_events import ChatHandlers
from assistant.page.handlers.page_update import PageUpdate
from assistant.page.i18n.languages import (
    CHINESE,
    ENGLISH,
    LANGUAGES,
    TOUR_LANGUAGES,
    ChatTexts,
    TourTexts,
    browser_language,
    explained,
)
from assistant.page.session.chat_session import ChatSession
from assistant.page.views import dialogs
from feedback_store import StoreError

Texts = TypeVar("Texts", ChatTexts, CardTexts)
PAGE = ROOT / "assistant" / "page"


def by_name(texts: ChatTexts | TourTexts) -> dict[str, str]:
    """Every text of a language by its name."""
    named: dict[str, str] = {}
    for name, value in dataclasses.asdict(texts).items():
        if isinstance(value, dict):
            named |= {f"{name}.{key}": text for key, text in value.items()}
        elif isinstance(value, tuple | list):
            named |= {f"{name}.{number}": text for number, text in enumerate(value)}
        else:
            named[name] = value
    return named


BOTH = pytest.mark.parametrize(
    ("english", "chinese"),
    [(by_name(ENGLISH), by_name(CHINESE)), (by_name(TOUR_LANGUAGES["en"]), by_name(TOUR_LANGUAGES["zh"]))],
    ids=["chat", "tour"],
)


@BOTH
def test_every_text_exists_in_both_languages(english: dict[str, str], chinese: dict[str, str]) -> None:
    assert english.keys() == chinese.keys()
    assert all(text.strip() for text in [*english.values(), *chinese.values()])


@BOTH
def test_each_text_is_in_its_own_language(english: dict[str, str], chinese: dict[str, str]) -> None:
    han = re.compile(r"[\u4e00-\u9fff]")
    for name, text in english.items():
        assert bool(han.search(text)) == (name in ("other_language", "switch_language")), name
    for name, text in chinese.items():
        assert bool(han.search(text)) == (name not in ("code", "other_language", "switch_language")), name


@BOTH
def test_chinese_uses_its_own_punctuation(english: dict[str, str], chinese: dict[str, str]) -> None:
    for name, text in chinese.items():
        assert not re.search(r"[\u4e00-\u9fff] ?[,.?!:;(]|\.\.\.", text), name


@BOTH
def test_named_places_are_the_same_in_both_languages(
    english: dict[str, str], chinese: dict[str, str]
) -> None:
    for name, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", chinese[name])), name


class Seen(HTMLParser):
    """The texts that some HTML shows or reads out: text content, and attributes that hold text."""

    TEXTS = ("title", "aria-label", "placeholder", "alt", "data-copied")

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts += [value for name, value in attrs if name in self.TEXTS and value]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def marked(texts: Texts) -> Texts:
    """The same language with every text between ⟦ and ⟧; any text outside them comes from somewhere else."""

    def mark(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: mark(text) for key, text in value.items()}
        return tuple(map(mark, value)) if isinstance(value, tuple) else f"⟦{value}⟧"

    codes = ("code", "examples_language")
    fields = {name: mark(value) for name, value in vars(texts).items() if name not in codes}
    return dataclasses.replace(texts, **fields)


def screens(handlers: ChatHandlers, session: ChatSession) -> Iterator[PageUpdate]:
    """The page in each of its states."""
    opening, sending, branching = handlers.opening, handlers.sending, handlers.branching
    rating, conversations, panels = handlers.rating, handlers.conversation_list, handlers.panels
    yield opening.open(session, request())
    yield from say(handlers, session, "")
    yield from say(handlers, session, "347 + 285")
    reply = session.turns[-1]
    for value in ("1", "-1"):
        yield rating.rate_reply(session, event(turn=reply.id, value=value))
    yield rating.correct(session, event(turn=reply.id))
    yield rating.keep_correction(session, event(turn=reply.id, text=reply.content))
    yield rating.keep_correction(session, event(turn=reply.id, text="0"))
    yield rating.remove_correction(session, event(turn=reply.id))
    yield branching.edit(session, event(turn=reply.parent_id))
    yield from collect(sending.retry(session, event(turn=reply.id)))
    yield panels.tokens(session, event(turn=session.turns[-1].id))
    assert session.tokens is not None
    yield panels.token(session, event(position=len(session.tokens.steps) - 1))
    yield panels.settings(session)
    yield panels.version_card(session)
    yield from say(handlers, session, "broken 7")
    yield from collect(sending.send("which 7", session, None, True, "resample"))
    yield rating.choose(session, event(value="both_bad"))
    yield conversations.search(session, event(text="8"))
    yield conversations.search(session, event(text=""))
    for ask in (conversations.ask_rename, conversations.ask_delete):
        yield ask(session, event(turn=session.conversation))
    yield conversations.import_file(session, event(text="7"))
    yield conversations.open_conversation(session, event(turn="nowhere"))
    yield asyncio.run(conversations.delete(session, event(turn=session.conversation)))


# Not texts of the page: names of versions, models and keys, and what person and model wrote.
DATA = re.compile(
    r"Thumbtune|\bv1\b|\bstarter\b|\bkto\b|\b(up|down)\b|[0-9a-f]{12}|4\.9M|<think>|"
    r"The|answer|\bis\b|write|carry|So 347|You( said)?|which|broken|Enter|Shift|Esc|Alt",
)


def outside_marks(text: str) -> str:
    """The text outside all marks, which may be nested."""
    while (shorter := re.sub(r"⟦[^⟦⟧]*⟧", "", text)) != text:
        text = shorter
    return text


def test_every_text_in_every_state_of_the_page_comes_from_the_language_files(
    handlers: ChatHandlers, session: ChatSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LANGUAGES, "en", marked(ENGLISH))
    card = dataclasses.replace(STARTER_CARD, texts={"en": marked(STARTER_CARD.texts["en"])}, licence="")
    monkeypatch.setattr("assistant.chat.chat.card_of", lambda *_: card)
    monkeypatch.setattr(dialogs, "STARTER", "")  # the model card is a document of its own, in English
    session.account, session.admin = Account("7", "login-7"), True
    monkeypatch.setattr("assistant.page.handlers.session_manager.account_of", lambda *_: session.account)
    for number, screen in enumerate(screens(handlers, session)):
        seen = Seen()
        for part in screen:
            if isinstance(part, gr.Component):
                arguments = part.constructor_args  # only what the handler sets
                named = [arguments.get(name) for name in ("label", "placeholder", "value")]
                seen.texts += [text for text in named if isinstance(text, str)]
            elif isinstance(part, str | list):
                seen.feed("".join(part))
        own = [text for text in seen.texts if re.search(r"[^\W\d_]{2,}", DATA.sub("", outside_marks(text)))]
        assert not own, f"screen {number} shows {own}"


def test_code_and_scripts_contain_no_text_of_the_page() -> None:
    for path in PAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg in ("label", "placeholder", "info", "value"):
                assert not isinstance(node.value, ast.Constant) or not isinstance(node.value.value, str), path
    for path in PAGE.glob("static/*.js"):
        own = r"(textContent|innerText|innerHTML|title|ariaLabel|placeholder)\s*=\s*[\"'`]|\b(alert|confirm|prompt)\("
        assert not re.search(own, path.read_text(encoding="utf-8")), path.name


def test_templates_contain_no_text_of_the_page() -> None:
    not_text = re.compile(
        r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<style>.*?</style>|data-[\w-]+=\"\"|Thumbtune", re.DOTALL
    )
    for path in (PAGE / "templates").rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        seen = Seen()
        while (shorter := not_text.sub("", html)) != html:
            html = shorter
        seen.feed(html)
        own = [text for text in seen.texts if re.search(r"[^\W\d_]{2,}", text)]
        assert not own, f"{path.name} shows {own}"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("de-DE,zh-TW;q=0.9,en;q=0.5", "zh"),
        ("fr", "en"),
        ("", "en"),
    ],
)
def test_the_browsers_first_language_that_the_page_speaks_is_used(header: str, language: str) -> None:
    assert browser_language(header) == language


def kinds(root: type[Exception]) -> list[type[Exception]]:
    """An error class and all its subclasses."""
    return [root, *(kind for below in root.__subclasses__() for kind in kinds(below))]


@pytest.mark.parametrize("kind", [*kinds(AssistantError), *kinds(StoreError)], ids=lambda kind: kind.__name__)
def test_every_error_is_shown_in_the_language_of_the_page_and_never_by_its_own_message(
    kind: type[Exception],
) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "Xyzzy")
    for field in inspect.signature(kind.__init__).parameters.keys() - {"self", "args", "kwargs"}:
        setattr(error, field, 7)
    english, chinese = explained(ENGLISH, error), explained(CHINESE, error)
    assert "Xyzzy" not in english + chinese
    assert re.search(r"[\u4e00-\u9fff]", chinese) and not re.search(r"[\u4e00-\u9fff]", english)


# Errors that the page shows in another way, or never: they stop the app before it has a page.
ELSEWHERE = {
    "ConversationFileError",
    "HomeError",
    "NotAStore",
    "NewerSchema",
    "StoreMissing",
    "MissingDependency",
    "QuantizeError",
    "SnapshotError",
    "UnknownImport",
    "UnknownSnapshot",
    "SettingsError",
}
BELOW = sorted(
    path.relative_to(ROOT).as_posix()
    for package in (
        "assistant/chat",
        "feedback_store",
        "assistant/registry",
        "assistant/serving",
        "assistant/serving/llama_cpp",
        "assistant/serving/remote",
        "feedback_store/database",
        "feedback_store/store",
    )
    for path in (ROOT / package).glob("*.py")
)


def test_each_error_below_the_page_has_a_sentence_of_its_own() -> None:
    """Its parent's sentence would be vaguer on the page than the message in the log."""
    known = {kind.__name__ for kind in [*kinds(AssistantError), *kinds(StoreError)]}
    raised = {
        node.exc.func.id
        for place in BELOW
        for node in ast.walk(ast.parse((ROOT / place).read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
    }
    assert {"TooLong", "EngineBusy", "InvalidRating"} <= raised
    assert (raised & known) - ELSEWHERE <= ENGLISH.errors.keys()


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_the_page_offers_the_reasons_that_a_rating_may_have(texts: ChatTexts) -> None:
    assert {1: tuple(texts.reasons_good), 0: (), -1: tuple(texts.reasons_bad)} == REASONS
