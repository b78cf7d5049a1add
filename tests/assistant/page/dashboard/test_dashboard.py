"""Handlers of the dashboard: what each event does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from html import unescape

import pytest
from helpers.fake_dashboard import WHO, click
from helpers.store_fixtures import held_out_texts, one_turn

from assistant.admin import last_run
from assistant.errors import CommandError
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.events.event_error import event_of
from assistant.page.dashboard import AdminServices
from assistant.page.dashboard.admin_handlers import AdminHandlers
from assistant.page.dashboard.dashboard_page import guarded
from assistant.page.dashboard.views import ratings
from assistant.page.i18n.dashboard_languages import LANGUAGES
from assistant.page.session.dashboard_session import DashboardSession
from assistant.registry import live_comparison


def test_only_the_release_of_a_rejected_version_comes_with_a_warning(
    services: AdminServices,
) -> None:
    warning = LANGUAGES["en"].release_warning
    assert (
        warning not in AdminHandlers(services).ask_release(DashboardSession(), {"version": "v6"}, WHO).panel
    )
    assert warning in AdminHandlers(services).ask_release(DashboardSession(), {"version": "v5"}, WHO).panel
    session = DashboardSession()
    AdminHandlers(services).release(session, {"version": "v6", "why": " good \n answers "}, WHO)
    assert services.versions.released() == "v6"
    assert session.notice == "v6 is released."
    assert services.versions.history()[-1]["why"] == f"by {WHO}: good answers"
    assert (
        "Go back to v4, which was released before v6?"
        in AdminHandlers(services).ask_roll_back(session, {}, WHO).panel
    )
    AdminHandlers(services).roll_back(session, {}, WHO)
    assert services.versions.released() == "v4"


def printing(*lines: str) -> list[str]:
    """A command that prints lines and ends."""
    return [sys.executable, "-c", f"print({chr(10).join(lines)!r})"]


def test_the_plan_of_a_cycle_is_shown_and_nothing_is_done(
    services: AdminServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []

    def fake_command(*arguments: str) -> list[str]:
        commands.append(arguments)
        events = [Event.of("plan_votes", votes=7, needed=50), Event.of("plan_wrote_nothing")]
        return printing("Loading weights: 100%", *(event.line() for event in events))

    monkeypatch.setattr(services.actions.runner, "_command", fake_command)
    html = AdminHandlers(services).plan(DashboardSession(view="cycles"), {}, WHO).body
    assert "new votes: 7; 50 are needed\ndry run: nothing was written" in html
    assert commands == [("cycle", "--dry-run")]
    assert services.actions.audit.last(1) == []


def test_without_the_training_packages_no_cycle_is_offered(
    services: AdminServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)
    handlers, session = AdminHandlers(services), DashboardSession(view="cycles")
    html = handlers.open(session, {}, WHO).body
    assert "not installed here: trl." in html and "run_cycle" not in html
    with pytest.raises(CommandError, match="requirements-train"):
        handlers.run_cycle(session, {}, WHO)


def test_the_end_of_a_cycle_is_announced_once(
    services: AdminServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = Event.of("cycle_released", number=3, version="v7")
    command = printing(event.line(), "a library's last words")
    monkeypatch.setattr(services.actions.runner, "_command", lambda *arguments: command)
    handlers, session = AdminHandlers(services), DashboardSession(view="cycles")
    handlers.run_cycle(session, {}, WHO)
    session.cycle_running = True
    services.actions.runner._child.wait(20)  # type: ignore[union-attr]
    assert "The cycle has ended: cycle 3: v7 is released" in handlers.tick(session, {}, WHO).status
    assert not session.cycle_running and services.actions.audit.last(1)[0]["what"] == "run a cycle"


def fail_a_run(services: AdminServices, error: Exception) -> None:
    with contextlib.suppress(type(error)), last_run.recorded(services.home, event_of):
        raise error


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_failure_of_a_cycle_stays_on_every_view_until_it_is_seen(
    services: AdminServices, code: str
) -> None:
    fail_a_run(services, CommandError(Event.of("cycle_nothing_to_discard")))
    handlers, session = AdminHandlers(services), DashboardSession(language=code)
    why = describe(Event.of("cycle_nothing_to_discard"), code)
    for view in ("overview", "cycles", "ratings"):
        status = handlers.go(session, {"view": view}, WHO).status
        assert why in status and 'role="alert"' in status and session.texts.failure_seen in status
    assert why not in handlers.failure_seen(session, {}, WHO).status
    assert why not in handlers.go(session, {"view": "overview"}, WHO).status


def test_a_cycle_that_ends_in_a_failure_is_not_announced_as_ended(
    services: AdminServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.actions.runner, "_command", lambda *arguments: printing("Traceback"))
    handlers, session = AdminHandlers(services), DashboardSession(view="cycles")
    handlers.run_cycle(session, {}, WHO)
    services.actions.runner._child.wait(20)  # type: ignore[union-attr]
    fail_a_run(services, CommandError("the disk is gone"))
    session.cycle_running = True
    status = handlers.tick(session, {}, WHO).status
    assert "The cycle has ended" not in status and not session.notice
    assert "the disk is gone" in status and 'role="alert"' in status


def test_an_unfinished_cycle_can_go_on_or_be_ended_after_a_question(
    services: AdminServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = services.home / "cycles" / "2" / "state.json"
    state = json.loads(path.read_text())
    del state["ended"]
    why = Event.of("reward_models_missing").content()
    state["failures"] = [{"at": "2026-11-29T02:00:00+00:00", "step": "decisions", "event": why}]
    path.write_text(json.dumps(state))
    handlers, session = AdminHandlers(services), DashboardSession(view="cycles")
    body = handlers.draw(session, WHO).body
    assert 'data-do="ask_discard_cycle" data-number="2"' in body and "there are no reward models" in body
    assert body.count('data-do="ask_discard_cycle"') == 1
    assert "End cycle 2" in handlers.ask_discard_cycle(session, {"number": "2"}, WHO).panel
    event = Event.of("cycle_discarded", number=2, why=Event.of("discarded_by_hand"))
    monkeypatch.setattr(services.actions.runner, "_command", lambda *arguments: printing(event.line()))
    handlers.discard_cycle(session, {}, WHO)
    assert session.notice == "cycle 2 was ended before its time: it was discarded by hand"
    assert services.actions.audit.last(1)[0]["what"] == "discard the cycle"


def test_only_versions_that_the_gate_promoted_over_the_released_one_are_candidates(
    services: AdminServices,
) -> None:
    assert [manifest.id for manifest in services.candidates()] == ["v6"]
    services.versions.release("v1")
    assert [manifest.id for manifest in services.candidates()] == ["v4"]


@pytest.mark.parametrize(("guard", "is_candidate"), [("not worse", True), ("unclear", False)])
def test_a_version_that_is_left_to_people_may_be_compared_live_and_a_release_still_warns(
    services: AdminServices, guard: str, is_candidate: bool
) -> None:
    path = services.home / "versions" / "v5" / "manifest.json"
    manifest = json.loads(path.read_text())
    reasons = [{"kind": "guard", "finding": guard}]
    manifest["gate"] |= {"verdict": "hold", "released": services.versions.released(), "reasons": reasons}
    path.write_text(json.dumps(manifest))
    handlers, session = AdminHandlers(services), DashboardSession(view="live_comparison")
    offered = 'value="v5"' in handlers.open(session, {}, WHO).body
    assert offered == is_candidate
    assert session.texts.release_warning in handlers.ask_release(session, {"version": "v5"}, WHO).panel


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_live_comparison_starts_only_after_a_question(services: AdminServices, language: str) -> None:
    handlers, session = AdminHandlers(services), DashboardSession(language=language, view="live_comparison")
    body = handlers.open(session, {}, WHO).body
    assert 'data-do="ask_start_live_comparison"' in body and 'min="1" max="99"' in body
    panel = handlers.ask_start_live_comparison(session, {"version": "v6", "share": "25"}, WHO).panel
    assert "v6" in panel and "25" in panel and "v4" in panel
    assert live_comparison.read(services.home) is None
    assert '<form data-do="start_live_comparison" data-version="v6" data-share="25">' in panel
    handlers.start_live_comparison(session, {"version": "v6", "share": "25"}, WHO)
    started = live_comparison.read(services.home)
    assert started is not None and (started.candidate, started.share) == ("v6", 0.25)


def test_replies_that_were_imported_are_rated_as_no_version(services: AdminServices) -> None:
    store = services.store
    for version in ("imported", "imported:openwebui:llama3"):
        reply = one_turn(store, rater="eve", version=version)
        store.rate(reply.id, "eve", 1)
    session = DashboardSession(view="ratings")
    assert "imported" not in AdminHandlers(services).open(session, {}, WHO).body
    assert "imported" not in ratings.thumbs(services, session)


async def test_two_versions_answer_and_stay_hidden_until_the_choice(services: AdminServices) -> None:
    handlers, session = AdminHandlers(services), DashboardSession(view="side_by_side")
    data = {"prompt": "which one?", "version_a": "v4", "version_b": "v6", "think": "on"}
    updates = [update async for update in handlers.ask(session, data, WHO)]
    html = updates[-1].answers
    assert "You said: which one? #2" in html and "v6" not in html and not session.side_by_side.writing
    assert {session.side_by_side.left.version, session.side_by_side.right.version} == {"v4", "v6"}  # type: ignore[union-attr]
    html = handlers.choose(session, {"choice": "left"}, WHO).answers
    assert "v6" in html and "v4" in html
    before = sum(count for *_, count in services.store.choices_between_versions())
    handlers.choose(session, {"choice": "right"}, WHO)  # once is enough
    assert sum(count for *_, count in services.store.choices_between_versions()) == before
    comparison = next(row[0] for row in services.store.comparisons() if row[0].rater == f"admin-{WHO}")
    assert (comparison.choice, comparison.blind, comparison.how) == ("left", True, "versions")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_two_versions_that_answer_the_same_are_not_to_be_chosen_between(
    services: AdminServices, language: str
) -> None:
    handlers, texts = AdminHandlers(services), LANGUAGES[language]
    session = DashboardSession(view="side_by_side", language=language)
    data = {"prompt": "347 + 285", "version_a": "v4", "version_b": "v6", "think": "on"}
    html = [update async for update in handlers.ask(session, data, WHO)][-1].answers
    assert texts.same_format.split("}")[-1] in html and texts.choices["left"] not in html
    handlers.choose(session, {"choice": "left"}, WHO)
    assert session.side_by_side.choice is None


@pytest.mark.parametrize(("prompt", "second"), [("", "v6"), ("Hello", "v4")])
async def test_an_empty_message_or_the_same_version_twice_is_refused(
    services: AdminServices, prompt: str, second: str
) -> None:
    session = DashboardSession(view="side_by_side")
    data = {"prompt": prompt, "version_a": "v4", "version_b": second}
    updates = [update async for update in AdminHandlers(services).ask(session, data, WHO)]
    assert len(updates) == 1 and session.notice and session.notice_is_error is (second == "v4")
    assert services.chat.requests == []  # type: ignore[attr-defined]


async def test_without_a_message_a_held_out_question_is_asked_that_is_open_between_the_two(
    services: AdminServices,
) -> None:
    (asked,) = held_out_texts(1)
    one_turn(services.store, text=asked)
    handlers, session = AdminHandlers(services), DashboardSession(view="side_by_side")
    data = {"prompt": "", "version_a": "v4", "version_b": "v6"}
    html = [update async for update in handlers.ask(session, data, WHO)][-1].answers
    assert f"You said: {asked}" in html
    # Asked once: whoever does not choose, as where both answers are the same, is not asked again.
    assert [update async for update in handlers.ask(session, data, WHO)]
    assert session.notice == session.texts.no_question_left and not session.notice_is_error


@pytest.mark.parametrize("language", LANGUAGES)
async def test_choices_are_counted_below_the_answers_and_offer_a_release_once_they_are_no_luck(
    services: AdminServices, language: str
) -> None:
    handlers, session = AdminHandlers(services), DashboardSession(view="side_by_side", language=language)
    texts = session.texts
    for number in range(8):
        data = {"prompt": f"which one? {number}", "version_a": "v5", "version_b": "v6", "think": "on"}
        assert [update async for update in handlers.ask(session, data, WHO)]
        left = session.side_by_side.left
        assert left is not None
        update = handlers.choose(session, {"choice": "left" if left.version == "v6" else "right"}, WHO)
        assert texts.next_question in update.answers
        undecided = texts.side_by_side_undecided[number < 6].format(count=7 - number)
        assert (undecided in update.answers) is (number < 7)
        assert undecided not in update.body
    counts = {"version": "v5", "other": "v6", "better": 0, "worse": 8, "neither": 0}
    assert texts.side_by_side_counts_format.format(**counts) in update.answers
    assert texts.side_by_side_decided_format.format(version="v6") in update.answers
    assert 'data-do="ask_release"' in update.answers and 'data-version="v6"' in update.answers
    # Where nothing is chosen yet, the form has the count.
    fresh = DashboardSession(view="side_by_side", language=language)
    fresh.side_by_side.version_a, fresh.side_by_side.version_b = "v5", "v6"
    assert texts.side_by_side_counts_format.format(**counts) in handlers.open(fresh, {}, WHO).body
    services.versions.release("v5", Event.of("released_by", who=WHO, why=""))
    panel = unescape(handlers.ask_release(session, {"version": "v6"}, WHO).panel)
    assert texts.chosen_over_format.format(released="v5", better=8, of=8) in panel
    assert texts.release_warning not in panel


async def test_two_answers_can_be_stopped(services: AdminServices) -> None:
    handlers, session = AdminHandlers(services), DashboardSession(view="side_by_side")
    stream = handlers.ask(session, {"prompt": "slow", "version_a": "v4", "version_b": "v6"}, WHO)
    async for _ in stream:
        if session.side_by_side.left and session.side_by_side.left.answer:
            break

    async def rest() -> None:
        async for _ in stream:
            pass

    ending = asyncio.ensure_future(rest())
    async for _ in handlers.stop(session, {}, WHO):
        pass
    await asyncio.wait_for(ending, 20)
    assert session.side_by_side.left is not None and session.side_by_side.left.finish_reason == "stopped"
    assert not session.side_by_side.writing
    html = handlers.choose(session, {"choice": "left"}, WHO).answers
    assert session.side_by_side.choice is None, "what nobody wrote to its end is not to be chosen between"
    assert session.texts.not_whole in html and session.texts.choices["left"] not in html


def test_an_error_is_shown_on_the_page(services: AdminServices) -> None:
    update = guarded(services, AdminHandlers(services).release)(
        DashboardSession(), *click(services, version="v99")
    )
    assert "There is no version 'v99'" in unescape(update.status)
    assert services.versions.released() == "v4"
