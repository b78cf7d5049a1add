"""Every view of the dashboard in both languages: of a new home, a home with cycles and ratings, and a damaged one."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from helpers.empty_versions import add
from helpers.fake_chat import FakeChat
from helpers.fake_dashboard import WHO, services_over

from assistant.admin.version_choices import choices_between
from assistant.events.event import Event
from assistant.page.dashboard import AdminServices
from assistant.page.dashboard.admin_handlers import VIEWS, AdminHandlers
from assistant.page.dashboard.views.version_list import tags
from assistant.page.i18n.dashboard_languages import LANGUAGES
from assistant.page.session.dashboard_session import DashboardSession, DashboardUpdate
from assistant.registry.versions import Versions, now


@pytest.fixture
def bare(home: Path) -> AdminServices:
    """The dashboard of a new home, without cycles and ratings."""
    versions = Versions(home)
    versions.release(add(versions, stage="sft"))
    return services_over(FakeChat("v1"), versions)


def text(update: DashboardUpdate) -> str:
    return " ".join(str(part) for part in update)


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_drawn_for_a_filled_and_for_a_new_home(
    services: AdminServices, tmp_path: Path, view: str, code: str
) -> None:
    versions = Versions(tmp_path / "empty")
    versions.release(add(versions, stage="sft"))
    for home_services in (services, services_over(FakeChat("v1"), versions)):
        session = DashboardSession(language=code)
        update = AdminHandlers(home_services).open(session, {"view": view}, WHO)
        assert session.notice == ""
        assert LANGUAGES[code].views[view] in update.head
        assert len(update.body) > 100
        assert update.body.count("<section") == update.body.count("</section>")
        assert update.body.count("<details") == update.body.count("</details>")


@pytest.mark.parametrize(
    ("code", "summary"),
    [
        ("en", "2 of 4 hold in v6; in v4, 2. Lost: 1."),
        ("zh", "4 条更正中有 2 条在 v6 中有效；在 v4 中为 2 条。失去：1。"),
    ],
)
def test_the_cycle_shows_what_became_of_corrections_the_lost_ones_first(
    services: AdminServices, code: str, summary: str
) -> None:
    body = unescape(
        AdminHandlers(services).open(DashboardSession(language=code), {"view": "cycles"}, WHO).body
    )

    assert summary in body
    rows = re.findall(r"<tr>.*?</tr>", body[body.index(summary) :], re.DOTALL)[1:5]
    states = LANGUAGES[code].probe_states
    assert [
        states[name] in row for name, row in zip(("lost", "wrong", "fixed", "held"), rows, strict=True)
    ] == [True] * 4
    assert "Kazakhstan is Astana" in rows[0] and "Kazakhstan is Almaty" in rows[0]


def test_each_view_of_a_new_home_says_what_will_appear(bare: AdminServices) -> None:
    texts = LANGUAGES["en"]
    for view, sentences in (
        ("ratings", (texts.no_thumbs, texts.no_ranking)),
        ("cycles", (texts.no_cycles,)),
        ("live_comparison", (texts.no_live_comparison, texts.no_candidates)),
        ("side_by_side", (texts.two_needed,)),
        ("audit", (texts.no_audit,)),
    ):
        html = unescape(AdminHandlers(bare).open(DashboardSession(), {"view": view}, WHO).body)
        for sentence in sentences:
            assert sentence in html


def test_the_panel_of_a_version_shows_gate_reasons_rewards_curves_manifest_and_card(
    services: AdminServices,
) -> None:
    html = AdminHandlers(services).open_version(DashboardSession(), {"version": "v4"}, WHO).panel
    for part in (
        "right, thinking",
        "+12.0 points [+6.0, +18.0]",
        "must not get worse by 5.0 points or more",
        "held-out loss",
        "Rewards before and after",
    ):
        assert part in html
    assert "thumbs_up 120" in html and '"parent": "v1"' in unescape(html)
    assert 'id="card-v4"' in html
    judge = AdminHandlers(services).open_version(DashboardSession(), {"version": "v2"}, WHO).panel
    assert LANGUAGES["en"].no_gate_reward_model in judge and "ask_release" not in judge


def test_texts_of_cycles_are_in_the_language_of_the_page(services: AdminServices) -> None:
    session = DashboardSession(language="zh")
    html = AdminHandlers(services).open(session, {"view": "cycles"}, WHO).body
    for part in (
        "答对（思考）",
        "没有证明更好；p = 0.2，要求 0.013",
        "没有运行 ppo：没有可用的奖励模型",
        "第 1 次循环",
    ):
        assert part in html
    assert "not shown to be better" not in html
    session.plan = [Event.of("plan_votes", votes=7, needed=50)]
    assert "新评价：7；需要 50" in AdminHandlers(services).draw(session, WHO).body


def test_texts_from_people_and_files_are_not_html(services: AdminServices) -> None:
    evil = "<script>alert(1)</script>"
    services.actions.audit.write(evil, evil, evil)
    assert "<script" not in text(AdminHandlers(services).open(DashboardSession(), {"view": "audit"}, evil))
    path = services.home / "cycles" / "2" / "state.json"
    state = json.loads(path.read_text())
    state["notes"], state["outcome"] = [evil], {"what": evil}
    path.write_text(json.dumps(state))
    assert "<script" not in text(AdminHandlers(services).open(DashboardSession(), {"view": "cycles"}, WHO))


def test_damaged_records_do_not_take_a_page_down(services: AdminServices) -> None:
    for name in ("cycles/2/state.json", "trials/old.json", "cycles/1/v4-against-v1.json", "trial.json"):
        (services.home / name).write_text("{")
    (services.versions.folder / "v5" / "manifest.json").write_text("{")
    shutil.copytree(services.versions.folder / "v1", services.versions.folder / "v77")
    for view in VIEWS:
        assert AdminHandlers(services).open(DashboardSession(), {"view": view}, WHO).body, view


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_text_is_empty_and_both_languages_have_the_same_placeholders(code: str) -> None:
    texts, english = LANGUAGES[code], LANGUAGES["en"]
    for field in dataclasses.fields(texts):
        value, other = getattr(texts, field.name), getattr(english, field.name)
        if isinstance(value, dict):
            assert value.keys() == other.keys(), field.name
        values = (
            list(value.values())
            if isinstance(value, dict)
            else value
            if isinstance(value, tuple)
            else [value]
        )
        assert all(text.strip() for text in values), field.name
        if isinstance(value, str):
            assert set(re.findall(r"{(\w+)}", value)) == set(re.findall(r"{(\w+)}", other)), field.name


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_overview_says_how_the_last_live_comparison_ended(services: AdminServices, code: str) -> None:
    (services.home / "trial.json").unlink(missing_ok=True)
    body = AdminHandlers(services).open(DashboardSession(language=code), {"view": "overview"}, WHO).body
    assert "v4 / v1" in body and LANGUAGES[code].live_verdicts["candidate wins"] in body


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_panel_of_a_version_says_what_people_chose(services: AdminServices, code: str) -> None:
    texts = LANGUAGES[code]
    panel = (
        AdminHandlers(services).open_version(DashboardSession(language=code), {"version": "v4"}, WHO).panel
    )
    assert texts.sections["people"] in panel and texts.live_verdicts["candidate wins"] in panel
    counted = choices_between(services.store, "v4", "v1")
    assert counted.better + counted.worse + counted.neither
    said = texts.side_by_side_counts_format.format(
        version="v4", other="v1", better=counted.better, worse=counted.worse, neither=counted.neither
    )
    assert said in panel
    # Nobody compared this one with anything.
    other = (
        AdminHandlers(services).open_version(DashboardSession(language=code), {"version": "v3"}, WHO).panel
    )
    assert texts.sections["people"] not in other


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_panel_of_a_version_says_which_corrections_hold(services: AdminServices, code: str) -> None:
    texts = LANGUAGES[code]
    row = {"asked": "<b>?", "correction": "Lima.", "answer": "Lima!", "holds": True}
    asked = {"at": now(), "candidate": "v3", "released": "v1"}
    file = services.home / "evaluations" / "v3-against-v1-corrections.json"
    file.parent.mkdir(exist_ok=True)
    rows = [{**row, "answer_before": "Cusco.", "held_before": False}]
    file.write_text(json.dumps({"asked_again": asked, "probes": rows}))
    panel = (
        AdminHandlers(services).open_version(DashboardSession(language=code), {"version": "v3"}, WHO).panel
    )
    file.unlink()
    held = texts.probes_format.format(version="v3", holding=1, count=1, released="v1", before=0, lost=0)
    assert held in panel and "&lt;b&gt;?" in panel and "Cusco." in panel and "Lima!" in panel


def test_a_released_version_does_not_bear_what_the_gate_said_of_it(services: AdminServices) -> None:
    released = services.versions.manifest(services.versions.released() or "")
    assert released.gate is not None
    assert tags(services, LANGUAGES["en"], released) == [(LANGUAGES["en"].released, "strong")]
