"""Messages and ratings survive reloads during a reply, a restart of the server and a new version."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.browser_steps import MARKS, PHONE, answered, button, expect, phone_is_slow, send
from helpers.fake_chat import FakeChat, serving
from helpers.running_app import free_port

from assistant.page.i18n.languages import CHINESE, ENGLISH

pytestmark = MARKS


@phone_is_slow
def test_ratings_branches_and_history_survive_a_reload_a_restart_and_a_new_version(
    browser: Any, served: Any, size: dict[str, int]
) -> None:
    first, port = FakeChat(seconds_between=0.01), free_port()
    context = browser.new_context(viewport=size)
    tab = context.new_page()
    with serving(first, port) as address:
        tab.goto(address)
        expect(tab.locator(".welcome")).to_be_visible()
        send(tab, "keep me")
        button(tab, ENGLISH.good).click()
        expect(tab.get_by_text(ENGLISH.thanks)).to_be_visible()
        button(tab, ENGLISH.retry).click()
        expect(tab.locator(".reply .siblings")).to_contain_text("2/2")
        answered(tab)
        button(tab, ENGLISH.bad).click()
        expect(tab.get_by_text(ENGLISH.thanks)).to_be_visible()
        tab.locator("#message textarea").fill("slow and interrupted")
        tab.keyboard.press("Enter")
        expect(tab.locator(".answer").last).to_contain_text("tick tick")
        tab.reload()
        expect(tab.locator(".bubble").last).to_have_text("slow and interrupted")
        button(tab, ENGLISH.stop).click()
        answered(tab)
        tab.reload()
        expect(tab.locator(".reply .caption").last).to_have_text("v1 · stopped")
        expect(tab.locator(".answer").last).to_contain_text("tick tick")
        tab.locator("#message textarea").fill("half a thought")
        first.store.close()

    second = FakeChat(version="v2", path=first.path)
    with serving(second, port) as address:
        # The page was open during the restart: it continues where it was, with the version released now.
        expect(tab.locator("#message textarea")).to_have_value("half a thought")
        send(tab, "still there?")
        expect(tab.locator(".reply .caption").last).to_have_text("v2")
        expect(tab.locator("#header .badge")).to_have_text("v2")
        tab.reload()
        expect(tab.locator(".bubble")).to_have_text(["keep me", "slow and interrupted", "still there?"])
        shown = tab.locator(".reply").first
        expect(shown.locator(".caption")).to_have_text("v1")
        expect(shown.locator(".siblings")).to_contain_text("2/2")
        expect(shown.locator(".thumb.down")).to_have_attribute("aria-pressed", "true")
        shown.locator(".siblings button").first.click()
        expect(shown.locator(".siblings")).to_contain_text("1/2")
        expect(shown.locator(".thumb.up")).to_have_attribute("aria-pressed", "true")
        expect(tab.locator(".bubble")).to_have_text(["keep me"])
        assert sorted(vote.value for vote in second.ratings.values()) == [-1, 1]

        # A deleted conversation leaves no rating behind.
        if size == PHONE:
            button(tab, ENGLISH.open_list).click()
        tab.locator("#conversation-list li").first.hover()
        button(tab, f"{ENGLISH.delete}: keep me").click()
        button(tab, ENGLISH.delete_for_good).click()
        expect(tab.locator(".welcome")).to_be_visible()
        assert not second.ratings and not second.turns
        assert second.store.verify() == []
    context.close()
    second.store.close()


def test_unexpected_errors_and_a_lost_connection_are_shown_in_the_language_of_the_page(
    browser: Any, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeChat()
    context = browser.new_context(locale="en-US")
    tab = context.new_page()
    toast = tab.get_by_test_id("toast-body")
    with serving(fake, free_port()) as address:
        tab.goto(address)
        button(tab, ENGLISH.switch_language).click()
        send(tab, "7 + 8")
        with monkeypatch.context() as broken:
            broken.setattr(fake.library, "rate", lambda *_, **__: 1 / 0)
            button(tab, CHINESE.good).click()
            expect(tab.get_by_text(CHINESE.unforeseen)).to_be_visible()
        button(tab, CHINESE.good).click()
        expect(tab.get_by_text(CHINESE.thanks)).to_be_visible()
    # A new message to a server that is gone. With a reply that is cut off, chance would decide which error comes first.
    tab.locator("#message textarea").fill("anybody there?")
    tab.keyboard.press("Enter")
    expect(toast).to_contain_text(CHINESE.connection_lost)
    expect(toast).to_contain_text(CHINESE.error_title)
    expect(toast).not_to_contain_text("Error")
    context.close()
    fake.store.close()
