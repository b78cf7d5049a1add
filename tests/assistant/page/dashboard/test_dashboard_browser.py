"""An admin's work on the dashboard, in Chromium."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.browser_steps import MARKS, PHONE, check_accessibility, expect, phone_is_slow, picture, visits
from helpers.fake_dashboard import PASSWORD, filled, serving

from assistant.page.dashboard import AdminServices
from assistant.page.dashboard.admin_handlers import VIEWS
from assistant.page.i18n.languages import ENGLISH
from assistant.registry import live_comparison

pytestmark = MARKS

CYCLE = (
    "import time\n"
    "for step in range(100):\n"
    "    print(f'cycle 3: step {step}', flush=True)\n"
    "    time.sleep(0.2)\n"
)


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AdminServices, str]]:
    services = filled(tmp_path_factory.mktemp("dashboard") / "home", seconds_between=0.02)
    command = services.actions.runner._command

    def fake_command(*arguments: str) -> list[str]:
        # Only the cycle is a fake, because a real one trains for minutes.
        return [sys.executable, "-c", CYCLE] if arguments == ("cycle",) else command(*arguments)

    services.actions.runner._command = fake_command  # type: ignore[method-assign]
    with serving(services) as url:
        yield services, url
    services.actions.runner.cancel()


@pytest.fixture(scope="module")
def served(dashboard: tuple[AdminServices, str]) -> tuple[Any, str]:
    """The chat and the address, under the name that the browser's fixtures expect."""
    return dashboard[0].chat, dashboard[1]


@pytest.fixture
def visit(browser: Any, dashboard: tuple[AdminServices, str]) -> Iterator[Callable[..., Any]]:
    """Open the dashboard as a new visitor; script errors and requests to other sites fail the test."""
    with visits(browser, dashboard[1], "dashboard", ".sign-in") as open_page:
        yield open_page


def sign_in(tab: Any) -> Any:
    tab.get_by_label("Your name").or_(tab.get_by_label("你的名字")).fill("Ada")
    tab.locator("input[type=password]").fill(PASSWORD)
    tab.keyboard.press("Enter")
    expect(tab.locator(".views")).to_be_visible(timeout=20_000)
    return tab


def go(tab: Any, view: str) -> None:
    tab.locator(f".views [data-view={view}]").click()
    expect(tab.locator(f".views [data-view={view}][aria-current]")).to_be_visible()


def test_a_wrong_password_is_refused_and_the_right_one_opens_until_signing_out(
    visit: Callable[..., Any],
) -> None:
    tab = visit()
    expect(tab.locator(".views")).to_have_count(0)
    tab.locator("input[type=password]").fill("not the password")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_have_text("This is not the password.")
    sign_in(tab)
    expect(tab.locator(".admin")).to_have_text("Ada (password)")
    expect(tab.locator(".tile")).to_have_count(5)
    expect(tab.locator(".nav-holder")).not_to_be_visible()
    expect(tab).to_have_title("Dashboard · Thumbtune")
    picture(tab, "dashboard-overview")
    go(tab, "ratings")
    tab.reload()
    expect(tab.locator(".views [data-view=ratings][aria-current]")).to_be_visible(timeout=20_000)
    tab.get_by_role("button", name="Sign out").click()
    expect(tab.locator(".sign-in")).to_be_visible(timeout=20_000)
    expect(tab.locator(".tile")).to_have_count(0)


def test_an_admin_inspects_a_version_releases_it_and_rolls_back(
    visit: Callable[..., Any], dashboard: tuple[AdminServices, str]
) -> None:
    tab = sign_in(visit())
    go(tab, "versions")
    expect(tab.locator(".family li")).to_have_count(6)
    tab.get_by_role("button", name="Show v6").click()
    panel = tab.get_by_role("dialog")
    expect(panel).to_contain_text("+12.0 points [+6.0, +18.0]")
    expect(panel.locator(".chart")).to_have_count(2)
    picture(tab, "dashboard-version")
    panel.get_by_role("button", name="Release").click()
    expect(panel).to_contain_text("Release v6 to everybody?")
    panel.get_by_label("Why").fill("people like it")
    panel.get_by_role("button", name="Release").click()
    expect(tab.get_by_role("status").first).to_have_text("v6 is released.")
    assert dashboard[0].versions.released() == "v6"
    tab.get_by_role("button", name="Roll back").click()
    tab.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(tab.get_by_role("status").first).to_have_text("v4 is released again.")
    assert dashboard[0].versions.released() == "v4"
    go(tab, "audit")
    expect(tab.locator(".history").first).to_contain_text("rolled back")
    expect(tab.locator(".history").first).to_contain_text("v6 instead of v4; gate: promote; people like it")


def test_escape_closes_a_panel_and_gives_the_focus_back(visit: Callable[..., Any]) -> None:
    tab = sign_in(visit())
    go(tab, "versions")
    tab.get_by_role("button", name="Show v5").click()
    expect(tab.get_by_role("dialog")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("dialog")).to_have_count(0)
    expect(tab.get_by_role("button", name="Show v5")).to_be_focused()


def test_two_versions_answer_and_are_named_after_the_choice(visit: Callable[..., Any]) -> None:
    tab = sign_in(visit())
    go(tab, "side_by_side")
    tab.get_by_role("button", name="What is overfitting?").click()
    expect(tab.get_by_label("Message to both")).to_have_value("What is overfitting?")
    tab.get_by_label("Message to both").fill("which one?")
    tab.get_by_role("button", name="Ask both").click()
    expect(tab.locator(".side-reply .answer")).to_contain_text(["You said: which one?"] * 2, timeout=20_000)
    left = tab.get_by_role("button", name="A is better")
    expect(left).to_be_visible()
    expect(tab.locator(".sides")).not_to_contain_text("v6")
    picture(tab, "dashboard-duel")
    left.click()
    expect(tab.locator(".side-reply.chosen")).to_have_count(1)
    expect(tab.locator(".sides")).to_contain_text("v6")
    expect(tab.locator(".counts")).to_contain_text("Chosen so far")
    tab.get_by_role("button", name="Next question").click()
    expect(tab.get_by_label("Message to both")).to_have_value("")


def test_a_live_comparison_is_started_and_stopped(
    visit: Callable[..., Any], dashboard: tuple[AdminServices, str]
) -> None:
    tab = sign_in(visit())
    go(tab, "live_comparison")
    tab.get_by_label("Share of conversations").fill("25")
    tab.get_by_role("button", name="Start a live comparison").click()
    tab.get_by_role("dialog").get_by_role("button", name="Start a live comparison").click()
    expect(tab.locator("#dashboard-body")).to_contain_text("v6 serves 25% of conversations", timeout=60_000)
    under_way = live_comparison.read(dashboard[0].home)
    assert under_way is not None and under_way.share == 0.25
    tab.get_by_role("button", name="Stop the live comparison").click()
    tab.get_by_role("dialog").get_by_role("button", name="Stop the live comparison").click()
    expect(tab.locator("#dashboard-body")).to_contain_text("No live comparison is under way.", timeout=60_000)
    assert live_comparison.read(dashboard[0].home) is None
    tab.locator("#live-comparison-old summary").click()
    expect(tab.locator("#live-comparison-old .chart")).to_be_visible()
    picture(tab, "dashboard-trial")


def test_a_cycle_is_started_followed_and_cancelled(
    visit: Callable[..., Any], dashboard: tuple[AdminServices, str]
) -> None:
    tab = sign_in(visit())
    go(tab, "cycles")
    tab.get_by_role("button", name="Run a cycle now").click()
    expect(tab.locator(".working")).to_contain_text("started by Ada (password)")
    expect(tab.locator(".working .log")).to_contain_text("step 12", timeout=30_000)  # it goes on by itself
    picture(tab, "dashboard-cycle")
    tab.get_by_role("button", name="Cancel the cycle").click()
    expect(tab.get_by_role("status").first).to_contain_text("Cancelled")
    expect(tab.locator(".working")).to_have_count(0)
    assert dashboard[0].actions.runner.running() is None


def test_training_rows_are_exported_as_a_file(visit: Callable[..., Any]) -> None:
    tab = sign_in(visit())
    go(tab, "audit")
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Thumbs").click()
    file = download.value
    assert file.suggested_filename == "thumbtune-trl-kto.jsonl"
    assert '"label"' in Path(file.path()).read_text()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_on_a_phone_in_chinese_nothing_is_wider_than_the_screen(
    visit: Callable[..., Any], scheme: str
) -> None:
    tab = sign_in(visit(PHONE, locale="zh-CN", color_scheme=scheme))
    for view, label in (
        ("overview", "概览"),
        ("versions", "版本"),
        ("ratings", "用户评价"),
        ("cycles", "训练循环"),
        ("live_comparison", "在线对比"),
        ("side_by_side", "并排回答"),
        ("audit", "导出与记录"),
    ):
        go(tab, view)
        expect(tab.locator(f".views [data-view={view}]")).to_have_text(label)
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], view
        picture(tab, f"dashboard-phone-{scheme}-{view}")
    last = tab.locator(".views [data-view=audit]")
    tab.reload()
    expect(last).to_have_attribute("aria-current", "page")
    expect(last).to_be_in_viewport(ratio=1)
    go(tab, "versions")
    tab.get_by_role("button", name="查看 v4").click()
    panel = tab.get_by_role("dialog")
    expect(panel).to_be_visible()
    picture(tab, f"dashboard-phone-{scheme}-panel")
    assert panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth")
    assert tab.evaluate("document.documentElement.lang") == "zh"


def test_axe_finds_nothing_serious_in_any_view(visit: Callable[..., Any]) -> None:
    # Without transitions, which axe-core would see half way.
    tab, violations = visit(reduced_motion="reduce"), []  # type: ignore[var-annotated]
    check_accessibility(tab, "sign in", violations)
    sign_in(tab)
    for view in VIEWS:
        go(tab, view)
        check_accessibility(tab, view, violations)
    go(tab, "versions")
    tab.get_by_role("button", name="Show v6").click()
    expect(tab.get_by_role("dialog")).to_be_visible()
    check_accessibility(tab, "a version", violations)
    tab.get_by_role("dialog").get_by_role("button", name="Release").click()
    expect(tab.get_by_role("dialog")).to_contain_text("to everybody?")
    check_accessibility(tab, "the question before a release", violations)
    assert violations == []


def test_the_language_is_switched_and_kept(visit: Callable[..., Any]) -> None:
    tab = sign_in(visit())
    tab.get_by_role("button", name="切换到中文").click()
    expect(tab.locator(".page-title")).to_have_text("管理")
    tab.reload()
    expect(tab.locator(".page-title")).to_have_text("管理", timeout=20_000)


@phone_is_slow
def test_the_chat_page_links_to_the_dashboard_for_admins_only(
    visit: Callable[..., Any], dashboard: tuple[AdminServices, str], size: dict[str, int]
) -> None:
    tab = visit(size)
    tab.goto(dashboard[1])
    expect(tab.locator(".welcome")).to_be_visible(timeout=20_000)
    expect(tab.locator(".nav-holder")).not_to_be_visible()
    link = tab.locator(".side-bottom").get_by_role("link", name=ENGLISH.dashboard)
    expect(link).to_have_count(0)
    tab.goto(f"{dashboard[1]}dashboard")
    sign_in(tab).get_by_role("link", name="Chat").click()
    expect(tab.locator(".welcome")).to_be_visible(timeout=20_000)
    if size == PHONE:
        tab.locator("#header [data-do=drawer]").click()
    link.click()
    expect(tab.locator(".views")).to_be_visible(timeout=20_000)
