"""Conversations, branches, better answers, two answers, settings and tokens in Chromium, on a desk and on a phone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_chat import FakeChat
from in_browser import DESKTOP, MARKS, PHONE, answered, both_sizes, button, expect, picture, send

from assistant.page.words import CHINESE, ENGLISH

pytestmark = MARKS


def open_list(tab: Any, size: dict[str, int]) -> None:
    """On a phone the list is a drawer."""
    if size == PHONE and not tab.locator("#side.drawer-open").count():
        button(tab, ENGLISH.open_list).click()
    expect(tab.locator("#side-head input")).to_be_visible()


def names(tab: Any) -> Any:
    return tab.locator("#shelf .name")


def fresh(tab: Any) -> None:
    button(tab, ENGLISH.new_conversation).click()
    expect(tab.locator(".welcome")).to_be_visible()


@both_sizes
def test_conversations_are_listed_found_renamed_and_deleted(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "about apples")
    fresh(tab)
    send(tab, "about <b>pears</b>")
    open_list(tab, size)
    expect(names(tab)).to_have_text(["about <b>pears</b>", "about apples"])
    picture(tab, f"list-{size['width']}")
    tab.get_by_label(ENGLISH.search, exact=True).fill("apples")
    expect(names(tab)).to_have_text(["about apples"])
    names(tab).first.click()
    expect(tab.locator(".bubble")).to_have_text("about apples")
    open_list(tab, size)
    tab.locator("#shelf li").first.hover()
    button(tab, f"{ENGLISH.rename}: about apples").click()
    expect(tab.get_by_label(ENGLISH.rename_label)).to_be_focused()
    tab.get_by_label(ENGLISH.rename_label).fill("Orchard")
    tab.keyboard.press("Enter")
    expect(tab.get_by_label(ENGLISH.rename_label)).to_have_count(0)
    tab.get_by_label(ENGLISH.search, exact=True).fill("")
    expect(names(tab)).to_have_text(["about <b>pears</b>", "Orchard"])
    tab.reload()
    expect(tab.locator(".bubble")).to_have_text("about apples")
    open_list(tab, size)
    tab.locator("#shelf li", has_text="Orchard").hover()
    button(tab, f"{ENGLISH.delete}: Orchard").click()
    expect(tab.get_by_role("alertdialog")).to_contain_text("Orchard")
    expect(button(tab, ENGLISH.cancel)).to_be_focused()
    picture(tab, f"delete-{size['width']}")
    button(tab, ENGLISH.delete_for_good).click()
    expect(names(tab)).to_have_text(["about <b>pears</b>"])
    expect(tab.locator(".welcome")).to_have_count(1)
    assert all(message.content != "about apples" for message in fake.turns.values())


def test_another_tab_sees_the_conversation_and_goes_on_from_what_it_shows(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "begun here")
    other = tab.context.new_page()
    other.goto(tab.url)
    expect(other.locator(".bubble")).to_have_text("begun here")
    send(tab, "first tab")
    send(other, "second tab")
    expect(other.locator(".bubble")).to_have_text(["begun here", "second tab"])
    expect(other.locator(".message .places")).to_contain_text("2/2")
    tab.reload()
    button(tab, ENGLISH.earlier_version).click()
    expect(tab.locator(".bubble")).to_have_text(["begun here", "first tab"])


@both_sizes
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


@both_sizes
def test_arrows_switch_between_answers_and_each_keeps_its_vote(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    tab.get_by_label(ENGLISH.think).uncheck()
    send(tab, "again")
    button(tab, ENGLISH.good).click()
    expect(tab.get_by_text(ENGLISH.thanks)).to_be_visible()
    button(tab, ENGLISH.retry_thinking).click()
    expect(tab.locator(".reply .places")).to_contain_text("2/2")
    answered(tab)
    expect(tab.locator(".thought")).to_have_count(1)
    expect(button(tab, ENGLISH.good)).to_have_attribute("aria-pressed", "false")
    picture(tab, f"branches-{size['width']}")
    button(tab, ENGLISH.earlier_version).click()
    expect(tab.locator(".reply .places")).to_contain_text("1/2")
    expect(tab.locator(".thought")).to_have_count(0)
    expect(button(tab, ENGLISH.good)).to_have_attribute("aria-pressed", "true")
    expect(button(tab, ENGLISH.earlier_version)).to_be_disabled()
    tab.reload()
    expect(tab.locator(".reply .places")).to_contain_text("1/2")
    expect(button(tab, ENGLISH.good)).to_have_attribute("aria-pressed", "true")


@both_sizes
def test_a_better_answer_is_written_shown_as_a_difference_and_taken_back(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "347 + 285")
    reply = str(tab.locator(".reply").get_attribute("data-turn"))
    button(tab, ENGLISH.correct).click()
    field = tab.get_by_label(ENGLISH.correct_label)
    expect(field).to_be_focused()
    expect(field).to_have_value("The answer is **632**.")
    button(tab, ENGLISH.correct_save).click()
    expect(tab.get_by_text(ENGLISH.correction_same)).to_be_visible()
    field.fill("The answer is <i>632 apples</i>.")
    button(tab, ENGLISH.correct_save).click()
    expect(tab.get_by_text(ENGLISH.corrected)).to_be_visible()
    expect(tab.locator(".difference ins").first).to_be_visible()
    expect(tab.locator(".difference")).to_contain_text("apples</i>.")
    picture(tab, f"correction-{size['width']}")
    [rater] = {rater for owner, rater in fake.owners.items() if fake.turns[reply].conversation_id == owner}
    kept = fake.store.correction(reply, rater)
    assert kept is not None
    assert kept.text == "The answer is <i>632 apples</i>."
    tab.reload()
    button(tab, ENGLISH.correct_remove).click()
    expect(tab.get_by_text(ENGLISH.uncorrected)).to_be_visible()
    expect(tab.locator(".correction")).to_have_count(0)


@both_sizes
def test_two_answers_are_judged_blind_and_named_afterwards(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    held: list[Any] = []  # the choice's own event comes after the message, as a slow network may have it
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
    expect(tab.locator(".side-reply .answer")).to_have_text(["You said: which one?"] * 2)
    [late] = held
    late.continue_()
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
    expect(tab.locator(".reply .places")).to_contain_text("/2")
    expect(tab.locator(".thought")).to_have_count(1 if right_thought else 0)
    expect(tab.get_by_label(ENGLISH.mode_label)).to_have_value("thinking")


@both_sizes
def test_two_versions_are_judged_without_knowing_which_is_which(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    fake.versions = ("v1", "v2")
    try:
        tab = visit(size)
        tab.get_by_label(ENGLISH.mode_label).select_option("versions")
        send(tab, "old or new?")
        expect(tab.locator(".side-reply .answer")).to_have_text(["You said: old or new?"] * 2)
        assert "v2" not in tab.locator("#conversation").inner_text()
        button(tab, ENGLISH.choices["left"]).click()
        expect(tab.locator(".side-reply .caption")).to_have_count(2)
        captions = tab.locator(".side-reply .caption").all_inner_texts()
        assert sorted(caption[:2] for caption in captions) == ["v1", "v2"]
        [choice] = [one for one, *_ in fake.store.comparisons() if one.how == "versions"][-1:]
        versions = [fake.turns[one].reply.version for one in (choice.left_reply_id, choice.right_reply_id)]  # type: ignore[union-attr]
        assert versions == [caption[:2] for caption in captions]
        assert choice.choice == "left" and choice.blind
        picture(tab, f"versions-{size['width']}")
    finally:
        fake.versions = ("v1",)
    # The other version is gone, and the choice of two with it: one answer, not an error.
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


@both_sizes
def test_settings_reach_the_draw_and_are_remembered_and_reset(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    button(tab, ENGLISH.settings).click()
    panel = tab.get_by_role("dialog", name=ENGLISH.settings)
    expect(panel).to_be_visible()
    button(tab, ENGLISH.varied).click()
    expect(button(tab, ENGLISH.varied)).to_have_attribute("aria-pressed", "true")
    panel.get_by_label(ENGLISH.system_label).fill("Be <b>brief</b>.")
    panel.get_by_label(ENGLISH.seed).fill("7")
    panel.get_by_label(ENGLISH.max_tokens).fill("99")
    panel.get_by_label(ENGLISH.top_k).fill("5")
    panel.get_by_label(ENGLISH.top_k).press("Tab")
    picture(tab, f"settings-{size['width']}")
    tab.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    send(tab, "with settings")
    drawn = fake.drawn[-1]
    assert (drawn.temperature, drawn.top_p, drawn.top_k, drawn.max_new_tokens, drawn.seed) == (
        1.0,
        0.95,
        5,
        99,
        7,
    )
    expect(tab.locator(".instructions summary")).to_have_text(ENGLISH.system)
    tab.locator(".instructions summary").click()
    expect(tab.locator(".instructions p")).to_have_text("Be <b>brief</b>.")
    tab.reload()
    button(tab, ENGLISH.settings).click()
    expect(panel.get_by_label(ENGLISH.seed)).to_have_value("7")
    button(tab, ENGLISH.reset).click()
    expect(panel.get_by_label(ENGLISH.seed)).to_have_value("")
    expect(panel.get_by_label(ENGLISH.system_label)).to_have_value("")
    button(tab, ENGLISH.close).click()
    expect(panel).to_have_count(0)


@both_sizes
def test_an_answer_is_read_token_by_token_and_goes_on_from_another_one(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "347 + 285")
    button(tab, ENGLISH.tokens).click()
    panel = tab.get_by_role("dialog", name=ENGLISH.tokens_title)
    expect(panel.locator(".token").last).to_have_text(ENGLISH.token_end)
    panel.locator(".token").last.click()
    expect(panel.get_by_text(ENGLISH.token_end_help)).to_be_visible()
    panel.locator(".token", has_text="T").first.click()
    expect(panel.locator(".alternatives")).to_be_visible()
    picture(tab, f"tokens-{size['width']}")
    button(tab, ENGLISH.token_continue_format.format(token="x")).click()
    expect(panel).to_have_count(0)
    expect(tab.locator(".reply .places")).to_contain_text("2/2")
    answered(tab)
    reply = fake.turns[str(tab.locator(".reply").get_attribute("data-turn"))].reply
    assert reply is not None
    assert chr(reply.completion_ids[reply.sampling["beginning"] - 1]) == "x"


@both_sizes
def test_the_version_badge_opens_its_card(visit: Any, fake: FakeChat, size: dict[str, int]) -> None:
    tab = visit(size)
    tab.locator("#header .badge").click()
    panel = tab.get_by_role("dialog", name="Version v1")
    expect(panel).to_contain_text(ENGLISH.card["base"])
    expect(panel).to_contain_text("kto")
    picture(tab, f"card-{size['width']}")
    tab.mouse.click(5, 400) if size == DESKTOP else tab.keyboard.press("Escape")
    expect(panel).to_have_count(0)


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
    expect(tab.locator("#side-head input")).to_be_hidden()
    button(tab, ENGLISH.open_list).press("Enter")
    expect(tab.locator("#side-head input")).to_be_focused()
    expect(button(tab, ENGLISH.open_list)).to_have_attribute("aria-expanded", "true")
    tab.keyboard.press("Escape")
    expect(tab.locator("#side-head input")).to_be_hidden()
    expect(button(tab, ENGLISH.open_list)).to_be_focused()


def test_a_chinese_page_shows_no_english_error(visit: Any, fake: FakeChat) -> None:
    tab = visit(locale="zh-CN")
    tab.locator("#message textarea").fill("broken wire")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_contain_text("回答中断了")
    expect(tab.get_by_role("alert")).not_to_contain_text("engine")
    expect(button(tab, CHINESE.retry)).to_be_visible()
    expect(tab.locator("#message textarea")).to_have_value("")


def test_a_paste_of_a_hundred_thousand_characters_is_refused_kindly_and_kept(
    visit: Any, fake: FakeChat
) -> None:
    tab = visit()
    asked = len(fake.asked)
    tab.locator("#message textarea").fill("word " * 20_000)
    button(tab, ENGLISH.send).click()
    expect(tab.get_by_text("This message has 100,000 characters")).to_be_visible()
    expect(tab.locator("#message textarea")).to_have_value("word " * 20_000)
    assert len(fake.asked) == asked


def test_a_language_from_right_to_left_is_written_from_the_right(visit: Any, fake: FakeChat) -> None:
    tab = visit()
    send(tab, "مرحبا")
    direction = "element => getComputedStyle(element).direction"
    assert tab.locator(".bubble").evaluate(direction) == "rtl"
    assert tab.locator(".answer").evaluate(direction) == "rtl"
    picture(tab, "right-to-left")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_small_and_quiet_text_has_the_contrast_that_people_need(
    visit: Any, fake: FakeChat, scheme: str
) -> None:
    tab = visit(color_scheme=scheme)
    send(tab, "table")
    button(tab, ENGLISH.bad).click()
    expect(tab.locator(".feedback")).to_be_visible()
    poor = tab.evaluate(CONTRAST)
    assert poor == []
    tab.close()


# WCAG 2.2, success criterion 1.4.3: 4.5 to 1 for text below 24 px.
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    let colour = [255, 255, 255];
    for (const [r, g, b, a] of layers.reverse()) colour = colour.map((v, i) => v * (1 - a) + [r, g, b][i] * a);
    return colour;
  };
  return [...document.querySelectorAll('#frame *')]
    .filter((e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
    .filter((e) => !e.closest(':disabled') && getComputedStyle(e).opacity === '1')
    .map((e) => {
      const back = behind(e), fore = rgba(getComputedStyle(e).color);
      const mixed = back.map((v, i) => v * (1 - fore[3]) + fore[i] * fore[3]);
      const [a, b] = [light(mixed), light(back)].sort((x, y) => y - x);
      return [e.outerHTML.slice(0, 120), (a + 0.05) / (b + 0.05)];
    })
    .filter(([, ratio]) => ratio < 4.5);
}"""
