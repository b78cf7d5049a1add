"""Feedback in Chromium: ratings, corrections and comparisons."""

from __future__ import annotations

import time
from typing import Any

from helpers.browser_steps import (
    MARKS,
    answered,
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


@phone_is_slow
def test_a_thumb_down_with_reason_and_comment_counts_once_and_is_kept_through_a_reload(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "rate me")
    reply = str(tab.locator(".reply").get_attribute("data-turn"))
    device = tab.context.browser.new_context(viewport=size, storage_state=tab.context.storage_state())
    other = device.new_page()
    other.goto(tab.url)
    button(other, ENGLISH.bad).click()
    expect(other.get_by_text(ENGLISH.thanks)).to_be_visible()
    device.close()
    button(tab, ENGLISH.bad).click()  # the other device's rating is not shown in this tab yet
    expect(tab.get_by_text(ENGLISH.thanks)).to_be_visible()
    tab.get_by_text(ENGLISH.reasons_bad["wrong"], exact=True).click()
    tab.get_by_label(ENGLISH.comment_label).fill("It <b>is</b></textarea><i>42</i>.")
    picture(tab, f"feedback-{size['width']}")
    button(tab, ENGLISH.finish).click()
    expect(tab.locator(".feedback")).to_have_count(0)
    [rating] = [rating for (rated, _), rating in fake.ratings.items() if rated == reply]
    assert (rating.value, rating.reasons, rating.comment) == (
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
    assert [rating.value for (rated, _), rating in fake.ratings.items() if rated == reply] == [-1]
    tab.get_by_label(ENGLISH.comment_label).fill("It </textarea><i>is</i>.")
    tab.get_by_text(ENGLISH.reasons_bad["wrong"], exact=True).click()
    expect(tab.get_by_label(ENGLISH.comment_label)).to_have_value("It </textarea><i>is</i>.")
    expect(tab.locator(".feedback i")).to_have_count(0)
    button(tab, ENGLISH.bad).click()
    expect(tab.get_by_text(ENGLISH.withdrawn)).to_be_visible()
    assert all(rated != reply for rated, _ in fake.ratings)


def test_a_thumb_down_leads_on_to_a_better_answer_and_keeps_the_comment(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "rate me as well")
    reply = str(tab.locator(".reply").get_attribute("data-turn"))
    button(tab, ENGLISH.bad).click()
    tab.get_by_label(ENGLISH.comment_label).fill("Too short.")
    tab.locator(".feedback").get_by_role("button", name=ENGLISH.correct).click()
    expect(tab.get_by_label(ENGLISH.correct_label)).to_be_focused()
    # The comment is sent as its field is left, and may arrive after the click.
    deadline = time.monotonic() + 10
    while not any(
        rated == reply and rating.comment == "Too short." for (rated, _), rating in fake.ratings.items()
    ):
        assert time.monotonic() < deadline
        tab.wait_for_timeout(50)
    tab.get_by_label(ENGLISH.correct_label).fill("A better answer.")
    button(tab, ENGLISH.correct_save).click()
    expect(tab.get_by_text(ENGLISH.corrected_title)).to_be_visible()
    # What is corrected already is not offered again.
    button(tab, ENGLISH.bad).click()
    expect(tab.get_by_text(ENGLISH.withdrawn)).to_be_visible()
    button(tab, ENGLISH.bad).click()
    expect(tab.get_by_text(ENGLISH.ask_bad)).to_be_visible()
    expect(tab.locator(".feedback").get_by_role("button", name=ENGLISH.correct)).to_have_count(0)


def test_a_comment_left_without_pressing_done_is_kept(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "rate me too")
    reply = str(tab.locator(".reply").get_attribute("data-turn"))
    button(tab, ENGLISH.good).click()
    tab.get_by_label(ENGLISH.comment_label).fill("Nice.")
    with tab.expect_response("**/queue/join*"):  # a reload would cancel a request that has no response yet
        tab.locator("#message textarea").click()
    tab.reload()
    expect(button(tab, ENGLISH.good)).to_have_attribute("aria-pressed", "true")
    [rating] = [rating for (rated, _), rating in fake.ratings.items() if rated == reply]
    assert (rating.value, rating.comment) == (1, "Nice.")


@phone_is_slow
def test_a_correction_is_written_shown_as_a_difference_and_withdrawn(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "347 + 285")
    reply = str(tab.locator(".reply").get_attribute("data-turn"))
    choose(tab, ENGLISH.correct)
    field = tab.get_by_label(ENGLISH.correct_label)
    expect(field).to_be_focused()
    expect(field).to_have_value("The answer is **632**.")
    button(tab, ENGLISH.correct_save).click()
    expect(tab.get_by_text(ENGLISH.correction_same)).to_be_visible()
    changes = tab.locator(".changes")
    expect(changes).to_be_hidden()
    field.press("End")
    field.press("Backspace")
    field.press_sequentially(" apples, <img src=x onerror=\"document.title='owned'\"> & so on.")
    expect(changes.locator("ins")).to_have_text(
        [" apples, <img src=x onerror=\"document.title='owned'\"> & so on"]
    )
    expect(changes.locator("img")).to_have_count(0)
    picture(tab, f"correcting-{size['width']}")
    field.fill("The answer is **633**.")
    expect(changes.locator("del")).to_have_text("632")
    expect(changes.locator("ins")).to_have_text("633")
    assert tab.title() == "347 + 285 · Thumbtune"
    field.fill("The answer is <i>632 apples</i>.")
    button(tab, ENGLISH.correct_save).click()
    expect(tab.get_by_text(ENGLISH.corrected)).to_be_visible()
    expect(tab.locator(".difference ins").first).to_be_visible()
    expect(tab.locator(".difference")).to_contain_text("apples</i>.")
    picture(tab, f"correction-{size['width']}")
    [rater] = {rater for owner, rater in fake.owners.items() if fake.turns[reply].conversation_id == owner}
    correction = fake.store.correction(reply, rater)
    assert correction is not None
    assert correction.text == "The answer is <i>632 apples</i>."
    tab.reload()
    button(tab, ENGLISH.correct_remove).click()
    expect(tab.get_by_text(ENGLISH.uncorrected)).to_be_visible()
    expect(tab.locator(".correction")).to_have_count(0)


@phone_is_slow
def test_two_answers_are_compared_blind_and_named_afterwards(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    held: list[Any] = []  # the event of the switch arrives after the message, as over a slow network
    tab.route(
        "**/queue/join*",
        lambda route: (
            held.append(route)
            if (route.request.post_data_json.get("event_data") or {}).get("change") == "set_mode"
            else route.continue_()
        ),
    )
    tab.get_by_label(ENGLISH.mode_label).select_option("thinking")
    send(tab, "which one?")
    expect(tab.locator(".side-reply .answer")).to_contain_text(["You said: which one?"] * 2)
    [switch_event] = held
    switch_event.continue_()
    expect(tab.locator(".side-reply .caption")).to_have_count(0)
    expect(tab.locator(".thought")).to_have_count(0)
    picture(tab, f"pair-{size['width']}")
    button(tab, ENGLISH.choices["right"]).click()
    expect(tab.get_by_text(ENGLISH.pair_thanks)).to_be_visible()
    captions = sorted(tab.locator(".side-reply .caption").all_inner_texts())
    assert captions == [f"v1 · {ENGLISH.with_thinking}", f"v1 · {ENGLISH.without_thinking}"]
    picture(tab, f"pair-named-{size['width']}")
    right_thought = ENGLISH.with_thinking in tab.locator(".side-reply .caption").last.inner_text()
    tab.reload()
    expect(tab.locator(".reply .siblings")).to_contain_text("/2")
    expect(tab.locator(".thought")).to_have_count(1 if right_thought else 0)
    expect(tab.get_by_label(ENGLISH.mode_label)).to_have_value("thinking")


@phone_is_slow
def test_two_versions_are_compared_without_knowing_which_is_which(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    fake.versions = ("v1", "v2")
    try:
        tab = visit(size)
        tab.get_by_label(ENGLISH.mode_label).select_option("versions")
        send(tab, "old or new?")
        expect(tab.locator(".side-reply .answer")).to_contain_text(["You said: old or new?"] * 2)
        assert "v2" not in tab.locator("#conversation").inner_text()
        button(tab, ENGLISH.choices["left"]).click()
        expect(tab.locator(".side-reply .caption")).to_have_count(2)
        captions = tab.locator(".side-reply .caption").all_inner_texts()
        assert sorted(caption[:2] for caption in captions) == ["v1", "v2"]
        comparisons = [comparison for comparison, *_ in fake.store.comparisons()]
        choice = [comparison for comparison in comparisons if comparison.how == "versions"][-1]
        replies = [fake.turns[reply].reply for reply in (choice.left_reply_id, choice.right_reply_id)]
        versions = [reply.version for reply in replies if reply is not None]
        assert versions == [caption[:2] for caption in captions]
        assert choice.choice == "left" and choice.blind
        picture(tab, f"versions-{size['width']}")
    finally:
        fake.versions = ("v1",)
    # The other version is gone, so a message gets one answer instead of an error.
    button(tab, ENGLISH.new_conversation).click()
    expect(tab.locator(".welcome")).to_be_visible()
    send(tab, "alone")
    expect(tab.locator(".answer")).to_have_text("You said: alone")


def test_stopping_two_answers_keeps_both(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    tab.get_by_label(ENGLISH.think).uncheck()
    tab.get_by_label(ENGLISH.mode_label).select_option("resample")
    tab.locator("#message textarea").fill("slow, twice")
    tab.keyboard.press("Enter")
    expect(tab.locator(".side-reply .answer").last).to_contain_text("tick")
    tab.keyboard.press("Escape")
    answered(tab)
    expect(tab.locator(".side-reply .answer")).to_have_count(2)
    button(tab, ENGLISH.choices["both_bad"]).click()
    expect(tab.get_by_text(ENGLISH.chosen["both_bad"])).to_be_visible()
    expect(tab.get_by_text(ENGLISH.pair_thanks_tie)).to_be_visible()
    expect(tab.get_by_text(ENGLISH.pair_thanks)).to_have_count(0)
