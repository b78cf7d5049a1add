"""The panels over the page in Chromium: settings, the tokens of a reply, and the version's card."""

from __future__ import annotations

from typing import Any

from helpers.browser_steps import (
    DESKTOP,
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

from assistant.bases.built_in_cards import STARTER_CARD
from assistant.page.i18n.languages import ENGLISH

pytestmark = MARKS


@phone_is_slow
def test_settings_reach_the_engine_and_are_remembered_and_reset(
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
    tab.locator("#message textarea").fill("half a thought")  # at once: the panel is not to swallow it
    expect(panel).to_have_count(0)
    expect(tab.locator("#message textarea")).to_have_value("half a thought")
    send(tab, "with settings")
    sampling = fake.samplings[-1]
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.max_new_tokens, sampling.seed) == (
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


@phone_is_slow
def test_an_answer_is_read_token_by_token_and_goes_on_from_another_one(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "347 + 285")
    tab.set_viewport_size({**size, "height": 460})  # too low for all tokens and what could have come
    choose(tab, ENGLISH.tokens)
    panel = tab.get_by_role("dialog", name=ENGLISH.tokens_title)
    expect(panel.locator(".token").last).to_have_text(ENGLISH.token_end)
    panel.locator(".token").last.click()
    expect(panel.get_by_text(ENGLISH.token_end_help)).to_be_visible()
    expect(panel.locator(".token[aria-pressed=true]")).to_have_text(ENGLISH.token_end)
    token, below = (
        panel.locator(part).bounding_box() for part in (".token[aria-pressed=true]", ".alternatives")
    )
    assert token["y"] + token["height"] < below["y"], "the alternatives do not cover the chosen token"
    panel.locator(".token", has_text="T").first.click()
    # Until then END's alternatives are still shown, and a click on one of them would be lost with them.
    expect(panel.locator(".token[aria-pressed=true]")).not_to_have_text(ENGLISH.token_end)
    expect(panel.locator(".alternatives")).to_be_visible()
    tab.set_viewport_size(size)
    picture(tab, f"tokens-{size['width']}")
    button(tab, ENGLISH.token_continue_format.format(token="x")).click()
    expect(panel).to_have_count(0)
    expect(tab.locator(".reply .siblings")).to_contain_text("2/2")
    answered(tab)
    reply = fake.turns[str(tab.locator(".reply").get_attribute("data-turn"))].reply
    assert reply is not None
    assert chr(reply.completion_ids[reply.sampling["beginning"] - 1]) == "x"


@phone_is_slow
def test_the_version_badge_opens_its_card(visit: Any, fake: FakeChat, size: dict[str, int]) -> None:
    tab = visit(size)
    tab.locator("#header .badge").click()
    panel = tab.get_by_role("dialog", name="Version v1")
    expect(panel).to_contain_text(ENGLISH.card["base"])
    expect(panel).to_contain_text(ENGLISH.card_stages["kto"])
    expect(panel).to_contain_text(STARTER_CARD.texts["en"].not_good_at)
    panel.get_by_text(ENGLISH.card_document).click()
    expect(panel.get_by_role("heading", name="The starter")).to_be_visible()
    picture(tab, f"card-{size['width']}")
    tab.mouse.click(5, 400) if size == DESKTOP else tab.keyboard.press("Escape")
    expect(panel).to_have_count(0)
