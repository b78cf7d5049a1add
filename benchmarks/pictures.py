"""Take screenshots of the page: SmolLM2's answer, its tokens, two answers; the starter on a phone; the tour.

    python -m benchmarks.pictures [--folder docs/images]

The browser tests take screenshots of every other state, with scripted answers, on desktop and phone, light and dark:
`THUMBTUNE_SCREENSHOTS=folder python -m pytest -m browser`. Needs Chromium and the dev packages.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

from assistant.bases.built_in_cards import SMOLLM2_CARD, STARTER_CARD
from assistant.page.i18n.languages import CHINESE, ENGLISH, TOUR_LANGUAGES, ChatTexts
from benchmarks import ROOT
from tests.helpers.running_app import running_app

WAIT = 60_000  # milliseconds


def open_page(browser: Any, address: str, size: tuple[int, int], **options: Any) -> Any:
    """Open the page as a new visitor; returns the tab."""
    tab = browser.new_page(viewport={"width": size[0], "height": size[1]}, **options)
    tab.set_default_timeout(WAIT)
    tab.goto(address)
    expect(tab.locator(".welcome")).to_be_visible(timeout=WAIT)
    return tab


def ask(tab: Any, message: str) -> None:
    """Send a message and wait for the whole answer."""
    tab.locator("#message textarea").fill(message)
    tab.keyboard.press("Enter")
    expect(tab.locator(".bubble").last).to_have_text(message, timeout=WAIT)
    expect(tab.locator(".reply.live")).to_have_count(0, timeout=WAIT)
    expect(tab.locator("#send")).to_be_visible(timeout=WAIT)


def press(tab: Any, label: str) -> None:
    """Click the last button with this name."""
    tab.get_by_role("button", name=label, exact=True).last.click()


def chat(tab: Any, texts: ChatTexts) -> None:
    """Show a conversation of two messages."""
    ask(tab, SMOLLM2_CARD.texts["en"].examples[1])
    ask(tab, SMOLLM2_CARD.texts["en"].examples[2])


def tokens(tab: Any, texts: ChatTexts) -> None:
    """Show an answer token by token, with the alternatives to its least probable token."""
    ask(tab, SMOLLM2_CARD.texts["en"].examples[3])
    press(tab, texts.more)
    press(tab, texts.tokens)
    expect(tab.locator(".token").first).to_be_visible(timeout=WAIT)
    probabilities = tab.locator(".token").evaluate_all(
        "tokens => tokens.map(token => Number(token.style.getPropertyValue('--p')))"
    )
    tab.locator(".token").nth(probabilities.index(min(probabilities))).click()
    expect(tab.locator(".alternatives")).to_be_visible(timeout=WAIT)


def two_answers(tab: Any, texts: ChatTexts) -> None:
    """Show two different answers side by side, before the choice."""
    tab.get_by_label(texts.mode_label).select_option("resample")
    # An open question: between two equal answers nobody is asked to choose.
    ask(tab, "Write two sentences about the sea.")
    expect(tab.locator(".choices")).to_be_visible(timeout=WAIT)


def thumb_down(tab: Any, texts: ChatTexts) -> None:
    """Show an answer with its thought open, and the reasons for a thumb down."""
    ask(tab, STARTER_CARD.texts["zh"].examples[0])
    tab.locator(".thought summary").last.click()
    press(tab, texts.bad)
    expect(tab.locator(".feedback")).to_be_visible(timeout=WAIT)


def tour(tab: Any, texts: ChatTexts) -> None:
    """Show the first screen of the tour, on which an answer is drawn token by token."""
    words = TOUR_LANGUAGES[texts.code]
    tab.locator(".welcome").get_by_role("link", name=texts.tour).click()
    screen = tab.locator("#word_chain")
    screen.get_by_role("button", name=words.chain_questions[0]).click()
    screen.get_by_role("button", name=words.draw).click()
    expect(screen.locator(".sentence .token")).to_have_count(1, timeout=WAIT)
    tab.mouse.move(0, 0)
    screen.evaluate("element => element.scrollIntoView()")


def main() -> None:
    """Take all screenshots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        running_app(Path(home) / "smollm2", "--model", "smollm2") as smollm2,
        running_app(Path(home) / "starter", "--model", "starter") as starter,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        for name, draw, address, texts, size, options in (
            ("chat", chat, smollm2, ENGLISH, (1080, 720), {}),
            ("tokens", tokens, smollm2, ENGLISH, (1080, 720), {}),
            ("pair", two_answers, smollm2, ENGLISH, (1080, 720), {"color_scheme": "dark"}),
            ("tour", tour, smollm2, ENGLISH, (1080, 720), {"reduced_motion": "reduce"}),
            ("phone", thumb_down, starter, CHINESE, (390, 780), {"locale": "zh-CN", "color_scheme": "dark"}),
        ):
            tab = open_page(browser, address, size, **options)
            draw(tab, texts)
            tab.wait_for_timeout(400)  # transitions
            tab.screenshot(path=str(folder / f"{name}.png"), animations="disabled")
            print(folder / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
