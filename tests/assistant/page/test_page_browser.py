"""Messages and replies in Chromium. `THUMBTUNE_SCREENSHOTS=folder` saves screenshots."""

from __future__ import annotations

import re
from typing import Any

import pytest
from helpers.browser_steps import (
    MARKS,
    PHONE,
    answered,
    ask_example,
    button,
    expect,
    phone_is_slow,
    picture,
    send,
)
from helpers.fake_chat import FakeChat

from assistant.bases.built_in_cards import STARTER_CARD
from assistant.page.i18n.languages import CHINESE, ENGLISH

pytestmark = MARKS


@phone_is_slow
def test_a_thought_is_open_while_it_is_written_and_folds_away(
    visit: Any, fake: FakeChat, size: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = visit(size)
    picture(tab, f"welcome-{size['width']}")
    with monkeypatch.context() as held:
        held.setattr(fake, "words_at_once", 2)
        held.setattr(fake, "holds", True)
        tab.locator("#message textarea").fill("347 + 285")
        tab.keyboard.press("Enter")
        expect(tab.locator(".thought.thinking[open]")).to_be_visible()
        picture(tab, f"thinking-{size['width']}")
    answered(tab)
    expect(tab.locator(".thought summary")).to_have_text(re.compile(r"Thought for \d+\.\d s"))
    expect(tab.locator(".thought-text")).to_be_hidden()
    expect(tab.locator(".answer strong")).to_have_text("632")
    expect(tab.locator(".reply .caption")).to_have_text("v1")
    tab.locator(".thought summary").click()
    expect(tab.locator(".thought-text")).to_contain_text("write 2, carry 1")
    send(tab, "and now?")
    expect(tab.locator(".thought").first).to_have_attribute("open", "")
    expect(tab.locator("#message textarea")).to_be_focused()
    picture(tab, f"thought-opened-{size['width']}")


def test_without_the_switch_there_is_no_thought_and_a_reload_remembers_it(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    tab.get_by_label(ENGLISH.think).uncheck()
    send(tab, "plainly")
    assert fake.requests[-1] == ("plainly", False)
    expect(tab.locator(".thought")).to_have_count(0)
    tab.reload()
    expect(tab.locator(".bubble")).to_have_text("plainly")
    expect(tab.get_by_label(ENGLISH.think)).not_to_be_checked()


@phone_is_slow
def test_stop_keeps_the_part_that_was_written_and_the_conversation_continues(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    tab.locator("#message textarea").fill("slow, please")
    tab.keyboard.press("Enter")
    expect(tab.locator(".answer")).to_contain_text("tick tick")
    button(tab, ENGLISH.stop).click()
    answered(tab)
    expect(tab.locator(".caption")).to_have_text("v1 · stopped")
    expect(tab.locator(".answer")).to_contain_text("tick")
    send(tab, "go on")
    expect(tab.locator(".answer").last).to_have_text("You said: go on")


def test_what_is_typed_while_a_message_is_on_its_way_stays_in_the_box(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    box = tab.locator("#message textarea")
    held: list[Any] = []  # the message, as over a slow network

    def is_first(request: Any) -> bool:
        return '"first"' in (request.post_data or "")

    tab.route(
        "**/queue/join*", lambda route: held.append(route) if is_first(route.request) else route.continue_()
    )
    box.fill("first")
    with tab.expect_request(is_first):
        tab.keyboard.press("Enter")
    tab.keyboard.type(" and then")
    [message] = held
    message.continue_()
    expect(tab.locator(".bubble")).to_have_text("first")
    answered(tab)
    expect(box).to_have_value(" and then")
    send(tab, "second")
    expect(box).to_have_value("")
    assert [message for message, _ in fake.requests[-2:]] == ["first", "second"]


def test_an_example_leaves_what_stands_in_the_message_box(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    tab.locator("#message textarea").fill("half a thought")
    ask_example(tab, STARTER_CARD.texts["en"].examples[0])
    expect(tab.locator("#message textarea")).to_have_value("half a thought")


def test_a_reload_in_mid_reply_goes_on_with_the_reply_and_keeps_what_was_typed(
    visit: Any, fake: FakeChat
) -> None:
    tab = visit()
    send(tab, "first")
    tab.locator("#message textarea").fill("slow second")
    tab.keyboard.press("Enter")
    expect(tab.locator(".answer").last).to_contain_text("tick")
    tab.keyboard.type("half a thought")
    tab.reload()
    expect(tab.locator(".answer").first).to_have_text("You said: first")
    expect(tab.locator("#message textarea")).to_have_value("half a thought")
    seen = len(tab.locator(".live .answer").inner_text())
    expect(tab.locator(".live .answer")).to_have_text(re.compile(f"(tick ){{{seen // 5 + 5},}}"))
    button(tab, ENGLISH.stop).click()
    answered(tab)
    expect(tab.locator(".caption").last).to_have_text("v1 · stopped")


@phone_is_slow
def test_html_in_messages_and_answers_is_text(visit: Any, fake: FakeChat, size: dict[str, int]) -> None:
    tab = visit(size)
    send(tab, "tags")
    expect(tab.locator(".answer")).to_contain_text("<script>document.title='owned'</script>")
    expect(tab.locator(".answer code")).to_have_text("<i>")
    hostile = "<img src=x onerror=\"document.title='owned'\"><b>hi</b>"
    send(tab, hostile)
    expect(tab.locator(".bubble").last).to_have_text(hostile)
    assert tab.locator(".turn img, .turn b, .turn script").count() == 0
    assert tab.title() == "tags · Thumbtune"


def test_an_empty_message_gets_a_hint_and_shift_enter_a_new_line(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    requests = len(fake.requests)
    tab.locator("#message textarea").press("Enter")
    expect(tab.get_by_text(ENGLISH.empty_message)).to_be_visible()
    tab.locator("#message textarea").type("a")
    tab.keyboard.press("Shift+Enter")
    tab.keyboard.type("b")
    expect(tab.locator("#message textarea")).to_have_value("a\nb")
    assert len(fake.requests) == requests


@phone_is_slow
def test_a_paste_of_a_hundred_thousand_characters_is_refused_and_stays_in_the_box(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    requests = len(fake.requests)
    tab.locator("#message textarea").fill("word " * 20_000)
    button(tab, ENGLISH.send).click()
    expect(tab.get_by_text("This message has 100,000 characters")).to_be_in_viewport(ratio=1)
    expect(tab.locator("#message textarea")).to_have_value("word " * 20_000)
    assert len(fake.requests) == requests


def test_copying_copies_the_answer_alone_or_its_code_and_says_if_the_browser_refuses(
    visit: Any, fake: FakeChat
) -> None:
    tab = visit(permissions=["clipboard-read", "clipboard-write"])
    send(tab, "347 + 285")
    button(tab, ENGLISH.copy).click()
    expect(tab.locator("[data-do=copy].copied")).to_be_visible()
    assert tab.evaluate("navigator.clipboard.readText()") == "The answer is 632."
    send(tab, "table")
    button(tab, ENGLISH.copy_code).click()
    expect(tab.locator("[data-do=copy_code].copied")).to_be_visible()
    assert tab.evaluate("navigator.clipboard.readText()") == "print(2 ** 2)\n"
    button(tab, ENGLISH.copy).click()
    expect(tab.locator("[data-do=copy].copied")).to_be_visible()
    assert ENGLISH.copy_code not in tab.evaluate("navigator.clipboard.readText()")
    # Without https there is no clipboard, and the older way copies.
    tab.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })")
    button(tab, ENGLISH.copy_code).click()
    expect(tab.locator("[data-do=copy_code].copied")).to_be_visible()
    tab.evaluate("document.execCommand = () => false")
    button(tab, ENGLISH.copy).click()
    expect(tab.get_by_role("alert")).to_have_text(ENGLISH.copy_failed)


def test_a_formula_is_drawn_is_copied_as_it_was_written_and_carries_no_tags(
    visit: Any, fake: FakeChat
) -> None:
    tab = visit(PHONE, permissions=["clipboard-read", "clipboard-write"])
    send(tab, "formula")
    expect(tab.locator(".answer math msup")).to_have_count(1)
    high, low = (tab.locator(f".answer msup > :{at}-child").bounding_box() for at in ("last", "first"))
    assert high["y"] + high["height"] < low["y"] + low["height"], "the exponent is higher"
    expect(tab.locator(".answer mtext")).to_contain_text("<img")
    expect(tab.locator(".answer")).to_contain_text("cost $5 or $6")
    assert tab.locator(".turn img").count() == 0 and tab.title() == "formula · Thumbtune"
    button(tab, ENGLISH.copy).click()
    expect(tab.locator("[data-do=copy].copied")).to_be_visible()
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("x^2 and") and "\\frac{1}{2} < \\text{<img" in copied
    expect(tab.locator(".answer math")).to_have_count(2)


@phone_is_slow
def test_an_error_is_explained_and_the_message_is_sent_again_by_one_click(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "fine")
    tab.locator("#message textarea").fill("broken wire")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_contain_text(ENGLISH.errors["EngineError"])
    expect(tab.locator("#message textarea")).to_have_value("")
    expect(tab.locator(".bubble")).to_have_text(["fine", "broken wire"])
    expect(tab.locator(".answer").first).to_have_text("You said: fine")
    picture(tab, f"error-{size['width']}")
    fake.is_repaired = True
    try:
        tab.reload()
        button(tab, ENGLISH.retry).click()
        expect(tab.locator(".answer").last).to_have_text("You said: broken wire")
        expect(tab.locator(".bubble")).to_have_text(["fine", "broken wire"])
    finally:
        fake.is_repaired = False


def test_a_chinese_page_shows_no_english_error(visit: Any, fake: FakeChat) -> None:
    tab = visit(locale="zh-CN")
    tab.locator("#message textarea").fill("broken wire")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_contain_text("回答中断了")
    expect(tab.get_by_role("alert")).not_to_contain_text("engine")
    expect(button(tab, CHINESE.retry)).to_be_visible()
    expect(tab.locator("#message textarea")).to_have_value("")
