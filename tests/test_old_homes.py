"""A home that an earlier release made opens, serves, and goes on.

`data/homes/trained.tar.xz` was made by release 0.1.0 before the packages were rearranged: a two-layer model, a cycle
that released v2, and a second cycle that was killed once its candidate v3 was trained. `judged.tar.xz`, of the same
release, holds six versions, ratings, comparisons, two cycles and a live comparison, all recorded as sentences alone.
"""

import shutil
import tarfile
from pathlib import Path

import httpx
import pytest
from helpers.fake_chat import FakeChat
from helpers.fake_dashboard import WHO, services_over
from helpers.paths import DATA
from helpers.running_app import running_app
from helpers.small_cycle import run, state, write_policy

from alignment.__main__ import main
from assistant.admin import cycle_records, cycle_report
from assistant.bases.base import folder_hash
from assistant.page.dashboard.admin_handlers import VIEWS, AdminHandlers
from assistant.page.i18n.dashboard_languages import LANGUAGES
from assistant.page.session.dashboard_session import DashboardSession
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore


def unpacked(name: str, folder: Path) -> None:
    with tarfile.open(DATA / "homes" / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    unpacked("trained", tmp_path)
    return tmp_path / "trained"


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    unpacked("judged", tmp_path)
    return tmp_path / "judged"


def test_its_versions_are_listed_as_they_were_released(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["versions", "--home", str(trained)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["v1", "import"], ["v2", "kto"], ["v3", "kto"]]
    assert [line.endswith("released") for line in lines] == [False, True, False]
    versions = Versions(trained)
    assert versions.manifest("v2").parent == "v1"
    assert versions.manifest("v2").gate["verdict"] == "promote"
    assert versions.manifest("v2").base.revision == folder_hash(trained / "tiny")


def test_its_feedback_is_read_and_verified(trained: Path) -> None:
    with FeedbackStore.open_home(trained) as store:
        assert store.verify() == []
        assert sum(1 for _ in store.ratings()) == 55
        assert sum(1 for _ in store.corrections()) == 1
        store.rate(next(store.ratings())[1].id, "newcomer", -1)
        assert store.verify() == []


def test_its_unfinished_cycle_goes_on_to_the_end(trained: Path, tmp_path: Path) -> None:
    assert "decisions" not in state(trained, 2)
    assert run(trained, write_policy(tmp_path)) == 0
    ended = state(trained, 2)
    assert [candidate["version"] for candidate in ended["candidates"]] == ["v3"]
    assert ended["decisions"][0]["verdict"] in ("hold", "reject")
    assert ended["ended"]
    assert (trained / "cycles" / "2" / "report.md").exists()
    assert Versions(trained).released() == "v2"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_report_of_its_ended_cycle_shows_the_texts_that_it_kept(trained: Path, language: str) -> None:
    cycle = cycle_records.cycles(trained)[-1]
    report = cycle_report.markdown(cycle.number, cycle.state, language)
    assert cycle.ended and cycle.decisions
    for decision in cycle.decisions:
        assert decision["table"] in report
        assert all(reason["text"] in report for reason in decision["reasons"])


def test_the_app_serves_its_released_version(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THUMBTUNE_MODEL")  # the home knows its model
    with running_app(trained) as address, httpx.Client(base_url=address, timeout=60) as client:
        answer = client.post(
            "/v1/chat/completions",
            json={
                "model": "thumbtune",
                "messages": [{"role": "user", "content": "What is 2 + 2?"}],
                "max_tokens": 4,
            },
        )
        assert answer.status_code == 200, answer.text
        models = {model["id"] for model in client.get("/v1/models").json()["data"]}
    with FeedbackStore.open_home(trained) as store:
        assert store.reply(answer.json()["id"].removeprefix("chatcmpl-")).version == "v2"
        assert "v2" in models
        assert store.verify() == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_dashboard_shows_what_its_cycles_and_raters_left(judged: Path, code: str) -> None:
    chat = FakeChat("v4")
    chat.store.close()
    # Into the same file: its connections are opened anew.
    shutil.copy(judged / "feedback.db", chat.path)
    services = services_over(chat, Versions(judged))
    bodies = {}
    for view in VIEWS:
        session = DashboardSession(language=code)
        bodies[view] = str(AdminHandlers(services).open(session, {"view": view}, WHO).body)
        assert session.notice == ""
    assert all(version in bodies["versions"] for version in ("v1", "v2", "v3", "v4", "v5", "v6"))
    # Both cycles with the gate's figures, the live comparison that v4 won, and ten days of thumbs.
    assert "right, thinking" in bodies["cycles"] or "思考" in bodies["cycles"]
    assert "v4" in bodies["live_comparison"]
    assert bodies["ratings"].count("<svg") >= 1
    with FeedbackStore.open_home(judged) as store:
        assert store.verify() == []
