"""Handlers of the dashboard: one named method for each event of the page.

`dashboard_page.py` calls them for signed-in admins only, with the admin's name. Each takes the tab's session, changes
it, and returns a `DashboardUpdate`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from markupsafe import Markup

from assistant.admin import cycle_records, last_run
from assistant.admin.services import AdminServices
from assistant.admin.version_choices import next_question
from assistant.errors import AssistantError
from assistant.events.describe import describe
from assistant.page.dashboard.views import (
    confirmations,
    cycles,
    data_and_audit,
    live_comparisons,
    overview,
    ratings,
    side_by_side,
    version_list,
    version_panel,
)
from assistant.page.dashboard.views.layout import head, status
from assistant.page.i18n.dashboard_languages import LANGUAGES, error_text
from assistant.page.session.dashboard_session import DashboardSession, DashboardUpdate, SideBySide
from feedback_store import StoreError
from feedback_store.records import CHOICES

ERRORS = (AssistantError, StoreError, OSError)
VIEWS = {
    "overview": overview.view,
    "versions": version_list.view,
    "ratings": ratings.view,
    "cycles": cycles.view,
    "live_comparison": live_comparisons.view,
    "side_by_side": side_by_side.form,
    "audit": data_and_audit.view,
}

EventData = dict[str, Any]
"""What the browser sent with the event: anything, from anybody."""


class AdminHandlers:
    """Handlers of the dashboard's events."""

    def __init__(self, services: AdminServices) -> None:
        self.services = services

    def draw(self, session: DashboardSession, admin: str, panel: str = "") -> DashboardUpdate:
        """Draw the whole page again."""
        try:
            body = VIEWS[session.view](self.services, session)
        except ERRORS as error:
            session.notify(error_text(session.texts, error), error=True)
            body = Markup()
        answers = side_by_side.answers(self.services, session) if session.view == "side_by_side" else ""
        return DashboardUpdate(head(session, admin), self._status(session), body, answers, panel)

    def _status(self, session: DashboardSession) -> str:
        runner = self.services.actions.runner
        running = runner.running()
        started = cycle_records.cycles(self.services.home) if running is not None else []
        session.cycle_running, session.drawn = running is not None, session.drawn + 1
        failure = last_run.failure(self.services.home) if running is None else None
        return status(session, running, started[0] if started else None, runner.log(), failure)

    def open(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Draw the page after it was loaded, with the view that the browser remembers."""
        if data.get("view") in VIEWS:
            session.view = str(data["view"])
        return self.draw(session, admin)

    def go(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Show another view."""
        session.notify("")
        session.plan = []
        return self.open(session, data, admin)

    def language(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Switch to the next language."""
        codes = list(LANGUAGES)
        session.language = codes[(codes.index(session.language) + 1) % len(codes)]
        session.notify("")  # It is in the language before.
        return self.draw(session, admin)

    def tick(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Draw the progress of a running cycle; once it has ended, the whole page."""
        was_running = session.cycle_running
        progress = self._status(session)
        if was_running and not session.cycle_running:
            # A failure is on the page by itself, and stays.
            session.notify("")
            if last_run.failure(self.services.home) is not None:
                return self.draw(session, admin)
            texts, log = session.texts, self.services.actions.runner.log()
            # Libraries may write lines after the last event.
            last = next((event for event in reversed(log) if event.code != "text"), None)
            text = describe(last, texts.code) if last is not None else ""
            session.notify(texts.cycle_ended_format.format(last=text))
            return self.draw(session, admin)
        return DashboardUpdate(status=progress)

    def close(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Close the panel."""
        return DashboardUpdate(panel="")

    # Versions

    def open_version(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Open the panel about a version."""
        return DashboardUpdate(panel=version_panel.panel(self.services, session, str(data.get("version"))))

    def ask_release(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Ask before a release."""
        return DashboardUpdate(panel=confirmations.release(self.services, session, str(data.get("version"))))

    def release(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Release a version."""
        version = str(data.get("version"))
        self.services.actions.release(admin, version, _line(data.get("why")))
        session.notify(session.texts.released_now_format.format(version=version))
        return self.draw(session, admin)

    def ask_roll_back(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Ask before a rollback."""
        return DashboardUpdate(panel=confirmations.roll_back(self.services, session))

    def roll_back(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Release the version again that was released before."""
        version = self.services.actions.roll_back(admin, _line(data.get("why")))
        session.notify(session.texts.rolled_back_format.format(version=version))
        return self.draw(session, admin)

    def choose_candidate(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Show the form for a live comparison with this version."""
        session.candidate, session.view = str(data.get("version")), "live_comparison"
        return self.draw(session, admin)

    def choose_side_by_side(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Show the side-by-side form with this version and the released one."""
        session.view = "side_by_side"
        session.side_by_side = SideBySide(
            version_a=self.services.versions.released() or "", version_b=str(data.get("version"))
        )
        return self.draw(session, admin)

    # Cycles

    def run_cycle(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Start a cycle."""
        self.services.actions.begin_cycle(admin)
        session.plan = []
        session.notify(session.texts.cycle_started)
        return self.draw(session, admin)

    def cancel_cycle(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Cancel the running cycle."""
        cancelled = self.services.actions.cancel_cycle(admin)
        session.notify(session.texts.cycle_cancelled if cancelled else session.texts.nothing_to_cancel)
        return self.draw(session, admin)

    def ask_discard_cycle(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Ask before an unfinished cycle is ended."""
        return DashboardUpdate(panel=confirmations.discard_cycle(session, str(data.get("number", ""))))

    def discard_cycle(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """End the unfinished cycle."""
        session.notify(describe(self.services.actions.discard_cycle(admin), session.language))
        return self.draw(session, admin)

    def failure_seen(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Show the last failure of a cycle no more."""
        last_run.mark_seen(self.services.home)
        return self.draw(session, admin)

    def plan(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Show what a cycle would do."""
        session.plan = self.services.actions.runner.plan()
        return self.draw(session, admin)

    # Live comparison

    def ask_start_live_comparison(
        self, session: DashboardSession, data: EventData, admin: str
    ) -> DashboardUpdate:
        """Ask before a candidate serves a share of conversations."""
        version, share = str(data.get("version")), str(data.get("share", ""))[:8]
        return DashboardUpdate(
            panel=confirmations.start_live_comparison(self.services, session, version, share)
        )

    def start_live_comparison(
        self, session: DashboardSession, data: EventData, admin: str
    ) -> DashboardUpdate:
        """Let a candidate serve a share of conversations."""
        try:
            share = float(data.get("share", "")) / 100
        except (TypeError, ValueError):
            share = 0.0
        started = self.services.actions.start_trial(admin, str(data.get("version")), share)
        session.notify(describe(started, session.language))
        return self.draw(session, admin)

    def ask_stop_live_comparison(
        self, session: DashboardSession, data: EventData, admin: str
    ) -> DashboardUpdate:
        """Ask before the live comparison is stopped."""
        return DashboardUpdate(panel=confirmations.stop_live_comparison(session))

    def stop_live_comparison(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Stop the live comparison."""
        ended = self.services.actions.stop_trial(admin)
        session.notify(describe(ended, session.language))
        return self.draw(session, admin)

    # Side by side

    def example(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Put an example message into the form."""
        session.side_by_side.prompt = str(data.get("text", ""))
        return DashboardUpdate(body=side_by_side.form(self.services, session))

    async def ask(
        self, session: DashboardSession, data: EventData, admin: str
    ) -> AsyncGenerator[DashboardUpdate, None]:
        """Let two versions answer one message, streamed; without one, a held-out question that is open between them."""
        texts = session.texts
        prompt = str(data.get("prompt", "")).strip()
        version_a, version_b = str(data.get("version_a")), str(data.get("version_b"))
        await self._end_side_by_side(session)
        if version_a == version_b:
            session.notify(texts.same_version, error=True)
            yield DashboardUpdate(status=self._status(session))
            return
        if not prompt:
            question = await asyncio.to_thread(
                next_question, self.services.store, version_a, version_b, _rater(admin), session.asked
            )
            if question is None:
                session.notify(texts.no_question_left)
                yield DashboardUpdate(status=self._status(session))
                return
            session.asked.add(question)
            prompt = question
        session.notify("")
        run = session.run
        think = bool(data.get("think"))
        session.side_by_side = SideBySide(prompt, version_a, version_b, think, writing=True)
        yield DashboardUpdate(
            status=self._status(session), answers=side_by_side.answers(self.services, session)
        )
        try:
            pairs = self.services.chat.compare(
                prompt,
                how="versions",
                think=think,
                rater=_rater(admin),
                version=version_a,
                other=version_b,
            )
            async with aclosing(pairs) as updates:
                async for left, right in updates:
                    if session.run != run:
                        return
                    session.side_by_side.left, session.side_by_side.right = left, right
                    yield DashboardUpdate(answers=side_by_side.answers(self.services, session))
        finally:
            if session.run == run:
                session.side_by_side.writing = False
        yield DashboardUpdate(answers=side_by_side.answers(self.services, session))

    async def stop(
        self, session: DashboardSession, data: EventData, admin: str
    ) -> AsyncGenerator[DashboardUpdate, None]:
        """Stop both answers; what is written of them stays."""
        for update in (session.side_by_side.left, session.side_by_side.right):
            if update is not None:
                await self.services.chat.in_progress.stop(update.reply_id)
        yield DashboardUpdate()

    async def _end_side_by_side(self, session: DashboardSession) -> None:
        session.run += 1
        for update in (session.side_by_side.left, session.side_by_side.right):
            if update is not None and session.side_by_side.writing:
                await self.services.chat.in_progress.stop(update.reply_id)

    def choose(self, session: DashboardSession, data: EventData, admin: str) -> DashboardUpdate:
        """Store which answer is better, once, and show which version wrote which, with all choices counted."""
        comparison, choice = session.side_by_side, data.get("choice")
        left, right = comparison.left, comparison.right
        is_open = comparison.is_whole and comparison.choice is None and not comparison.is_same
        if left is not None and right is not None and is_open and choice in CHOICES:
            self.services.chat.library.choose(
                left.reply_id, right.reply_id, choice, "versions", _rater(admin)
            )
            comparison.choice = choice
        return DashboardUpdate(
            body=side_by_side.form(self.services, session),
            answers=side_by_side.answers(self.services, session),
        )


def _line(text: object) -> str:
    """What was typed into a field, on one line of at most 300 characters."""
    return " ".join(str(text or "").split())[:300]


def _rater(admin: str) -> str:
    """An admin's pseudonym as a rater: the same each time, and never that of a person on the chat page."""
    return f"admin-{admin}"
