"""Run the main use case in a real browser, and take the README's screenshots of it.

    python -m benchmarks.screenshots [--folder docs/images] [--questions 40]

Types word problems into the page, gives each answer a thumb (up if it is right and names its unit, else down, with a
reason), trains and releases v2 while the page stays open, and asks again. Needs Chromium and the dev packages.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

from alignment.starter.corpus import task
from alignment.starter.suite_files import suite_task
from alignment.starter.tasks.drawn_task import DrawnTask
from alignment.suites.task_file import judge
from assistant.page.i18n.languages import ENGLISH
from benchmarks import ROOT
from tests.helpers.running_app import running_app

expect.set_options(timeout=60_000)  # milliseconds; the page is slow while the machine trains


def ask(tab: Any, message: str) -> str:
    """Send a message and wait for the whole reply; returns its answer."""
    replies = tab.locator(".reply:not(.live)").count()
    tab.locator("#message textarea").fill(message)
    tab.keyboard.press("Enter")
    expect(tab.locator(".reply:not(.live)")).to_have_count(replies + 1)
    expect(tab.locator("#send")).to_be_visible(timeout=60_000)
    return str(tab.locator(".answer").last.inner_text())


def rate(tab: Any, problem: DrawnTask, answer: str) -> bool:
    """Give the last answer the thumb it deserves, with a reason; returns whether it was up."""
    verdict = judge(suite_task(problem), answer)
    good = bool(verdict.correct and verdict.has_unit)
    reason = ENGLISH.reasons_good["correct"] if good else ENGLISH.reasons_bad["wrong"]
    if not good and verdict.correct:
        reason = ENGLISH.reasons_bad["other"]
    tab.get_by_role("button", name=ENGLISH.good if good else ENGLISH.bad, exact=True).last.click()
    tab.get_by_text(reason, exact=True).last.click()
    tab.get_by_role("button", name=ENGLISH.finish, exact=True).click()
    expect(tab.locator(".feedback")).to_have_count(0)
    return good


def main() -> None:
    """Drive the page, and take the screenshots of a thought and of the loop."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--questions", type=int, default=40)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(4)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(Path(folder) / "home", "--model", "starter") as address,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 860})
        tab.goto(address)
        expect(tab.locator(".welcome")).to_be_visible()

        thumbs_up = 0
        for number in range(options.questions):
            problem = task(rng, "en", "word_two_step", "train")
            answer = ask(tab, problem.question)
            if number == 0:
                tab.locator(".thought summary").last.click()
                tab.screenshot(path=str(options.folder / "thought.png"), animations="disabled")
            thumbs_up += rate(tab, problem, answer)
            tab.get_by_role("button", name=ENGLISH.new_conversation, exact=True).click()
            expect(tab.locator(".welcome")).to_be_visible()
        print(f"thumbs: {thumbs_up} up, {options.questions - thumbs_up} down")

        # Find a held-out problem that v1 answers correctly but without the unit.
        while True:
            problem = task(rng, "en", "word_two_step", "test")
            before = ask(tab, problem.question)
            verdict = judge(suite_task(problem), before)
            if verdict.correct and not verdict.has_unit:
                break
            tab.get_by_role("button", name=ENGLISH.new_conversation, exact=True).click()
            expect(tab.locator(".welcome")).to_be_visible()
        rate(tab, problem, before)

        for command in (["kto"], ["release", "v2"]):
            subprocess.run(
                [sys.executable, "-m", "alignment", *command, "--home", str(Path(folder) / "home")],
                cwd=ROOT,
                check=True,
            )
        tab.wait_for_timeout(2_000)  # The page follows a release within two seconds.
        after = ask(tab, problem.question)
        expect(tab.locator(".reply .caption").last).to_have_text("v2")
        tab.screenshot(path=str(options.folder / "loop.png"), animations="disabled")
        print(f"{problem.question}\nv1: {before}\nv2: {after}")

        browser.close()


if __name__ == "__main__":
    main()
