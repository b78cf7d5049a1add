"""The page in Chromium: settings, and steps of a person. The fixtures are in conftest.py."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from assistant.page.i18n.languages import ENGLISH, ChatTexts

CHROMIUM = next(
    (path for name in ("chromium-headless-shell", "chromium") if (path := Path("/usr/bin", name)).exists()),
    Path("/usr/bin/chromium"),
)
"""The same browser without windows loads a page in half the time."""
playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
expect = playwright.expect
MARKS = [
    pytest.mark.browser,
    # Gradio's queue uses pandas functions that pandas 3 deprecates.
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason="needs Chromium: apt-get install chromium-headless-shell"
    ),
]

SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE = float(os.environ.get("THUMBTUNE_PATIENCE", "20"))
"""Seconds to wait at most for an element; only a machine under load needs them."""
LATENCY = float(os.environ.get("THUMBTUNE_LATENCY", "0"))
"""Milliseconds that every request waits: with some hundred, a test that reads too early fails always, not seldom."""
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}
both_sizes = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
phone_is_slow = pytest.mark.parametrize(
    "size", [DESKTOP, pytest.param(PHONE, marks=pytest.mark.slow)], ids=["desktop", "phone"]
)
"""The phone as a slow test, where width plays no part: the test of accessibility uses every control on a phone."""
expect.set_options(timeout=1000 * PATIENCE)


SERIOUS_VIOLATIONS = """async (options) => (await axe.run(document, options)).violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, help, nodes }) => `${id} (${help}) ${nodes.map(({ html }) => html.slice(0, 200)).join(" ")}`)"""
"""Reported in the page: what axe-core found in order is some megabytes, too many to fetch for nothing."""


def watch(tab: Any, address: str, problems: list[str]) -> None:
    """Add to `problems` every script error, and every request to another server than `address`."""
    tab.on("pageerror", lambda error: problems.append(f"error: {error}"))
    tab.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:", "blob:"))
            else problems.append(f"fetched {request.url}")
        ),
    )


class Profiles:
    """Browser profiles, emptied to be used again: the page's scripts are then neither fetched nor compiled anew."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.free: list[tuple[dict[str, Any], Any]] = []

    def take(self, options: dict[str, Any]) -> Any:
        """A profile without cookies and stored data."""
        for place, (made_with, context) in enumerate(self.free):
            if made_with == options:
                del self.free[place]
                return context
        context = self.browser.new_context(**options)
        context.set_default_timeout(2000 * PATIENCE)
        return context

    def give_back(self, options: dict[str, Any], context: Any, address: str) -> None:
        """Close the profile's tabs and empty it."""
        for tab in context.pages:
            tab.close()
        context.clear_cookies()
        tab = context.new_page()
        storage = {"origin": address.rstrip("/"), "storageTypes": "all"}
        context.new_cdp_session(tab).send("Storage.clearDataForOrigin", storage)
        tab.close()
        self.free.append((options, context))


_profiles: WeakKeyDictionary[Any, Profiles] = WeakKeyDictionary()


@contextmanager
def visits(
    browser: Any, address: str, path: str = "", ready: str = ".welcome"
) -> Iterator[Callable[..., Any]]:
    """A function that opens `path` in an empty browser profile and waits for the element `ready`.

    Script errors and requests to other servers fail the test.
    """
    problems: list[str] = []
    used: list[tuple[dict[str, Any], Any]] = []
    profiles = _profiles.setdefault(browser, Profiles(browser))

    def open_page(viewport: dict[str, int] = DESKTOP, **options: Any) -> Any:
        options = {"viewport": viewport, **options}
        context = profiles.take(options)
        used.append((options, context))
        tab = context.new_page()
        watch(tab, address, problems)
        if LATENCY:
            network = context.new_cdp_session(tab)
            conditions = {"latency": LATENCY, "downloadThroughput": -1, "uploadThroughput": -1}
            network.send("Network.emulateNetworkConditions", {"offline": False, **conditions})
        tab.goto(address + path, timeout=6000 * PATIENCE)
        expect(tab.locator(ready)).to_be_visible(timeout=4000 * PATIENCE)
        return tab

    yield open_page
    for options, context in used:
        profiles.give_back(options, context, address)
    assert problems == []


def picture(tab: Any, name: str) -> None:
    folder = os.environ.get("THUMBTUNE_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=str(Path(folder) / f"{name}.png"), animations="disabled")


def check_accessibility(tab: Any, state: str, violations: list[str]) -> None:
    """Add the serious and critical violations that axe-core finds, light and dark.

    Dark differs by colours alone, so that the rules about colours are enough there. The page must be without motion:
    axe-core would see colours half way.
    """
    from axe_playwright_python.base import AXE_SCRIPT

    if not tab.evaluate("'axe' in window"):
        tab.evaluate(AXE_SCRIPT)
    was_dark = tab.evaluate("document.body.classList.contains('dark')")
    for scheme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast", "link-in-text-block"]})):
        tab.evaluate("(dark) => document.body.classList.toggle('dark', dark)", scheme == "dark")
        for violation in tab.evaluate(SERIOUS_VIOLATIONS, {"resultTypes": ["violations"], **rules}):
            violations.append(f"{state}, {scheme}: {violation}")
    tab.evaluate("(dark) => document.body.classList.toggle('dark', dark)", was_dark)


def send(tab: Any, text: str) -> None:
    """Type a message, press Enter, wait for the whole reply."""
    tab.locator("#message textarea").fill(text)
    tab.keyboard.press("Enter")
    expect(tab.locator(".bubble").last).to_have_text(text)
    answered(tab)


def ask_example(tab: Any, text: str) -> None:
    """Click an example question, wait for the whole reply."""
    button(tab, text).click()
    expect(tab.locator(".bubble").last).to_have_text(text)
    answered(tab)


def answered(tab: Any) -> None:
    """Wait until the reply that is being written has ended.

    First make sure that the page shows its beginning: until then it looks as if no reply were being written.
    """
    expect(tab.locator(".reply.live")).to_have_count(0)
    expect(tab.locator("#send")).to_be_visible()
    expect(tab.locator(".reply").last).to_be_visible()


def button(tab: Any, label: str) -> Any:
    return tab.get_by_role("button", name=label, exact=True).last


def choose(tab: Any, label: str, texts: ChatTexts = ENGLISH) -> None:
    """Choose from the menu below the last reply."""
    button(tab, texts.more).click()
    button(tab, label).click()
