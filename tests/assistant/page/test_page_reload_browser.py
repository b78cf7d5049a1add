"""What a person said and judged outlasts reloads in mid-reply, the server's restart and the next version."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.fake_chat import FakeChat, serving
from helpers.in_browser import MARKS, PHONE, answered, both_sizes, button, expect, send
from helpers.running_app import free_port

from assistant.page.i18n.languages import CHINESE, ENGLISH

pytestmark = MARKS


@both_sizes
def test_votes_branches_and_history_outlast_reload_restart_and_a_new_version(
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
        first.closed.clear()
        tab.reload()
        assert first.closed.wait(10), "a reply that nobody reads is ended"
        expect(tab.locator(".bubble").last).to_have_text("slow and interrupted")
        tab.reload()
        expect(tab.locator(".reply .caption").last).to_have_text("v1 · stopped")
        expect(tab.locator(".answer").last).to_contain_text("tick tick")
        first.store.close()

    second = FakeChat(version="v2", path=first.path)
    with serving(second, port) as address:
        # The page was open all the time: it goes on where it was, with the version that answers now.
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
        assert sorted(vote.value for vote in second.votes.values()) == [-1, 1]

        # And what is deleted is gone for good: no vote of it is left to train on.
        if size == PHONE:
            button(tab, ENGLISH.open_list).click()
        tab.locator("#conversation-list li").first.hover()
        button(tab, f"{ENGLISH.delete}: keep me").click()
        button(tab, ENGLISH.delete_for_good).click()
        expect(tab.locator(".welcome")).to_be_visible()
        assert not second.votes and not second.turns
        assert second.store.verify() == []
    context.close()
    second.store.close()


def test_what_nobody_foresaw_and_a_lost_connection_are_told_in_the_language_of_the_page(
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
            broken.setattr(FakeChat, "rate", lambda *_, **__: 1 / 0)
            button(tab, CHINESE.good).click()
            expect(tab.get_by_text(CHINESE.unforeseen)).to_be_visible()
        button(tab, CHINESE.good).click()
        expect(tab.get_by_text(CHINESE.thanks)).to_be_visible()
    # Asked of a server that is gone. Of a reply that is cut off, chance says whether its failure is heard of first.
    tab.locator("#message textarea").fill("anybody there?")
    tab.keyboard.press("Enter")
    expect(toast).to_contain_text(CHINESE.connection_lost)
    expect(toast).to_contain_text(CHINESE.error_title)
    expect(toast).not_to_contain_text("Error")
    context.close()
    fake.store.close()
