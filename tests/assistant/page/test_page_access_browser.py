"""The page for everybody: checked by axe-core, by keyboard alone, in still pictures."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.fake_chat import FakeChat
from helpers.in_browser import DESKTOP, MARKS, PHONE, ask_axe, button, expect, send

from assistant.page.i18n.languages import CHINESE, ENGLISH, ChatTexts

pytestmark = MARKS


def check(tab: Any, state: str, found: list[str]) -> None:
    """Add what axe-core finds serious or critical in this state of the page, light and dark."""
    for scheme in ("light", "dark"):
        tab.evaluate("(dark) => document.body.classList.toggle('dark', dark)", scheme == "dark")
        ask_axe(tab, f"{state}, {scheme}", found)


@pytest.mark.parametrize(
    ("size", "texts"),
    [(DESKTOP, ENGLISH), (PHONE, CHINESE)],
    ids=["desk-english", "phone-chinese"],
)
def test_axe_finds_nothing_serious_in_any_state(
    visit: Any, fake: FakeChat, size: dict[str, int], texts: ChatTexts
) -> None:
    # Without transitions, which would be caught half way.
    tab = visit(size, reduced_motion="reduce", locale="zh-CN" if texts is CHINESE else "en-GB")
    found: list[str] = []
    check(tab, "empty", found)
    tab.locator("#message textarea").fill("slow and long")
    tab.keyboard.press("Enter")
    expect(tab.locator(".answer")).to_contain_text("tick")
    check(tab, "writing", found)
    button(tab, texts.stop).click()
    expect(tab.locator("#send")).to_be_visible()
    send(tab, "table")
    button(tab, texts.retry).click()
    expect(tab.locator(".reply .siblings")).to_contain_text("2/2")
    expect(tab.locator("#send")).to_be_visible()
    button(tab, texts.bad).click()
    expect(tab.locator(".feedback")).to_be_visible()
    tab.locator(".thought summary").last.click()
    check(tab, "feedback", found)
    button(tab, texts.correct).click()
    tab.get_by_label(texts.correct_label).fill("Better.")
    expect(tab.locator(".changes ins")).to_be_visible()
    check(tab, "correcting", found)
    button(tab, texts.correct_save).click()
    expect(tab.locator(".difference")).to_be_visible()
    check(tab, "corrected", found)
    button(tab, texts.tokens).click()
    tab.locator(".token").last.click()
    expect(tab.locator(".alternatives")).to_be_visible()
    check(tab, "tokens", found)
    tab.keyboard.press("Escape")
    button(tab, texts.settings).click()
    check(tab, "settings", found)
    tab.keyboard.press("Escape")
    expect(tab.locator("dialog")).to_have_count(0)
    tab.locator("#header .badge").click()
    check(tab, "card", found)
    tab.keyboard.press("Escape")
    expect(tab.locator("dialog")).to_have_count(0)
    tab.get_by_label(texts.mode_label).select_option("resample")
    tab.locator("#message textarea").fill("broken wire")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_be_visible()
    check(tab, "error", found)
    send(tab, "which one?")
    check(tab, "pair", found)
    button(tab, texts.choices["left"]).click()
    expect(tab.locator(".side-reply .caption").first).to_be_visible()
    check(tab, "named", found)
    if size == PHONE:
        button(tab, texts.open_list).click()
    tab.locator("#conversation-list li").first.hover()
    tab.locator("#conversation-list [data-do=ask_delete]").first.click()
    expect(tab.get_by_role("alertdialog")).to_be_visible()
    check(tab, "list", found)
    assert found == [], "\n".join(found)


def test_tab_goes_through_the_page_in_reading_order_and_nothing_moves_for_who_asks_for_stillness(
    visit: Any, fake: FakeChat
) -> None:
    tab = visit(reduced_motion="reduce")
    tab.locator("#message textarea").fill("slow and still")
    tab.keyboard.press("Enter")
    expect(tab.locator(".answer")).to_contain_text("tick")
    moving = "() => document.getAnimations().filter((one) => one.playState === 'running').length"
    assert tab.evaluate(moving) == 0
    button(tab, ENGLISH.stop).click()
    expect(tab.locator("#send")).to_be_visible()
    tab.locator("#sidebar-top input").focus()
    order = ["sidebar-top", "conversation-list", "header", "conversation", "composer"]
    parts: list[str] = []
    for _ in range(40):
        part = tab.evaluate(f"{order}.find((id) => document.activeElement.closest('#' + id)) ?? ''")
        if not parts or parts[-1] != part:
            parts.append(part)
        if part == "composer":
            break
        tab.keyboard.press("Tab")
    assert [part for part in parts if part] == order


def test_keys_stop_vote_and_begin_anew(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    tab.locator("#message textarea").fill("slow and long")
    tab.keyboard.press("Enter")
    expect(tab.locator(".answer")).to_contain_text("tick")
    tab.keyboard.press("Escape")
    expect(tab.locator(".caption")).to_have_text("v1 · stopped")
    tab.keyboard.press("Alt+ArrowDown")
    expect(button(tab, ENGLISH.bad)).to_have_attribute("aria-pressed", "true")
    tab.keyboard.press("Alt+n")
    expect(tab.locator(".welcome")).to_be_visible()


def test_the_drawer_opens_and_closes_by_keyboard_and_hides_from_it_when_closed(
    visit: Any, fake: FakeChat
) -> None:
    tab = visit(PHONE)
    expect(tab.locator("#sidebar-top input")).to_be_hidden()
    button(tab, ENGLISH.open_list).press("Enter")
    expect(tab.locator("#sidebar-top input")).to_be_focused()
    expect(button(tab, ENGLISH.open_list)).to_have_attribute("aria-expanded", "true")
    tab.keyboard.press("Escape")
    expect(tab.locator("#sidebar-top input")).to_be_hidden()
    expect(button(tab, ENGLISH.open_list)).to_be_focused()


def test_every_control_has_a_name(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "named")
    button(tab, ENGLISH.good).click()
    expect(tab.locator(".feedback")).to_be_visible()
    nameless = tab.evaluate(
        """[...document.querySelectorAll('#frame button, #frame input, #frame textarea')].filter(control =>
            !control.ariaLabel && !control.innerText?.trim() && !control.closest('label')?.innerText.trim())
            .map(control => control.outerHTML)"""
    )
    assert nameless == []
