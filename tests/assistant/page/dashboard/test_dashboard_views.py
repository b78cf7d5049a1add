"""What the dashboard draws: every view in both languages, before and after anything has happened, and damaged homes."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from helpers.empty_versions import add
from helpers.fake_chat import FakeChat
from helpers.fake_dashboard import WHO, office_of

from assistant.page.dashboard import Office
from assistant.page.dashboard.admin_handlers import VIEWS, Acts
from assistant.page.i18n.dashboard_languages import LANGUAGES
from assistant.page.session.dashboard_session import DashboardSession, Screen
from assistant.registry.versions import Versions


@pytest.fixture
def bare(home: Path) -> Office:
    """A home in which nothing has happened yet."""
    versions = Versions(home)
    versions.release(add(versions, stage="sft"))
    return office_of(FakeChat("v1"), versions)


def text(screen: Screen) -> str:
    return " ".join(str(part) for part in screen)


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_drawn_with_what_happened_and_before_anything_has(
    office: Office, tmp_path: Path, view: str, code: str
) -> None:
    versions = Versions(tmp_path / "empty")
    versions.release(add(versions, stage="sft"))
    for ground in (office, office_of(FakeChat("v1"), versions)):
        session = DashboardSession(language=code)
        screen = Acts(ground).open(session, {"view": view}, WHO)
        assert session.notice == ""
        assert LANGUAGES[code].views[view] in screen.head
        assert len(screen.body) > 100
        assert screen.body.count("<section") == screen.body.count("</section>")
        assert screen.body.count("<details") == screen.body.count("</details>")


def test_before_anything_has_happened_each_view_says_what_will_appear(bare: Office) -> None:
    words = LANGUAGES["en"]
    for view, told in (
        ("people", (words.no_thumbs, words.no_ratings)),
        ("cycles", (words.no_cycles,)),
        ("trial", (words.no_trial, words.no_candidates)),
        ("duel", (words.two_needed,)),
        ("trail", (words.no_trail,)),
    ):
        drawn = Acts(bare).open(DashboardSession(), {"view": view}, WHO).body
        for sentence in told:
            assert sentence in drawn.replace("&#x27;", "'")


def test_a_versions_panel_holds_gate_reasons_rewards_curves_manifest_and_card(office: Office) -> None:
    drawn = Acts(office).open_version(DashboardSession(), {"version": "v4"}, WHO).panel
    for part in (
        "right, thinking",
        "+12.0 points [+6.0, +18.0]",
        "held-out loss",
        "Rewards before and after",
    ):
        assert part in drawn
    assert "thumbs_up 120" in drawn and "&quot;parent&quot;: &quot;v1&quot;" in drawn
    assert 'id="card-v4"' in drawn
    judge = Acts(office).open_version(DashboardSession(), {"version": "v2"}, WHO).panel
    assert LANGUAGES["en"].no_gate_judge in judge and "ask_release" not in judge


def test_what_the_loop_says_is_in_the_pages_language(office: Office) -> None:
    session = DashboardSession(language="zh")
    drawn = Acts(office).open(session, {"view": "cycles"}, WHO).body
    for part in (
        "答对（思考）",
        "没有证明更好；p = 0.2，要求 0.013",
        "没有运行 ppo：没有可用的评分模型",
        "第 1 次循环",
    ):
        assert part in drawn
    assert "not shown to be better" not in drawn
    session.plan = ["new votes: 7; 50 are needed"]
    assert "新评价：7；需要 50" in Acts(office).whole(session, WHO).body


def test_texts_from_people_and_files_are_no_html(office: Office) -> None:
    evil = "<script>alert(1)</script>"
    office.control.audit.write(evil, evil, evil)
    assert "<script" not in text(Acts(office).open(DashboardSession(), {"view": "trail"}, evil))
    path = office.home / "cycles" / "2" / "state.json"
    state = json.loads(path.read_text())
    state["notes"], state["outcome"] = [evil], {"what": evil}
    path.write_text(json.dumps(state))
    assert "<script" not in text(Acts(office).open(DashboardSession(), {"view": "cycles"}, WHO))


def test_damaged_records_leave_the_rest_of_the_page(office: Office) -> None:
    for name in ("cycles/2/state.json", "trials/old.json", "cycles/1/v4-against-v1.json", "trial.json"):
        (office.home / name).write_text("{")
    (office.versions.folder / "v5" / "manifest.json").write_text("{")
    for view in VIEWS:
        assert Acts(office).open(DashboardSession(), {"view": view}, WHO).body, view


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_text_of_the_dashboard_is_empty_and_places_agree(code: str) -> None:
    words, english = LANGUAGES[code], LANGUAGES["en"]
    for field in dataclasses.fields(words):
        value, other = getattr(words, field.name), getattr(english, field.name)
        if isinstance(value, dict):
            assert value.keys() == other.keys(), field.name
        texts = (
            list(value.values())
            if isinstance(value, dict)
            else value
            if isinstance(value, tuple)
            else [value]
        )
        assert all(one.strip() for one in texts), field.name
        if isinstance(value, str):
            assert set(re.findall(r"{(\w+)}", value)) == set(re.findall(r"{(\w+)}", other)), field.name
