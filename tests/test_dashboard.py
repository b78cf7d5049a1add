"""The dashboard without a browser: whom it lets in, what it draws, what it does."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_chat import FakeChat
from fake_office import PASSWORD, filled, office_of, serving
from gradio_client import Client

from assistant import loop, trial
from assistant.admins import Admins
from assistant.errors import LoopError
from assistant.page import build_page
from assistant.page.dashboard import Office
from assistant.page.dashboard.acts import VIEWS, Acts
from assistant.page.dashboard.charts import Line, Point, Span, histogram, line_chart, spans, ticks
from assistant.page.dashboard.family import family, width
from assistant.page.dashboard.frame import door
from assistant.page.dashboard.page import guarded
from assistant.page.dashboard.session import DashboardSession, Screen
from assistant.page.dashboard.words import LANGUAGES
from assistant.versions import Versions

# Gradio's queue calls pandas in ways that pandas 3 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]
WHO = "Ada (password)"


@pytest.fixture
def office(home: Path) -> Office:
    return filled(home)


@pytest.fixture
def bare(home: Path) -> Office:
    """A home in which nothing has happened yet."""
    from test_control import add

    versions = Versions(home)
    versions.release(add(versions, stage="sft"))
    return office_of(FakeChat("v1"), versions)


def text(screen: Screen) -> str:
    return " ".join(str(part) for part in screen)


# Whom it lets in


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Office, str]]:
    office = filled(tmp_path_factory.mktemp("house") / "home")
    with serving(office) as url:
        yield office, url


def dashboard_functions(office: Office) -> list[Any]:

    async def build() -> Any:
        return build_page(office.chat, office)

    # In a running event loop: Gradio makes one for every lock otherwise, and never closes it.
    page = asyncio.run(build())
    return [one for one in page.fns.values() if one.page == "dashboard"]


def call(client: httpx.Client, url: str, number: int, data: dict[str, Any], **headers: str) -> str:
    """What Gradio's own queue answers to an event of the page's, as anybody can send one; errors included."""
    asked = {"data": [None], "fn_index": number, "session_hash": f"s{number}", "event_data": data}
    joined = client.post(f"{url}gradio_api/queue/join", json=asked, headers=headers)
    if joined.status_code != 200:
        return joined.text
    said = ""
    with client.stream("GET", f"{url}gradio_api/queue/data?session_hash=s{number}", timeout=30) as stream:
        for line in stream.iter_lines():
            said += line
            if "process_completed" in line:
                break
    return said


FORGED: dict[str, Any] = {
    "view": "versions", "version": "v6", "share": "20", "prompt": "Hello", "first": "v4", "second": "v6",
    "choice": "left", "text": "x", "who": WHO, "name": WHO, "do": "release",
}  # fmt: skip


def test_every_event_of_the_page_goes_through_the_guard(office: Office) -> None:
    functions = dashboard_functions(office)
    assert len(functions) >= 20
    assert {one.fn.__qualname__.split(".")[0] for one in functions} == {"guarded"}
    assert {one.api_visibility for one in functions} == {"private"}


def test_nobody_but_admins_gets_or_does_anything_by_any_event(open_house: tuple[Office, str]) -> None:
    office, url = open_house
    trail = office.control.audit.last(99)
    with httpx.Client() as client:
        for one in dashboard_functions(office):
            said = call(client, url, one._id, FORGED)
            assert "process_completed" in said
            for secret in ("v4", "v6", "promoted", "trail-", "Ada"):
                assert secret not in said, one.name
            assert 'class=\\"door' in said
    assert office.versions.released() == "v4"
    assert trial.read(office.home) is None
    assert office.control.loop.started() is None
    assert office.chat.asked == []  # type: ignore[attr-defined]
    assert office.control.audit.last(99) == trail


def test_the_page_that_is_sent_holds_no_data(open_house: tuple[Office, str]) -> None:
    _, url = open_house
    for page in ("dashboard", "config", "gradio_api/info"):
        sent = httpx.get(f"{url}{page}").text
        assert "v6" not in sent
        assert "views" not in sent.partition("<body")[2] and "promoted" not in sent


def test_the_python_client_finds_no_endpoint_of_the_dashboards(open_house: tuple[Office, str]) -> None:
    office, url = open_house
    client = Client(url, verbose=False)
    for name in ("/release", "/run", "/open", "/guarded"):
        with pytest.raises(ValueError, match=r"[Cc]annot find|not find"):
            client.predict(api_name=name)
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert set(named) == {"/chat", "/rate"}
    assert office.versions.released() == "v4"


@contextmanager
def signed_in(url: str) -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        answer = client.post(f"{url}admin/login", json={"name": "Ada", "password": PASSWORD})
        assert answer.status_code == 204
        yield client


def test_an_admin_gets_in_and_the_same_cookie_sent_by_another_site_does_not(
    open_house: tuple[Office, str],
) -> None:
    office, url = open_house
    number = next(one._id for one in dashboard_functions(office) if one.name == "run")
    with signed_in(url) as client:
        assert "v4" in call(client, url, number, {"view": "versions"})
        kept = client.cookies.get("thumbtune-admin")
        evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        answer = call(client, url, number, {"view": "versions"}, **evil)
        assert "v4" not in answer
        assert client.get(f"{url}admin/export/trl-kto", headers=evil).status_code == 403
        assert client.post(f"{url}admin/logout", json={}, headers=evil).status_code == 403
        assert client.get(f"{url}admin/export/audit").status_code == 200
        client.post(f"{url}admin/logout", json={})
        # The server has forgotten the session, whoever kept its cookie.
        client.cookies.set("thumbtune-admin", str(kept))
        assert client.get(f"{url}admin/export/audit").status_code == 403


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(open_house: tuple[Office, str]) -> None:
    _, url = open_house
    login = {"name": "Ada", "password": PASSWORD}
    plain = httpx.post(f"{url}admin/login", json=login).headers["set-cookie"].lower()
    assert "httponly" in plain and "samesite=strict" in plain and "secure" not in plain
    proxied = httpx.post(f"{url}admin/login", json=login, headers={"x-forwarded-proto": "https"})
    assert "secure" in proxied.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"[]", 400), (b"{", 400), (b'{"password": 5}', 400), (b"x" * 5_000, 413)],
)
def test_nonsense_at_the_door_is_refused(open_house: tuple[Office, str], body: bytes, status: int) -> None:
    assert httpx.post(f"{open_house[1]}admin/login", content=body).status_code == status


def test_wrong_passwords_are_refused_traced_and_then_not_looked_at(home: Path) -> None:
    office = filled(home)
    with serving(office) as url:
        for _ in range(5):
            answer = httpx.post(f"{url}admin/login", json={"name": "Eve", "password": "a guess of hers"})
            assert (answer.status_code, answer.json()) == (401, {"error": "wrong"})
            assert "set-cookie" not in answer.headers
        answer = httpx.post(f"{url}admin/login", json={"name": "Ada", "password": PASSWORD})
        assert answer.status_code == 429 and answer.json()["seconds"] > 200
    lines = office.control.audit.last(99)
    assert [one["what"] for one in lines] == ["sign in: failed"] * 5
    assert "guess" not in json.dumps(lines)


@pytest.mark.parametrize("what", ["trl-kto", "trl-preference", "trl-sft", "trl-prompt", "audit"])
def test_an_export_is_for_admins_and_traced(open_house: tuple[Office, str], what: str) -> None:
    office, url = open_house
    assert httpx.get(f"{url}admin/export/{what}").status_code == 403
    with signed_in(url) as client:
        answer = client.get(f"{url}admin/export/{what}")
        assert answer.status_code == 200
        rows = [json.loads(line) for line in answer.text.splitlines()]
        assert rows or what == "trl-sft"
        assert client.get(f"{url}admin/export/../../feedback.db").status_code == 404
        assert client.get(f"{url}admin/export/passwd").status_code == 404
    line = office.control.audit.last(1)[0]
    assert (line["who"], line["what"], line["detail"]) == (WHO, "export", what)


@pytest.mark.parametrize("code", LANGUAGES)
def test_without_a_password_or_names_the_page_says_how_to_switch_it_on(code: str) -> None:
    words = LANGUAGES[code]
    drawn = door(words, Admins())
    assert words.no_door in drawn
    assert "THUMBTUNE_ADMIN_PASSWORD" in drawn and "hf_oauth: true" in drawn
    assert "<form" not in drawn
    assert "<form" in door(words, Admins(PASSWORD))
    assert "<form" not in door(words, Admins(names=["ada"]))


def test_what_goes_wrong_is_told_on_the_page(office: Office) -> None:
    class Request:
        headers: dict[str, str] = {}  # noqa: RUF012
        cookies = {"thumbtune-admin": office.admins.sign_in(PASSWORD, "Ada", "")}  # noqa: RUF012
        scope: dict[str, Any] = {}  # noqa: RUF012

    class Event:
        _data = {"version": "v99"}  # noqa: RUF012

    screen = guarded(office, Acts(office).release)(DashboardSession(), Request(), Event())
    assert "There is no version &#x27;v99&#x27;" in screen.live
    assert office.versions.released() == "v4"


# What it draws


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_drawn_with_what_happened_and_before_anything_has(
    office: Office, tmp_path: Path, view: str, code: str
) -> None:
    from test_control import add

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


def test_the_family_stands_in_lanes_that_do_not_cross_other_versions() -> None:
    parents = {
        "v1": None,
        "v2": "v1",
        "v3": "v1",
        "v4": "v1",
        "v5": "v4",
        "v6": "v5",
        "v7": "v4",
        "v8": "gone",
    }
    rows = family(parents, "v6")
    assert [row.version for row in rows] == ["v8", "v7", "v6", "v5", "v4", "v3", "v2", "v1"]
    lanes = {row.version: row.lane for row in rows}
    assert [lanes[one] for one in ("v1", "v4", "v5", "v6")] == [0, 0, 0, 0]
    assert lanes["v7"] > 0 and lanes["v2"] != lanes["v3"]
    for row in rows:
        assert row.lane not in row.through
        assert len(set(row.through)) == len(row.through)
    assert rows[-1].joins and rows[-1].above and not rows[-1].below
    assert not rows[0].below
    assert width(rows) == 3
    assert family({}, None) == []


def test_a_long_line_of_versions_that_nobody_released_stays_in_one_lane() -> None:
    parents = {"v1": None, **{f"v{n}": f"v{n - 1}" for n in range(2, 30)}}
    rows = family(parents, "v1")
    assert {row.lane for row in rows} == {0, 1}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.5, 1]),
        (0, 4, [0, 1, 2, 3, 4]),
        (-20, 20, [-20, -10, 0, 10, 20]),
        (0.61, 0.64, [0.61, 0.62, 0.63, 0.64]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_charts_bear_single_points_and_equal_values() -> None:
    one = line_chart([Line("v1", [Point(5, 0.5, 0.2, 0.8)])], "x", str, str, y_range=(0, 1))
    assert "whisker" in one and "nan" not in one
    flat = line_chart([Line("loss", [Point(0, 1.0), Point(1, 1.0)])], "x", str, str)
    assert "nan" not in flat
    assert "nan" not in histogram([("a", [1.0], 0), ("b", [1.0], 1)], "x", "y")
    assert "50.00%" in spans([Span("a", 0, 0, 0, "0")], 0, -1, 1)


# What it does


def test_a_promoted_version_is_released_without_a_warning_and_a_rejected_one_with(office: Office) -> None:
    warning = LANGUAGES["en"].release_warning
    assert warning not in Acts(office).ask_release(DashboardSession(), {"version": "v6"}, WHO).panel
    assert warning in Acts(office).ask_release(DashboardSession(), {"version": "v5"}, WHO).panel
    session = DashboardSession()
    Acts(office).release(session, {"version": "v6", "why": " good \n answers "}, WHO)
    assert office.versions.released() == "v6"
    assert session.notice == "v6 is released."
    assert office.versions.history()[-1]["why"] == f"by {WHO}: good answers"
    Acts(office).roll_back(session, {}, WHO)
    assert office.versions.released() == "v4"


def test_what_a_cycle_would_do_is_shown_and_nothing_is_done(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def stand_in(*arguments: str) -> list[str]:
        asked.append(arguments)
        return [sys.executable, "-c", "print('new votes: 7; 50 are needed\\ndry run: nothing was written')"]

    monkeypatch.setattr(office.control.loop, "_command", stand_in)
    drawn = Acts(office).plan(DashboardSession(view="cycles"), {}, WHO).body
    assert "new votes: 7; 50 are needed\ndry run: nothing was written" in drawn
    assert asked == [("cycle", "--dry-run")]
    assert office.control.audit.last(1) == []


def test_without_the_training_packages_no_cycle_is_offered(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "NEEDED", ("not_installed_here",))
    acts, session = Acts(office), DashboardSession(view="cycles")
    drawn = acts.open(session, {}, WHO).body
    assert "not_installed_here" in drawn and "run_cycle" not in drawn
    with pytest.raises(LoopError, match="requirements-train"):
        acts.run_cycle(session, {}, WHO)


def test_a_cycle_that_ended_is_told_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        office.control.loop, "_command", lambda *given: [sys.executable, "-c", "print('cycle 3: all done')"]
    )
    acts, session = Acts(office), DashboardSession(view="cycles")
    acts.run_cycle(session, {}, WHO)
    session.working = True
    office.control.loop._child.wait(20)  # type: ignore[union-attr]
    assert "The cycle has ended: cycle 3: all done" in acts.tick(session, {}, WHO).live
    assert not session.working and office.control.audit.last(1)[0]["what"] == "run a cycle"


def test_only_what_the_gate_promoted_over_the_released_version_is_a_candidate(office: Office) -> None:
    assert [one.id for one in office.candidates()] == ["v6"]
    office.versions.release("v1")
    assert [one.id for one in office.candidates()] == ["v4"]


async def test_two_versions_answer_hidden_until_somebody_chose(office: Office) -> None:
    acts, session = Acts(office), DashboardSession(view="duel")
    asked = {"prompt": "347 + 285", "first": "v4", "second": "v6", "think": "on"}
    screens = [screen async for screen in acts.ask(session, asked, WHO)]
    drawn = screens[-1].duel
    assert "<strong>632</strong>" in drawn and "v6" not in drawn and not session.duel.writing
    assert {session.duel.left.version, session.duel.right.version} == {"v4", "v6"}  # type: ignore[union-attr]
    drawn = acts.choose(session, {"choice": "left"}, WHO).duel
    assert "v6" in drawn and "v4" in drawn
    before = sum(count for *_, count in office.store.choices_between_versions())
    acts.choose(session, {"choice": "right"}, WHO)  # once is enough
    assert sum(count for *_, count in office.store.choices_between_versions()) == before
    (kept, _, _) = next(one for one in office.store.comparisons() if one[0].rater == f"admin-{WHO}")
    assert (kept.choice, kept.blind, kept.how) == ("left", True, "versions")


@pytest.mark.parametrize(("prompt", "second"), [("", "v6"), ("Hello", "v4")])
async def test_a_message_to_nobody_or_to_one_version_twice_is_refused(
    office: Office, prompt: str, second: str
) -> None:
    session = DashboardSession(view="duel")
    asked = {"prompt": prompt, "first": "v4", "second": second}
    screens = [screen async for screen in Acts(office).ask(session, asked, WHO)]
    assert len(screens) == 1 and session.notice_is_error
    assert office.chat.asked == []  # type: ignore[attr-defined]


async def test_two_answers_can_be_stopped(office: Office) -> None:
    acts, session = Acts(office), DashboardSession(view="duel")
    stream = acts.ask(session, {"prompt": "slow", "first": "v4", "second": "v6"}, WHO)
    async for _ in stream:
        if session.duel.left and session.duel.left.answer:
            break

    async def rest() -> None:
        async for _ in stream:
            pass

    ending = asyncio.ensure_future(rest())
    async for _ in acts.stop(session, {}, WHO):
        pass
    await asyncio.wait_for(ending, 20)
    assert session.duel.left is not None and session.duel.left.finish_reason == "stopped"
    assert not session.duel.writing
