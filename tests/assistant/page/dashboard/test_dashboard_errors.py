"""Errors of admin actions are shown in the language of the page."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator

import pytest
from helpers.fake_dashboard import click
from helpers.paths import ROOT

from assistant.errors import CommandError, TooLong, VersionError
from assistant.page.dashboard import AdminServices
from assistant.page.dashboard.admin_handlers import AdminHandlers
from assistant.page.dashboard.dashboard_page import guarded
from assistant.page.i18n.dashboard_languages import CHINESE, ENGLISH, error_text
from assistant.page.session.dashboard_session import DashboardSession

# Files whose errors an admin's click can raise, and those of their errors that no click can reach.
REACHED = (
    "assistant/admin/actions.py",
    "assistant/admin/cycle_runner.py",
    "assistant/registry/live_comparison.py",
    "assistant/registry/versions.py",
    "alignment/live/live_run.py",
)
UNREACHED = (
    "is no version id",
    "was the id of a version that is deleted",
    "exists already in",
    "The home folder",
    "Give a number from 0 to 1",
    "a share of",
    "without a time zone",
)


def raised_texts() -> Iterator[str]:
    """The texts of errors that are raised without an event."""
    for path in REACHED:
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                for argument in node.exc.args:
                    if isinstance(argument, ast.Constant | ast.JoinedStr):
                        yield ast.unparse(argument)


def test_every_error_that_an_admin_can_cause_carries_an_event() -> None:
    assert [text for text in raised_texts() if not any(known in text for known in UNREACHED)] == []


def test_an_unknown_version_is_explained_in_chinese_also_if_it_is_the_released_one(
    services: AdminServices,
) -> None:
    for version, known in (("v99", "已有的版本：v1, v2"), ("v4", "它正是当前版本")):
        shutil.rmtree(services.home / "versions" / version, ignore_errors=True)
        with pytest.raises(VersionError) as raised:
            services.versions.manifest(version)
        assert known in error_text(CHINESE, raised.value)


def test_a_damaged_version_is_explained_in_chinese_with_the_damage(services: AdminServices) -> None:
    (services.home / "versions" / "v2" / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(VersionError) as raised:
        services.versions.manifest("v2")
    assert "is damaged" in error_text(ENGLISH, raised.value)
    chinese = error_text(CHINESE, raised.value)
    assert "v2 已损坏：读不出 manifest.json" in chinese
    assert "Expecting property name" in chinese  # the details, for whoever mends it


def test_an_error_without_an_event_is_explained_by_its_class_and_its_english_text() -> None:
    assert error_text(CHINESE, CommandError("Xyzzy")) == "这一步没有成功。请再试一次。（原文：Xyzzy）"
    assert error_text(ENGLISH, CommandError("Xyzzy")) == "Xyzzy"
    assert "Xyzzy" not in error_text(CHINESE, TooLong("Xyzzy", 7, 5))


def test_a_refused_action_is_explained_in_the_language_of_the_page(services: AdminServices) -> None:
    session = DashboardSession(language="zh")
    screen = guarded(services, AdminHandlers(services).release)(session, *click(services, version="v99"))
    assert "里没有版本" in screen.status and "There is" not in screen.status
    AdminHandlers(services).language(session, {}, "Ada")
    assert not session.notice  # rather than in the other language
