"""What the dashboard does on an admin's click."""

from __future__ import annotations

import asyncio
import sys

import pytest
from helpers.fake_dashboard import WHO, click

from assistant.admin import cycle_runner
from assistant.errors import LoopError
from assistant.page.dashboard import Office
from assistant.page.dashboard.admin_handlers import Acts
from assistant.page.dashboard.dashboard_page import guarded
from assistant.page.i18n.dashboard_languages import LANGUAGES
from assistant.page.session.dashboard_session import DashboardSession


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
    monkeypatch.setattr(cycle_runner, "NEEDED", ("not_installed_here",))
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


def test_what_goes_wrong_is_told_on_the_page(office: Office) -> None:
    screen = guarded(office, Acts(office).release)(DashboardSession(), *click(office, version="v99"))
    assert "There is no version &#x27;v99&#x27;" in screen.live
    assert office.versions.released() == "v4"
