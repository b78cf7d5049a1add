"""Conversations and their branches in Chromium: listed, searched, saved, edited, and open in two tabs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from helpers.browser_steps import (
    MARKS,
    PHONE,
    answered,
    both_sizes,
    button,
    choose,
    expect,
    phone_is_slow,
    picture,
    send,
)
from helpers.fake_chat import FakeChat

from assistant.page.i18n.languages import ENGLISH

pytestmark = MARKS
ORCHARD = "Orchard " * 24 + "end"


def open_list(tab: Any, size: dict[str, int]) -> None:
    """Show the list of conversations, which is a drawer on a phone."""
    if size == PHONE and not tab.locator("#sidebar.drawer-open").count():
        button(tab, ENGLISH.open_list).click()
    expect(tab.locator("#sidebar-top input")).to_be_visible()


def names(tab: Any) -> Any:
    return tab.locator("#conversation-list .name")


def new_conversation(tab: Any) -> None:
    button(tab, ENGLISH.new_conversation).click()
    expect(tab.locator(".welcome")).to_be_visible()


@both_sizes
def test_conversations_are_listed_found_renamed_and_deleted(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "about apples")
    new_conversation(tab)
    send(tab, "about <b>pears</b>")
    open_list(tab, size)
    expect(names(tab)).to_have_text(["about <b>pears</b>", "about apples"])
    picture(tab, f"list-{size['width']}")
    tab.get_by_label(ENGLISH.search, exact=True).fill("apples")
    expect(names(tab)).to_have_text(["about apples"])
    names(tab).first.click()
    expect(tab.locator(".bubble")).to_have_text("about apples")
    open_list(tab, size)
    tab.locator("#conversation-list li").first.hover()
    button(tab, f"{ENGLISH.rename}: about apples").click()
    expect(tab.get_by_label(ENGLISH.rename_label)).to_be_focused()
    tab.get_by_label(ENGLISH.rename_label).fill(ORCHARD)
    tab.keyboard.press("Enter")
    expect(tab.get_by_label(ENGLISH.rename_label)).to_have_count(0)
    tab.get_by_label(ENGLISH.search, exact=True).fill("")
    expect(names(tab)).to_have_text(["about <b>pears</b>", ORCHARD])
    tab.reload()
    expect(tab.locator(".bubble")).to_have_text("about apples")
    open_list(tab, size)
    tab.locator("#conversation-list li", has_text="Orchard").hover()
    button(tab, f"{ENGLISH.delete}: {ORCHARD}").click()
    expect(tab.get_by_role("alertdialog")).to_contain_text("Orchard")
    column, delete = (
        element.bounding_box() for element in (tab.locator("#sidebar"), button(tab, ENGLISH.delete_for_good))
    )
    assert delete["x"] + delete["width"] < column["x"] + column["width"], "its buttons stay in the column"
    expect(button(tab, ENGLISH.cancel)).to_be_focused()
    picture(tab, f"delete-{size['width']}")
    button(tab, ENGLISH.delete_for_good).click()
    expect(names(tab)).to_have_text(["about <b>pears</b>"])
    expect(tab.locator(".welcome")).to_have_count(1)
    assert all(message.content != "about apples" for message in fake.turns.values())


def test_a_new_conversation_is_empty_and_a_person_sees_only_their_own(visit: Any, fake: FakeChat) -> None:
    tab, other = visit(), visit()
    send(tab, "mine")
    button(tab, ENGLISH.new_conversation).click()
    expect(tab.locator(".welcome")).to_be_visible()
    tab.reload()
    expect(tab.locator(".welcome")).to_be_visible()
    other.reload()
    expect(other.locator(".welcome")).to_be_visible()


def test_another_tab_sees_the_conversation_and_goes_on_from_what_it_shows(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "begun here")
    other = tab.context.new_page()
    other.goto(tab.url)
    expect(other.locator(".bubble")).to_have_text("begun here")
    choose(other, ENGLISH.correct)  # an open form keeps the tab from being drawn again
    expect(other.get_by_label(ENGLISH.correct_label)).to_be_visible()
    send(tab, "first tab")
    send(other, "second tab")
    expect(other.locator(".bubble")).to_have_text(["begun here", "second tab"])
    expect(other.locator(".message .siblings")).to_contain_text("2/2")
    tab.reload()
    button(tab, ENGLISH.previous_branch).click()
    expect(tab.locator(".bubble")).to_have_text(["begun here", "first tab"])


def test_a_new_tab_begins_a_new_conversation_and_a_frame_opens_the_last_one(
    visit: Any, fake: FakeChat
) -> None:
    tab = visit()
    send(tab, "begun here")
    start = tab.url.split("?")[0]
    other = tab.context.new_page()
    other.goto(start)
    expect(other.locator(".welcome")).to_be_visible()
    send(other, "something else")
    tab.reload()
    expect(tab.locator(".bubble")).to_have_text("begun here")
    # Inside another page, as on Spaces, a reload loses the address of the frame.
    other.evaluate(
        "start => document.body.replaceChildren(Object.assign(document.createElement('iframe'), { src: start }))",
        start,
    )
    expect(other.frame_locator("iframe").locator(".bubble")).to_have_text("begun here")


@phone_is_slow
def test_an_idle_tab_shows_what_another_one_adds_unless_the_person_is_busy_in_it(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "begun")
    idle = tab.context.new_page()
    idle.goto(tab.url)
    expect(idle.locator(".bubble")).to_have_text("begun")
    idle.locator("#message textarea").fill("half a thought")
    send(tab, "added elsewhere")
    expect(idle.locator(".bubble")).to_have_text(["begun", "added elsewhere"])
    button(tab, ENGLISH.good).click()
    expect(button(idle, ENGLISH.good)).to_have_attribute("aria-pressed", "true")
    button(tab, ENGLISH.finish).click()
    expect(idle.locator("#message textarea")).to_have_value("half a thought")

    # An open form stays open with its text.
    choose(idle, ENGLISH.correct)
    idle.get_by_label(ENGLISH.correct_label).fill("Better.")
    send(tab, "and more")
    expect(idle.get_by_label(ENGLISH.correct_label)).to_have_value("Better.")
    button(idle, ENGLISH.cancel).click()

    # Nothing tells this browser what another device adds; it asks when the person comes back to the tab.
    other = idle.context.browser.new_context(viewport=size, storage_state=idle.context.storage_state())
    device = other.new_page()
    device.goto(tab.url)
    expect(device.locator(".bubble").last).to_have_text("and more")
    send(device, "from another device")
    idle.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(idle.locator(".bubble").last).to_have_text("from another device")

    # A conversation that is deleted on another device is gone here too.
    open_list(device, size)
    device.locator("#conversation-list li").first.hover()
    device.locator("#conversation-list [data-do=ask_delete]").first.click()
    button(device, ENGLISH.delete_for_good).click()
    expect(device.locator(".welcome")).to_be_visible()
    idle.wait_for_timeout(1000)  # it asks at most once a second
    idle.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(idle.get_by_text(ENGLISH.errors["NotHere"])).to_be_visible()
    expect(idle.locator("#message textarea")).to_have_value("half a thought")
    other.close()


@phone_is_slow
def test_a_conversation_is_saved_and_opened_again_and_a_wrong_file_is_refused(
    visit: Any, fake: FakeChat, size: dict[str, int], tmp_path: Path
) -> None:
    tab = visit(size)
    send(tab, "347 + 285")
    open_list(tab, size)
    with tab.expect_download() as markdown:
        button(tab, ENGLISH.export_markdown).click()
    text = Path(markdown.value.path()).read_text(encoding="utf-8")
    assert markdown.value.suggested_filename == "347  285.md"
    assert "The answer is **632**." in text
    assert "write 2, carry 1" in text
    with tab.expect_download() as saved:
        button(tab, ENGLISH.export_json).click()
    file = tmp_path / "saved.json"
    saved.value.save_as(file)
    assert json.loads(file.read_text(encoding="utf-8"))["messages"][1]["version"] == "v1"
    tab.get_by_label(ENGLISH.import_json).set_input_files(file)
    expect(tab.get_by_text(ENGLISH.imported)).to_have_count(1)
    expect(names(tab)).to_have_text(["347 + 285", "347 + 285"])
    expect(tab.locator(".reply .caption")).to_have_text("imported")
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"format": "other"}', encoding="utf-8")
    tab.get_by_label(ENGLISH.import_json).set_input_files(wrong)
    expect(tab.get_by_role("alert")).to_contain_text(ENGLISH.import_refused["not_ours"])


@phone_is_slow
def test_arrows_switch_between_answers_and_each_keeps_its_rating(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    tab.get_by_label(ENGLISH.think).uncheck()
    send(tab, "again")
    button(tab, ENGLISH.good).click()
    expect(tab.get_by_text(ENGLISH.thanks)).to_be_visible()
    choose(tab, ENGLISH.retry_thinking)
    expect(tab.locator(".reply .siblings")).to_contain_text("2/2")
    answered(tab)
    expect(tab.locator(".thought")).to_have_count(1)
    expect(button(tab, ENGLISH.good)).to_have_attribute("aria-pressed", "false")
    picture(tab, f"branches-{size['width']}")
    button(tab, ENGLISH.previous_branch).click()
    expect(tab.locator(".reply .siblings")).to_contain_text("1/2")
    expect(tab.locator(".thought")).to_have_count(0)
    expect(button(tab, ENGLISH.good)).to_have_attribute("aria-pressed", "true")
    expect(button(tab, ENGLISH.previous_branch)).to_be_disabled()
    tab.reload()
    expect(tab.locator(".reply .siblings")).to_contain_text("1/2")
    expect(button(tab, ENGLISH.good)).to_have_attribute("aria-pressed", "true")


@phone_is_slow
def test_edit_retry_and_undo_change_the_path_and_lose_nothing(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "one")
    tab.locator(".bubble").hover()
    button(tab, ENGLISH.edit).click()
    field = tab.get_by_label(ENGLISH.edit_label)
    expect(field).to_be_focused()
    expect(field).to_have_value("one")
    field.fill("two")
    picture(tab, f"edit-{size['width']}")
    tab.keyboard.press("Enter")
    expect(tab.locator(".bubble")).to_have_text("two")
    answered(tab)
    first = str(tab.locator(".reply").get_attribute("data-turn"))
    button(tab, ENGLISH.retry).click()
    expect(tab.locator(f'.reply[data-turn]:not([data-turn="{first}"])')).to_be_visible()
    answered(tab)
    message = fake.turns[first].parent_id
    assert len(fake.siblings(message)) == 2
    assert {"one", "two"} <= {turn.content for turn in fake.siblings(None)}
    choose(tab, ENGLISH.undo)
    expect(tab.locator(".welcome")).to_be_visible()
    expect(tab.locator("#message textarea")).to_have_value("two")


def test_enter_that_picks_a_word_in_an_input_method_does_not_send(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "original")
    tab.locator(".bubble").hover()
    button(tab, ENGLISH.edit).click()
    requests = len(fake.requests)
    field = tab.get_by_label(ENGLISH.edit_label)
    field.fill("ni")
    field.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
    field.fill("nihao")
    field.press("Enter")
    expect(tab.locator(".bubble")).to_have_text("nihao")
    answered(tab)
    assert [message for message, _ in fake.requests[requests:]] == ["nihao"]
