"""What goes wrong at an admin's levers, told in the page's language. The sentences come from the code itself."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator

import pytest
from helpers.chinese_text import english_left
from helpers.fake_dashboard import click
from helpers.paths import ROOT

from assistant.errors import LoopError, TooLong, VersionError
from assistant.page.dashboard import AdminServices
from assistant.page.dashboard.admin_handlers import AdminHandlers
from assistant.page.dashboard.dashboard_page import guarded
from assistant.page.i18n.dashboard_languages import CHINESE, ENGLISH, told
from assistant.page.i18n.loop_chinese import in_chinese
from assistant.page.session.dashboard_session import DashboardSession

# What an admin's click reaches, and what of it raises for reasons that no click has.
LEVERS = (
    "assistant/admin/actions.py",
    "assistant/admin/cycle_runner.py",
    "assistant/registry/live_comparison.py",
    "assistant/registry/versions.py",
    "alignment/live/live_run.py",
)
ELSEWHERE = (
    "is no version id",
    "exists already in",
    "The home folder",
    "Give a number from 0 to 1",
    "a share of",
    "Known versions: 7.7",  # two sentences, looked at below
)


def sample(node: ast.expr) -> str | None:
    """The sentence that an expression makes, each of its values by "7"; None where it is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "7" for part in node.values]
        return "".join(map(str, parts))
    return None


def sentences() -> Iterator[str]:
    for path in LEVERS:
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            made = node.exc.args if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) else []
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_damaged":
                made = node.args
            found = [text for one in made if (text := sample(one)) is not None]
            yield from (text for text in found if not any(known in text for known in ELSEWHERE))


def test_every_error_at_the_levers_is_known_in_chinese() -> None:
    found = set(sentences())
    assert len(found) > 15
    unknown = [
        text for text in found if english_left(re.sub(r"`[^`]*`|\S+\.(py|json|txt)", "", in_chinese(text)))
    ]
    assert not unknown


def test_a_version_that_is_not_there_is_told_in_chinese_also_where_it_is_the_released_one(
    services: AdminServices,
) -> None:
    for version, known in (("v99", "已有的版本：v1, v2"), ("v4", "它正是当前使用的版本")):
        shutil.rmtree(services.home / "versions" / version, ignore_errors=True)
        with pytest.raises(VersionError) as raised:
            services.versions.manifest(version)
        assert known in told(CHINESE, raised.value)


def test_a_damaged_version_is_told_in_chinese_with_what_is_wrong_with_it(services: AdminServices) -> None:
    (services.home / "versions" / "v2" / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(VersionError) as raised:
        services.versions.manifest("v2")
    assert "is damaged" in told(ENGLISH, raised.value)
    chinese = told(CHINESE, raised.value)
    assert "v2 已损坏：读不出 manifest.json" in chinese
    assert "Expecting property name" in chinese  # the details, for whoever mends it


def test_an_error_that_is_not_known_is_told_by_its_kind_and_with_its_own_words() -> None:
    assert told(CHINESE, LoopError("Xyzzy")) == "这一步没有成功。请再试一次。（原文：Xyzzy）"
    assert told(ENGLISH, LoopError("Xyzzy")) == "Xyzzy"
    assert "Xyzzy" not in told(CHINESE, TooLong("Xyzzy", 7, 5))


def test_a_refused_lever_answers_in_the_language_of_the_page(services: AdminServices) -> None:
    session = DashboardSession(language="zh")
    screen = guarded(services, AdminHandlers(services).release)(session, *click(services, version="v99"))
    assert "里没有版本" in screen.status and "There is" not in screen.status
    AdminHandlers(services).language(session, {}, "Ada")
    assert not session.notice  # rather than in the other language
