"""The page in Chromium, as a person uses it. `THUMBTUNE_SCREENSHOTS=folder` keeps pictures."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fake_chat import FakeChat
from in_browser import MARKS, PHONE, answered, both_sizes, button, expect, picture, send

from assistant.page.words import CHINESE, ENGLISH

pytestmark = MARKS


def test_a_thought_is_open_while_it_is_written_and_folds_away(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    picture(tab, "welcome")
    tab.locator("#message textarea").fill("347 + 285")
    tab.keyboard.press("Enter")
    expect(tab.locator(".thought.thinking[open]")).to_be_visible()
    picture(tab, "thinking")
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
    picture(tab, "thought-opened")


def test_without_the_switch_there_is_no_thought_and_a_reload_remembers_it(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    tab.get_by_label(ENGLISH.think).uncheck()
    send(tab, "plainly")
    assert fake.asked[-1] == ("plainly", False)
    expect(tab.locator(".thought")).to_have_count(0)
    tab.reload()
    expect(tab.locator(".bubble")).to_have_text("plainly")
    expect(tab.get_by_label(ENGLISH.think)).not_to_be_checked()


@both_sizes
def test_a_thumb_down_with_reason_and_comment_counts_once_and_is_kept_through_a_reload(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "rate me")
    reply = str(tab.locator(".reply").get_attribute("data-turn"))
    other = tab.context.new_page()
    other.goto(tab.url)
    button(other, ENGLISH.bad).click()
    expect(other.get_by_text(ENGLISH.thanks)).to_be_visible()
    other.close()
    button(tab, ENGLISH.bad).click()
    expect(tab.get_by_text(ENGLISH.thanks)).to_be_visible()
    tab.get_by_text(ENGLISH.reasons_bad["wrong"], exact=True).click()
    tab.get_by_label(ENGLISH.comment_label).fill("It <b>is</b></textarea><i>42</i>.")
    picture(tab, f"feedback-{size['width']}")
    button(tab, ENGLISH.finish).click()
    expect(tab.locator(".feedback")).to_have_count(0)
    [vote] = [vote for (voted, _), vote in fake.votes.items() if voted == reply]
    assert (vote.value, vote.reasons, vote.comment) == (
        -1,
        ("wrong",),
        "It <b>is</b></textarea><i>42</i>.",
    )
    tab.reload()
    expect(button(tab, ENGLISH.bad)).to_have_attribute("aria-pressed", "true")
    button(tab, ENGLISH.good).click()
    expect(tab.get_by_text(ENGLISH.ask_good)).to_be_visible()
    button(tab, ENGLISH.bad).click()
    expect(tab.get_by_text(ENGLISH.ask_bad)).to_be_visible()
    assert [vote.value for (voted, _), vote in fake.votes.items() if voted == reply] == [-1]
    tab.get_by_label(ENGLISH.comment_label).fill("It </textarea><i>is</i>.")
    tab.get_by_text(ENGLISH.reasons_bad["wrong"], exact=True).click()
    expect(tab.get_by_label(ENGLISH.comment_label)).to_have_value("It </textarea><i>is</i>.")
    expect(tab.locator(".feedback i")).to_have_count(0)
    button(tab, ENGLISH.bad).click()
    expect(tab.get_by_text(ENGLISH.withdrawn)).to_be_visible()
    assert all(voted != reply for voted, _ in fake.votes)


def test_a_comment_left_without_pressing_done_is_kept(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "rate me too")
    reply = str(tab.locator(".reply").get_attribute("data-turn"))
    button(tab, ENGLISH.good).click()
    tab.get_by_label(ENGLISH.comment_label).fill("Nice.")
    tab.locator("#message textarea").click()
    tab.reload()
    expect(button(tab, ENGLISH.good)).to_have_attribute("aria-pressed", "true")
    [vote] = [vote for (voted, _), vote in fake.votes.items() if voted == reply]
    assert (vote.value, vote.comment) == (1, "Nice.")


def test_edit_retry_and_undo_change_the_path_and_lose_nothing(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "one")
    tab.locator(".bubble").hover()
    button(tab, ENGLISH.edit).click()
    field = tab.get_by_label(ENGLISH.edit_label)
    expect(field).to_be_focused()
    expect(field).to_have_value("one")
    field.fill("two")
    picture(tab, "edit")
    tab.keyboard.press("Enter")
    expect(tab.locator(".bubble")).to_have_text("two")
    answered(tab)
    first = str(tab.locator(".reply").get_attribute("data-turn"))
    button(tab, ENGLISH.retry).click()
    expect(tab.locator(f'.reply[data-turn]:not([data-turn="{first}"])')).to_be_visible()
    answered(tab)
    asked = fake.turns[first].parent_id
    assert len(fake.siblings(asked)) == 2
    assert {"one", "two"} <= {turn.content for turn in fake.siblings(None)}
    button(tab, ENGLISH.undo).click()
    expect(tab.locator(".welcome")).to_be_visible()
    expect(tab.locator("#message textarea")).to_have_value("two")


def test_stop_keeps_the_words_and_the_conversation_goes_on(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    tab.locator("#message textarea").fill("slow, please")
    tab.keyboard.press("Enter")
    expect(tab.locator(".answer")).to_contain_text("tick tick")
    button(tab, ENGLISH.stop).click()
    answered(tab)
    expect(tab.locator(".caption")).to_have_text("v1 · stopped")
    expect(tab.locator(".answer")).to_contain_text("tick")
    send(tab, "go on")
    expect(tab.locator(".answer").last).to_have_text("You said: go on")


def test_a_closed_tab_ends_its_reply(visit: Any, fake: FakeChat) -> None:
    fake.closed.clear()
    tab = visit()
    tab.locator("#message textarea").fill("slow and then gone")
    tab.keyboard.press("Enter")
    expect(tab.locator(".answer")).to_contain_text("tick")
    tab.close()
    assert fake.closed.wait(10)


def test_a_reload_in_mid_reply_finds_the_conversation_again(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "first")
    tab.locator("#message textarea").fill("slow second")
    tab.keyboard.press("Enter")
    expect(tab.locator(".answer").last).to_contain_text("tick")
    tab.reload()
    expect(tab.locator(".answer").first).to_have_text("You said: first")
    expect(tab.locator("#send")).to_be_visible()


def test_a_new_conversation_is_empty_and_a_person_sees_only_their_own(visit: Any, fake: FakeChat) -> None:
    tab, other = visit(), visit()
    send(tab, "mine")
    button(tab, ENGLISH.new_conversation).click()
    expect(tab.locator(".welcome")).to_be_visible()
    tab.reload()
    expect(tab.locator(".welcome")).to_be_visible()
    other.reload()
    expect(other.locator(".welcome")).to_be_visible()


def test_html_in_messages_and_answers_is_text(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "tags")
    expect(tab.locator(".answer")).to_contain_text("<script>document.title='owned'</script>")
    expect(tab.locator(".answer code")).to_have_text("<i>")
    hostile = "<img src=x onerror=\"document.title='owned'\"><b>hi</b>"
    send(tab, hostile)
    expect(tab.locator(".bubble").last).to_have_text(hostile)
    assert tab.locator(".turn img, .turn b, .turn script").count() == 0
    assert tab.title() == "Thumbtune"


def test_an_empty_message_gets_a_hint_and_shift_enter_a_new_line(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    asked = len(fake.asked)
    tab.locator("#message textarea").press("Enter")
    expect(tab.get_by_text(ENGLISH.empty_message)).to_be_visible()
    tab.locator("#message textarea").type("a")
    tab.keyboard.press("Shift+Enter")
    tab.keyboard.type("b")
    expect(tab.locator("#message textarea")).to_have_value("a\nb")
    assert len(fake.asked) == asked


def test_enter_that_picks_a_word_in_an_input_method_does_not_send(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "original")
    tab.locator(".bubble").hover()
    button(tab, ENGLISH.edit).click()
    asked = len(fake.asked)
    field = tab.get_by_label(ENGLISH.edit_label)
    field.fill("ni")
    field.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
    field.fill("nihao")
    field.press("Enter")
    expect(tab.locator(".bubble")).to_have_text("nihao")
    answered(tab)
    assert [message for message, _ in fake.asked[asked:]] == ["nihao"]


def test_copying_copies_the_answer_alone(visit: Any, fake: FakeChat) -> None:
    tab = visit(permissions=["clipboard-read", "clipboard-write"])
    send(tab, "347 + 285")
    button(tab, ENGLISH.copy).click()
    expect(tab.locator("[data-do=copy].copied")).to_be_visible()
    assert tab.evaluate("navigator.clipboard.readText()") == "The answer is 632."


def test_a_formula_is_drawn_is_copied_as_it_was_written_and_carries_no_tags(
    visit: Any, fake: FakeChat
) -> None:
    tab = visit(PHONE, permissions=["clipboard-read", "clipboard-write"])
    send(tab, "formula")
    expect(tab.locator(".answer math msup")).to_have_count(1)
    high, low = (tab.locator(f".answer msup > :{at}-child").bounding_box() for at in ("last", "first"))
    assert high["y"] + high["height"] < low["y"] + low["height"], "the exponent stands higher"
    expect(tab.locator(".answer mtext")).to_contain_text("<img")
    expect(tab.locator(".answer")).to_contain_text("cost $5 or $6")
    assert tab.locator(".turn img").count() == 0 and tab.title() == "Thumbtune"
    button(tab, ENGLISH.copy).click()
    expect(tab.locator("[data-do=copy].copied")).to_be_visible()
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("x^2 and") and "\\frac{1}{2} < \\text{<img" in copied
    expect(tab.locator(".answer math")).to_have_count(2)


def test_an_error_is_explained_and_the_message_is_sent_again_by_one_click(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "fine")
    tab.locator("#message textarea").fill("broken wire")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_contain_text("The engine stopped answering.")
    expect(tab.locator("#message textarea")).to_have_value("")
    expect(tab.locator(".bubble")).to_have_text(["fine", "broken wire"])
    expect(tab.locator(".answer").first).to_have_text("You said: fine")
    picture(tab, "error")
    fake.mended = True
    try:
        tab.reload()
        button(tab, ENGLISH.retry).click()
        expect(tab.locator(".answer").last).to_have_text("You said: broken wire")
        expect(tab.locator(".bubble")).to_have_text(["fine", "broken wire"])
    finally:
        fake.mended = False


def test_the_page_speaks_chinese_to_a_chinese_browser_and_can_be_switched(visit: Any, fake: FakeChat) -> None:
    tab = visit(locale="zh-CN")
    expect(tab.get_by_role("heading", name=CHINESE.greeting)).to_be_visible()
    picture(tab, "welcome-chinese")
    button(tab, CHINESE.examples[0]).click()
    answered(tab)
    expect(tab.locator(".thought summary")).to_have_text(re.compile(r"思考了 \d+\.\d 秒"))
    button(tab, CHINESE.good).click()
    expect(tab.get_by_text(CHINESE.ask_good)).to_be_visible()
    picture(tab, "feedback-chinese")
    seen = re.sub(
        r"v1|English|Thumbtune|Enter|Shift|Markdown|JSON", "", str(tab.locator("#frame").inner_text())
    )
    assert not re.search(r"[A-Za-z]{2,}", seen.replace(CHINESE.examples[0], ""))
    button(tab, CHINESE.switch_language).click()
    expect(button(tab, ENGLISH.good)).to_be_visible()
    expect(tab.locator("#send")).to_have_text(ENGLISH.send)
    tab.reload()
    expect(tab.locator("#send")).to_have_text(ENGLISH.send)


@pytest.mark.parametrize(("name", "scheme"), [("phone", "light"), ("phone-dark", "dark")])
def test_at_phone_width_nothing_is_cut_off(visit: Any, fake: FakeChat, name: str, scheme: str) -> None:
    tab = visit(PHONE, color_scheme=scheme, has_touch=True)
    picture(tab, f"{name}-welcome")
    send(tab, "table")
    button(tab, ENGLISH.bad).click()
    expect(tab.locator(".feedback")).to_be_visible()
    picture(tab, name)
    assert tab.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
    for selector in ("#send", "#header [data-do=fresh]", ".feedback [type=submit]"):
        box = tab.locator(selector).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
    expect(tab.locator("#send")).to_be_in_viewport()


def test_dark_follows_the_browser(visit: Any, fake: FakeChat) -> None:
    tab = visit(color_scheme="dark")
    send(tab, "347 + 285")
    send(tab, "table")
    picture(tab, "dark")
    background = tab.evaluate("getComputedStyle(document.querySelector('#frame')).backgroundColor")
    assert background == "rgb(17, 21, 20)"


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
