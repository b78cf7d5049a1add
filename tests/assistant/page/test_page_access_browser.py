"""Accessibility of the page: checked by axe-core, used by keyboard alone, and without motion."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.browser_steps import DESKTOP, MARKS, PHONE, button, check_accessibility, choose, expect, send
from helpers.fake_chat import FakeChat

from assistant.page.i18n.languages import CHINESE, ENGLISH, ChatTexts

pytestmark = MARKS


@pytest.mark.parametrize(
    ("size", "texts"),
    [
        pytest.param(DESKTOP, ENGLISH, id="desktop-english", marks=pytest.mark.slow),
        pytest.param(PHONE, CHINESE, id="phone-chinese"),
    ],
)
def test_axe_finds_nothing_serious_in_any_state(
    visit: Any, fake: FakeChat, size: dict[str, int], texts: ChatTexts
) -> None:
    # Without transitions, which axe-core would see half way.
    tab = visit(size, reduced_motion="reduce", locale="zh-CN" if texts is CHINESE else "en-GB")
    violations: list[str] = []
    check_accessibility(tab, "empty", violations)
    tab.locator("#message textarea").fill("slow and long")
    tab.keyboard.press("Enter")
    expect(tab.locator(".answer")).to_contain_text("tick")
    check_accessibility(tab, "writing", violations)
    button(tab, texts.stop).click()
    expect(tab.locator("#send")).to_be_visible()
    send(tab, "table")
    button(tab, texts.retry).click()
    expect(tab.locator(".reply .siblings")).to_contain_text("2/2")
    expect(tab.locator("#send")).to_be_visible()
    button(tab, texts.bad).click()
    expect(tab.locator(".feedback")).to_be_visible()
    tab.locator(".thought summary").last.click()
    check_accessibility(tab, "feedback", violations)
    choose(tab, texts.correct, texts)
    tab.get_by_label(texts.correct_label).fill("Better.")
    expect(tab.locator(".changes ins")).to_be_visible()
    check_accessibility(tab, "correcting", violations)
    button(tab, texts.correct_save).click()
    expect(tab.locator(".difference")).to_be_visible()
    check_accessibility(tab, "corrected", violations)
    choose(tab, texts.tokens, texts)
    tab.locator(".token").last.click()
    expect(tab.locator(".alternatives")).to_be_visible()
    check_accessibility(tab, "tokens", violations)
    tab.keyboard.press("Escape")
    expect(tab.locator("dialog")).to_have_count(0)
    button(tab, texts.settings).click()
    expect(tab.locator("dialog")).to_be_visible()
    check_accessibility(tab, "settings", violations)
    tab.keyboard.press("Escape")
    expect(tab.locator("dialog")).to_have_count(0)
    tab.locator("#header .badge").click()
    expect(tab.locator("dialog")).to_be_visible()
    check_accessibility(tab, "card", violations)
    tab.keyboard.press("Escape")
    expect(tab.locator("dialog")).to_have_count(0)
    tab.get_by_label(texts.mode_label).select_option("resample")
    tab.locator("#message textarea").fill("broken wire")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_be_visible()
    check_accessibility(tab, "error", violations)
    send(tab, "which one?")
    check_accessibility(tab, "pair", violations)
    button(tab, texts.choices["left"]).click()
    expect(tab.locator(".side-reply .caption").first).to_be_visible()
    check_accessibility(tab, "named", violations)
    if size == PHONE:
        button(tab, texts.open_list).click()
    tab.locator("#conversation-list li").first.hover()
    tab.locator("#conversation-list [data-do=ask_delete]").first.click()
    expect(tab.get_by_role("alertdialog")).to_be_visible()
    check_accessibility(tab, "list", violations)
    assert violations == [], "\n".join(violations)


def test_tab_goes_through_the_page_in_reading_order_and_nothing_moves_with_reduced_motion(
    visit: Any, fake: FakeChat
) -> None:
    tab = visit(reduced_motion="reduce")
    tab.locator("#message textarea").fill("slow and still")
    tab.keyboard.press("Enter")
    expect(tab.locator(".answer")).to_contain_text("tick")
    moving = "() => document.getAnimations().filter((animation) => animation.playState === 'running').length"
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


def test_keys_stop_rate_and_begin_a_new_conversation(visit: Any, fake: FakeChat) -> None:
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


def test_the_drawer_opens_and_closes_by_keyboard_and_cannot_be_reached_when_closed(
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
