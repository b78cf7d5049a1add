"""The page in Chromium with the real app: the starter thinks and answers, and a thumb down reaches the store."""

import os
from pathlib import Path

from helpers.browser_steps import CHROMIUM, MARKS, SWITCHES, playwright
from helpers.running_app import running_app

from assistant.page.i18n.languages import ENGLISH
from feedback_store import FeedbackStore

pytestmark = MARKS


def test_a_person_asks_with_thinking_on_and_gives_a_thumb_down_with_a_reason(home: Path) -> None:
    with running_app(home) as address, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=SWITCHES)
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.goto(address)
        tab.get_by_label(ENGLISH.think).check()
        tab.locator("#message textarea").fill("What is 347 + 285?")
        tab.keyboard.press("Enter")
        playwright.expect(tab.locator(".thought summary")).to_contain_text("Thought for", timeout=30_000)
        playwright.expect(tab.locator(".reply.live")).to_have_count(0, timeout=30_000)
        answer = tab.locator(".answer").inner_text()
        tab.locator(".thought summary").click()
        playwright.expect(tab.locator(".thought-text")).to_contain_text("347+285")
        shown = str(tab.locator(".reply").get_attribute("data-turn"))
        tab.get_by_role("button", name=ENGLISH.bad, exact=True).click()
        tab.get_by_text(ENGLISH.reasons_bad["wrong"], exact=True).click()
        tab.get_by_label(ENGLISH.comment_label).fill("No unit.")
        if folder := os.environ.get("THUMBTUNE_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            tab.screenshot(path=str(Path(folder) / "real.png"))
        tab.get_by_role("button", name=ENGLISH.finish, exact=True).click()
        playwright.expect(tab.locator(".feedback")).to_have_count(0)
        browser.close()

    with FeedbackStore.open(home / "feedback.db", create=False) as store:
        [(rating, reply)] = store.ratings()
        assert (rating.reply_id, rating.value, rating.reasons, rating.comment) == (
            shown,
            -1,
            ("wrong",),
            "No unit.",
        )
        assert (reply.version, reply.think, reply.answer) == ("v1", True, answer)
        assert "347+285" in (reply.thought or "")
        assert reply.thought_seconds is not None
        assert store.verify() == []
