"""The tour in Chromium: from the chat to its screens, and what can be tried on the starter."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from helpers.browser_steps import DESKTOP, MARKS, PHONE, check_accessibility, expect, picture
from helpers.fake_chat import FakeChat, serving

from assistant.engine_choice import starter_engine
from assistant.page.i18n.languages import CHINESE, ENGLISH, TOUR_LANGUAGES
from assistant.settings import Settings
from assistant.tour.shared_starter import SharedStarter

pytestmark = MARKS

# WCAG 2.2, success criterion 2.5.5, for fingers: 44 by 44 px.
SMALL_TARGETS = """() => [...document.querySelectorAll('#tour :is(button, a, input, textarea, summary)')]
  .filter((e) => e.checkVisibility() && !e.disabled)
  .map((e) => [e.outerHTML.slice(0, 120), e.getBoundingClientRect().width, e.getBoundingClientRect().height])
  .filter(([, width, height]) => Math.min(width, height) < 44)"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """A page over a fake chat, and the starter beside it."""
    fake = FakeChat()
    fake.base = "smollm2"
    starter = SharedStarter(partial(starter_engine, Settings(home=tmp_path_factory.mktemp("home"))))
    with serving(fake, starter=starter) as url:
        yield fake, url
    starter.close()


@pytest.mark.parametrize(
    "size", [PHONE, pytest.param(DESKTOP, marks=pytest.mark.slow)], ids=["phone", "desktop"]
)
def test_the_chat_leads_to_the_tour_and_the_starter_can_be_tried_there(
    visit: Any, served: tuple[Any, str], size: dict[str, int]
) -> None:
    is_phone = size == PHONE
    texts, chat = TOUR_LANGUAGES["zh" if is_phone else "en"], CHINESE if is_phone else ENGLISH
    locale = "zh-CN" if is_phone else "en-GB"
    assert (
        "tour-word_chain" in httpx.get(f"{served[1]}tour").text
    )  # which nobody sees who has to sign in first
    tab = visit(size, locale=locale, has_touch=is_phone, reduced_motion="reduce")
    tab.locator(".welcome").get_by_role("link", name=chat.tour).click()
    expect(tab.get_by_role("heading", name=texts.intro_title)).to_be_visible()
    assert tab.title() == f"{texts.title} · Thumbtune"
    picture(tab, f"tour-{size['width']}")
    tab.get_by_role("link", name=texts.titles["chain_of_thought"]).first.click()
    expect(tab.locator("#title-chain_of_thought")).to_be_in_viewport()

    tab.locator("#word_chain").get_by_role("button", name=texts.chain_questions[0]).click()
    draw = tab.get_by_role("button", name=texts.draw, exact=True)
    draw.click()
    expect(tab.locator(".sentence .token")).to_have_count(1)
    expect(draw).to_be_focused()
    tab.get_by_role("button", name=texts.draw_all).dblclick()
    expect(tab.get_by_text(texts.chain_over["end"])).to_be_visible()
    expect(tab.locator(".drawn li")).to_have_count(1)
    expect(tab.locator("#word_chain .chips button")).to_have_count(len(texts.chain_questions))
    expect(tab.locator(".spoken")).to_contain_text(chat.token_end)
    tab.locator("#base_and_assistant").get_by_role("button", name=texts.messages[0]).click()
    expect(tab.get_by_text(texts.no_aligned)).to_be_visible()
    field = tab.locator("#chain_of_thought input")
    field.fill("x" * 200)
    expect(tab.locator("#chain_of_thought .limit")).to_have_text(texts.limit_format.format(most=200))
    field.fill(texts.problems[0])
    expect(tab.locator("#chain_of_thought .limit")).to_be_empty()
    field.press("Enter")
    expect(tab.locator("#chain_of_thought .answer").first).to_contain_text("632")
    tab.locator("#votes_and_rows").get_by_role("button", name=texts.vote_questions[0]).click()
    tab.get_by_role("button", name=chat.good).first.click()
    expect(tab.locator(".rows")).to_contain_text('"label": true')
    tab.get_by_role("textbox", name=texts.better).fill("Five.")
    for letter in "BA":
        replace = tab.get_by_role("button", name=texts.replace_format.format(letter=letter))
        replace.click()
        expect(replace).to_have_attribute("aria-pressed", "true")

    assert tab.evaluate("document.scrollingElement.scrollWidth") <= size["width"]
    if is_phone:
        assert tab.evaluate(SMALL_TARGETS) == []
    violations: list[str] = []
    check_accessibility(tab, "tour", violations)
    assert violations == []
    tab.locator("#tour [data-do=language]").click()
    other = TOUR_LANGUAGES["en" if is_phone else "zh"]
    expect(tab.locator("#title-two_languages")).to_have_text(other.titles["two_languages"])
