"""The page over a model that knows English alone and does not think, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from helpers.browser_steps import (
    MARKS,
    ask_example,
    button,
    check_accessibility,
    expect,
    phone_is_slow,
    picture,
    send,
)
from helpers.fake_chat import FakeChat, serving

from assistant.bases.built_in_cards import SMOLLM2_CARD, STARTER_CARD
from assistant.page.i18n.languages import CHINESE, ENGLISH

pytestmark = MARKS

EXAMPLE = SMOLLM2_CARD.texts["zh"].examples[0]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FakeChat, str]]:
    fake = FakeChat(seconds_between=0.01)
    fake.words_at_once = 4
    with serving(fake) as url:
        yield fake, url


@pytest.fixture(autouse=True)
def smollm2(fake: FakeChat) -> None:
    fake.version, fake.base, fake.has_switch = "v1", "smollm2", False
    fake.requests.clear()


@phone_is_slow
def test_the_chinese_page_asks_for_english_and_answers_an_english_example_without_thinking(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    violations: list[str] = []
    tab = visit(size, locale="zh-CN", reduced_motion="reduce")
    expect(tab.get_by_role("heading", name=SMOLLM2_CARD.texts["zh"].greeting)).to_be_visible()
    expect(tab.locator("#message textarea")).to_have_attribute(
        "placeholder", SMOLLM2_CARD.texts["zh"].placeholder
    )
    expect(tab.locator("#think")).to_have_count(0)
    picture(tab, f"smollm2-chinese-{size['width']}")
    check_accessibility(tab, "welcome", violations)
    tab.locator("#header .badge").click()
    expect(tab.get_by_role("dialog")).to_contain_text(CHINESE.card_model["not_good_at"])
    check_accessibility(tab, "card", violations)
    tab.keyboard.press("Escape")
    ask_example(tab, EXAMPLE)
    expect(tab.locator(".answer")).to_have_text(f"You said: {EXAMPLE}")
    send(tab, "hello")
    assert fake.requests == [(EXAMPLE, False), ("hello", False)]
    expect(tab.get_by_role("button", name=CHINESE.retry_thinking)).to_have_count(0)
    assert violations == []


def test_a_release_on_a_model_that_thinks_brings_its_texts_and_the_switch_with_the_next_conversation(
    visit: Any, fake: FakeChat
) -> None:
    tab = visit(locale="en-GB")
    expect(tab.locator("#think")).to_have_count(0)
    fake.version, fake.base, fake.has_switch = "v2", "starter", True
    send(tab, "hello")
    expect(tab.locator("#header .badge")).to_have_text("v2")
    button(tab, ENGLISH.new_conversation).click()
    expect(tab.get_by_role("heading", name=STARTER_CARD.texts["en"].greeting)).to_be_visible()
    expect(tab.locator("#think input")).to_be_checked()
    tab.locator("#think input").uncheck()
    send(tab, "plain")
    tab.locator("#think input").check()
    send(tab, "thought")
    assert [think for _, think in fake.requests[-2:]] == [False, True]
