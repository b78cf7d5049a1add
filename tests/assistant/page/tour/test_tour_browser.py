"""The tour in Chromium: from the chat to its screens, in both languages, at both widths."""

from __future__ import annotations

from typing import Any

from helpers.browser_steps import MARKS, PHONE, both_sizes, check_accessibility, expect, picture

from assistant.page.i18n.languages import CHINESE, ENGLISH, TOUR_LANGUAGES

pytestmark = MARKS

# WCAG 2.2, success criterion 2.5.5, for fingers: 44 by 44 px.
SMALL_TARGETS = """() => [...document.querySelectorAll('#tour :is(button, a, input, textarea)')]
  .filter((e) => e.checkVisibility() && !e.disabled)
  .map((e) => [e.outerHTML.slice(0, 120), e.getBoundingClientRect().width, e.getBoundingClientRect().height])
  .filter(([, width, height]) => Math.min(width, height) < 44)"""


@both_sizes
def test_the_chat_leads_to_the_tour_and_each_of_its_screens(visit: Any, size: dict[str, int]) -> None:
    is_phone = size == PHONE
    texts = TOUR_LANGUAGES["zh" if is_phone else "en"]
    chat = CHINESE if is_phone else ENGLISH
    locale = "zh-CN" if is_phone else "en-GB"
    tab = visit(size, locale=locale, has_touch=is_phone, reduced_motion="reduce")
    tab.locator(".welcome").get_by_role("link", name=chat.tour).click()
    expect(tab.get_by_role("heading", name=texts.intro_title)).to_be_visible()
    assert tab.title() == f"{texts.title} · Thumbtune"
    picture(tab, f"tour-{size['width']}")
    tab.get_by_role("link", name=texts.titles["two_languages"], exact=True).first.click()
    expect(tab.locator("#title-two_languages")).to_be_in_viewport()
    assert tab.evaluate("document.scrollingElement.scrollWidth") <= size["width"]
    if is_phone:
        assert tab.evaluate(SMALL_TARGETS) == []
    violations: list[str] = []
    check_accessibility(tab, "tour", violations)
    assert violations == []
    tab.locator("#tour [data-do=language]").click()
    other = TOUR_LANGUAGES["en" if is_phone else "zh"]
    expect(tab.locator("#title-two_languages")).to_have_text(other.titles["two_languages"])
