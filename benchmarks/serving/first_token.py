"""Measure the delay between the engine's first token and the first letters on the screen, for one person.

    python -m benchmarks.serving.first_token [--questions 20]

Starts the starter's engine and the page in this process, asks in Chromium, and reads one clock twice: when the
engine yields the first chunk of a reply, and when its first letters appear in the page. Needs Chromium and the
dev packages.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

from assistant.chat.chat import Chat
from assistant.page import build_page, launch_options
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving.batch import BatchedVersion
from assistant.serving.engine import Chunk
from assistant.serving.loading import Placement, quiet_libraries
from assistant.serving.transformers_engine import TransformersEngine
from feedback_store import FeedbackStore

# Browser and engine share the wall clock. The script reads it when the first letters of thought or answer appear.
WATCH = """() => new MutationObserver(() => {
  const written = document.querySelector('.reply.live .thought-text, .reply.live .answer');
  const text = [...document.querySelectorAll('.reply.live .thought-text, .reply.live .answer')]
    .map((part) => part.textContent).join('').trim();
  if (written && text && !window.seen)
    requestAnimationFrame(() => { window.seen ||= performance.timeOrigin + performance.now(); });
}).observe(document.querySelector('#conversation'), { childList: true, subtree: true, characterData: true })"""


def main() -> None:
    """Ask questions, and print the distribution of the delays in milliseconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=20)
    options = parser.parse_args()
    quiet_libraries()
    handed: list[float] = []
    stream = BatchedVersion.stream

    async def noting(self: BatchedVersion, *arguments: Any) -> AsyncGenerator[Chunk, None]:
        is_first = True
        async for chunk in stream(self, *arguments):
            if is_first:
                handed.append(time.time() * 1_000)
            is_first = False
            yield chunk

    BatchedVersion.stream = noting  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        versions = Versions(home)
        engine = TransformersEngine(
            versions, version_to_serve(home, "starter"), Placement("cpu", "auto", None)
        )
        with FeedbackStore.open(home / "feedback.db") as store:
            page = build_page(Chat(store, engine, Sampling(temperature=0.0, max_new_tokens=200), versions))

            async def start() -> str:
                return str(page.launch(prevent_thread_lock=True, quiet=True, **launch_options())[1])

            with ThreadPoolExecutor(1) as thread:
                address = thread.submit(lambda: asyncio.run(start())).result()
            waits = measure_waits(address, options.questions, handed)
            page.close(verbose=False)
        engine.close()
    waits.sort()
    print(
        f"first token in the engine → on the screen, {len(waits)} questions: median {statistics.median(waits):.0f} ms, "
        f"90 % within {waits[int(0.9 * (len(waits) - 1))]:.0f} ms, worst {waits[-1]:.0f} ms"
    )


def measure_waits(address: str, questions: int, handed: list[float]) -> list[float]:
    """Ask sums in one browser, each in a new conversation; returns the delay of each in milliseconds."""
    waits = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.set_default_timeout(60_000)
        tab.goto(address)
        expect(tab.locator(".welcome")).to_be_visible(timeout=60_000)
        tab.evaluate(WATCH)
        for number in range(questions + 1):
            tab.evaluate("window.seen = undefined")
            handed.clear()
            tab.locator("#message textarea").fill(f"What is {347 + number} + 285?")
            tab.keyboard.press("Enter")
            tab.wait_for_function("window.seen")
            expect(tab.locator("#send")).to_be_visible(timeout=60_000)
            if number:  # the first question loads what is loaded on demand
                waits.append(tab.evaluate("window.seen") - handed[0])
            tab.locator("#header [data-do=new_conversation]").click()
            expect(tab.locator(".welcome")).to_be_visible(timeout=60_000)
        browser.close()
    return waits


if __name__ == "__main__":
    main()
