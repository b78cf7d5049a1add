"""No text that people, models or files bring onto the dashboard becomes HTML."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.fake_dashboard import BEGAN, WHO

from assistant.admin.cycle_runner import Started
from assistant.events.event import Event, text_event
from assistant.page.dashboard import AdminServices
from assistant.page.dashboard.admin_handlers import VIEWS, AdminHandlers
from assistant.page.dashboard.views.charts import Interval, Line, Point, histogram, interval_chart, line_chart
from assistant.page.i18n.dashboard_languages import LANGUAGES
from assistant.page.session.dashboard_session import DashboardSession, SideBySide

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> \" onfocus=alert(3) x='"


class Elements(HTMLParser):
    """Collects what a browser would read as elements, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.texts += [value for _, value in attrs if value]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def assert_only_text(*parts: object) -> None:
    """`parts` hold EVIL as a text, and nothing of it as an element or an attribute."""
    elements = Elements("".join(str(part) for part in parts))
    assert any("alert(1)" in text for text in elements.texts), "the text is not shown at all"
    assert not elements.tags & {"script", "img"}
    assert not {name for name in elements.attributes if name.startswith("on") or name == "x"}


def change(path: Path, edit: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(edit(content)))


@pytest.fixture(params=LANGUAGES)
def tab(request: pytest.FixtureRequest) -> DashboardSession:
    return DashboardSession(language=request.param)


def opened(services: AdminServices, tab: DashboardSession, view: str, admin: str = WHO) -> Any:
    return AdminHandlers(services).open(tab, {"view": view}, admin)


@pytest.mark.parametrize("view", VIEWS)
def test_the_name_of_an_admin_and_a_notice_are_text(
    services: AdminServices, tab: DashboardSession, view: str
) -> None:
    assert_only_text(opened(services, tab, view, admin=EVIL).head)
    tab.notify(EVIL, error=True)
    assert_only_text(opened(services, tab, view).status)


def test_audit_entries_and_reasons_of_releases_are_text(
    services: AdminServices, tab: DashboardSession
) -> None:
    services.versions.release("v1", EVIL)
    assert_only_text(opened(services, tab, "audit").body)
    for entry in (
        (EVIL, "release", ""),
        (WHO, EVIL, ""),
        (WHO, f"{EVIL}: failed", ""),
        (WHO, "release", EVIL),
    ):
        services.actions.audit.write(*entry)
        assert_only_text(opened(services, tab, "audit").body)


@pytest.mark.parametrize("name", ["stage", "recipe", "data", "metrics", "libraries"])
def test_every_text_of_a_manifest_is_text(services: AdminServices, tab: DashboardSession, name: str) -> None:
    value = EVIL if name == "stage" else {"name": EVIL, EVIL: 1}
    change(services.versions.folder / "v5" / "manifest.json", lambda content: {**content, name: value})
    assert_only_text(AdminHandlers(services).open_version(tab, {"version": "v5"}, WHO).panel)
    if name == "stage":
        assert_only_text(opened(services, tab, "versions").body)


def test_a_model_card_is_markdown_without_html(services: AdminServices, tab: DashboardSession) -> None:
    (services.versions.folder / "v5" / "README.md").write_text(f"# A card\n\n{EVIL}\n\n`{EVIL}`\n")
    assert_only_text(AdminHandlers(services).open_version(tab, {"version": "v5"}, WHO).panel)


@pytest.mark.parametrize("name", ["measure", "kind", "finding", "text", "event"])
def test_the_gates_reasons_are_text(services: AdminServices, tab: DashboardSession, name: str) -> None:
    # The text is shown where an older home has no event.
    changed = {"event": text_event(EVIL).content()} if name == "event" else {"event": None, name: EVIL}

    def edit(gate: dict[str, Any]) -> dict[str, Any]:
        return {**gate, "reasons": [{**reason, **changed} for reason in gate["reasons"]]}

    change(
        services.versions.folder / "v5" / "manifest.json",
        lambda content: {**content, "gate": edit(content["gate"])},
    )
    assert_only_text(AdminHandlers(services).open_version(tab, {"version": "v5"}, WHO).panel)
    change(
        services.home / "cycles" / "2" / "state.json",
        lambda state: {**state, "decisions": [edit(gate) for gate in state["decisions"]]},
    )
    assert_only_text(opened(services, tab, "cycles").body)


@pytest.mark.parametrize("name", ["verdict", "candidate", "released", "looks"])
def test_the_gates_decision_is_text(services: AdminServices, tab: DashboardSession, name: str) -> None:
    change(
        services.home / "cycles" / "2" / "state.json",
        lambda state: {**state, "decisions": [{**gate, name: EVIL} for gate in state["decisions"]]},
    )
    assert_only_text(opened(services, tab, "cycles").body)


@pytest.mark.parametrize(
    "changed",
    [{"notes": [EVIL]}, {"outcome": {"what": EVIL}}, {"outcome": {"what": "at once", "version": EVIL}},
     {"began": EVIL}, {"new_votes": EVIL}],
)  # fmt: skip
def test_a_cycles_state_is_text(
    services: AdminServices, tab: DashboardSession, changed: dict[str, Any]
) -> None:
    change(services.home / "cycles" / "2" / "state.json", lambda state: {**state, **changed})
    assert_only_text(opened(services, tab, "cycles").body)
    if "outcome" in changed:
        assert_only_text(opened(services, tab, "overview").body)


def test_a_cycles_report_with_raters_and_their_comments_is_markdown_without_html(
    services: AdminServices, tab: DashboardSession
) -> None:
    reason = Event.of("rater_copies", rater=EVIL, count=9, odd=4).content()
    for suspect in (
        {"rater": EVIL, "what": "copies", "text": ""},
        {"rater": "eve", "what": EVIL, "text": ""},
        {"rater": "eve", "what": "copies", "text": EVIL},
        {"rater": "eve", "what": "copies", "text": "", "event": reason},
    ):
        path = services.home / "cycles" / "2" / "state.json"
        change(path, lambda state, suspect=suspect: {**state, "suspects": [suspect]})  # type: ignore[misc]
        assert_only_text(opened(services, tab, "cycles").body)


def test_the_name_of_a_reward_model_is_text(services: AdminServices, tab: DashboardSession) -> None:
    def edit(content: dict[str, Any]) -> dict[str, Any]:
        return {**content, "rewards": {**content["rewards"], "judge": EVIL}}

    change(services.home / "cycles" / "2" / "v6-against-v4.json", edit)
    assert_only_text(opened(services, tab, "cycles").body)
    assert_only_text(AdminHandlers(services).open_version(tab, {"version": "v6"}, WHO).panel)


@pytest.mark.parametrize("name", ["asked", "correction", "answer", "answer_before"])
def test_a_probe_is_text(services: AdminServices, tab: DashboardSession, name: str) -> None:
    change(
        services.home / "cycles" / "2" / "probes-v6.json",
        lambda probes: [{**probe, name: EVIL} for probe in probes],
    )
    assert_only_text(opened(services, tab, "cycles").body)


@pytest.mark.parametrize("name", ["id", "candidate", "released", "verdict", "why", "started", "ended"])
def test_an_earlier_live_comparison_is_text(
    services: AdminServices, tab: DashboardSession, name: str
) -> None:
    change(services.home / "trials" / "old.json", lambda content: {**content, name: EVIL})
    assert_only_text(opened(services, tab, "live_comparison").body)


@pytest.mark.parametrize("name", ["candidate", "released", "started"])
def test_the_live_comparison_under_way_is_text(
    services: AdminServices, tab: DashboardSession, name: str
) -> None:
    under_way = {
        "id": "new",
        "candidate": "v6",
        "released": "v4",
        "share": 0.5,
        "started": BEGAN.isoformat(),
        name: EVIL,
    }
    (services.home / "trial.json").write_text(json.dumps(under_way))
    assert_only_text(*opened(services, tab, "live_comparison"))


def test_a_running_cycle_and_a_plan_are_text(
    services: AdminServices, tab: DashboardSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = services.actions.runner
    monkeypatch.setattr(runner, "running", lambda: Started(1, 0.0, BEGAN.isoformat(), EVIL))
    assert_only_text(opened(services, tab, "cycles").status)
    monkeypatch.setattr(runner, "running", lambda: Started(1, 0.0, BEGAN.isoformat(), WHO))
    monkeypatch.setattr(runner, "log", lambda: [text_event(EVIL)])
    assert_only_text(opened(services, tab, "cycles").status)
    tab.plan = [text_event(EVIL)]
    assert_only_text(opened(services, tab, "cycles").body)


@pytest.mark.parametrize("name", ["thought", "answer", "version"])
def test_what_models_write_side_by_side_is_text(
    services: AdminServices, tab: DashboardSession, name: str
) -> None:
    written = {"thought": "", "answer": "", "version": "v4", "thinking": False, "finish_reason": "end"}
    update: Any = SimpleNamespace(reply_id="reply", **{**written, name: EVIL})
    tab.side_by_side = SideBySide("Hello", "v4", "v6", left=update, right=update, choice="left")
    assert_only_text(opened(services, tab, "side_by_side").answers)


def test_a_prompt_side_by_side_is_text_also_in_the_form(
    services: AdminServices, tab: DashboardSession
) -> None:
    tab.side_by_side = SideBySide(f"</textarea>{EVIL}", writing=True)
    update = opened(services, tab, "side_by_side")
    assert_only_text(update.body)
    assert_only_text(update.answers)


def test_every_text_of_a_chart_is_text() -> None:
    point = Point(0, 0.5, 0.2, 0.8, EVIL)
    assert_only_text(line_chart([Line(EVIL, [point])], EVIL, lambda x: EVIL, lambda y: EVIL, x_title=EVIL))
    assert_only_text(histogram([(EVIL, [0.0, 1.0], 0)], EVIL, EVIL))
    assert_only_text(interval_chart([Interval(EVIL, 0, -1, 1, EVIL, EVIL)], 0, -1, 1))
