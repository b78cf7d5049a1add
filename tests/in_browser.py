"""Chromium on the page over the fake chat: fixtures and small steps that a person takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_chat import FakeChat, serving

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
expect = playwright.expect
# Seconds that a loaded machine may take for what a quiet one does at once.
expect.set_options(timeout=1000 * float(os.environ.get("THUMBTUNE_PATIENCE", "5")))

MARKS = [
    pytest.mark.browser,
    # Gradio's queue calls pandas in ways that pandas 3 deprecates.
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium: apt-get install chromium"),
]

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FakeChat, str]]:
    fake = FakeChat(seconds_between=0.03)
    with serving(fake) as url:
        yield fake, url


@pytest.fixture(scope="module")
def browser(served: tuple[FakeChat, str]) -> Iterator[Any]:
    # After `served`: Playwright keeps an event loop running, and the page is started in one of its own.
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=str(CHROMIUM),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
            ],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def fake(served: tuple[FakeChat, str]) -> FakeChat:
    return served[0]


def watch(tab: Any, address: str, problems: list[str]) -> None:
    """Add to `problems` every script error, and every request to another place than `address`."""
    tab.on("pageerror", lambda error: problems.append(f"error: {error}"))
    tab.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:", "blob:"))
            else problems.append(f"fetched {request.url}")
        ),
    )


@pytest.fixture
def visit(browser: Any, served: tuple[FakeChat, str]) -> Iterator[Any]:
    """A function that opens the page as a new person; errors and foreign addresses fail the test."""
    contexts, problems = [], []

    def open_page(viewport: dict[str, int] = DESKTOP, **options: Any) -> Any:
        context = browser.new_context(viewport=viewport, **options)
        context.set_default_timeout(2000 * float(os.environ.get("THUMBTUNE_PATIENCE", "5")))
        contexts.append(context)
        tab = context.new_page()
        watch(tab, served[1], problems)
        tab.goto(served[1])
        expect(tab.locator(".welcome")).to_be_visible()
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def picture(tab: Any, name: str) -> None:
    folder = os.environ.get("THUMBTUNE_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=str(Path(folder) / f"{name}.png"), animations="disabled")


def send(tab: Any, text: str) -> None:
    """Type a message, press Enter, wait for the whole reply."""
    tab.locator("#message textarea").fill(text)
    tab.keyboard.press("Enter")
    expect(tab.locator(".bubble").last).to_have_text(text)
    answered(tab)


def answered(tab: Any) -> None:
    expect(tab.locator(".reply.live")).to_have_count(0)
    expect(tab.locator("#send")).to_be_visible()
    expect(tab.locator(".reply").last).to_be_visible()


def button(tab: Any, label: str) -> Any:
    return tab.get_by_role("button", name=label, exact=True).last
