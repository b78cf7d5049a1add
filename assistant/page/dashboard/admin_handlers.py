"""What happens on each click of an admin: named functions between the page's events and the levers.

`page.py` calls them for admins alone, with who it is. Each takes the tab's session, changes it, and returns a `Screen`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from assistant.admin import cycle_records
from assistant.admin.services import Office
from assistant.errors import AssistantError
from assistant.page.dashboard.views import (
    cycles,
    data_and_audit,
    live_comparisons,
    overview,
    ratings,
    side_by_side,
    version_list,
)
from assistant.page.dashboard.views.layout import head, live
from assistant.page.i18n.dashboard_languages import LANGUAGES, said, told
from assistant.page.session.dashboard_session import DashboardSession, Duel, Screen
from feedback_store import StoreError

ERRORS = (AssistantError, StoreError, OSError)
VIEWS = {
    "overview": overview.view,
    "versions": version_list.view,
    "people": ratings.view,
    "cycles": cycles.view,
    "trial": live_comparisons.view,
    "duel": side_by_side.form,
    "trail": data_and_audit.view,
}
CHOICES = ("left", "right", "both_good", "both_bad")

Given = dict[str, Any]
"""What the browser sent with the event."""


class Acts:
    """Handlers of the dashboard."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def whole(self, session: DashboardSession, who: str, panel: str = "") -> Screen:
        """Everything drawn again."""
        try:
            body = VIEWS[session.view](self.office, session)
        except ERRORS as error:
            session.say(told(session.words, error), error=True)
            body = ""
        shown = side_by_side.answers(session) if session.view == "duel" else ""
        return Screen(head(session, who), self._live(session), body, shown, panel)

    def _live(self, session: DashboardSession) -> str:
        loop = self.office.control.loop
        running = loop.running()
        found = cycle_records.cycles(self.office.home) if running is not None else []
        session.working, session.drawn = running is not None, session.drawn + 1
        return live(session, running, found[0] if found else None, loop.said())

    def open(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """The page was loaded, with the view and the language that the browser kept."""
        if given.get("view") in VIEWS:
            session.view = str(given["view"])
        return self.whole(session, who)

    def go(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Another view."""
        session.say("")
        session.plan = []
        return self.open(session, given, who)

    def language(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Switch between the page's two languages."""
        codes = list(LANGUAGES)
        session.language = codes[(codes.index(session.language) + 1) % len(codes)]
        session.say("")  # it was said in the other one
        return self.whole(session, who)

    def tick(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Time has passed while a cycle is at work."""
        worked = session.working
        drawn = self._live(session)
        if worked and not session.working:
            log, words = self.office.control.loop.said(), session.words
            session.say(words.cycle_ended_format.format(last=said(words, log[-1]) if log else ""))
            return self.whole(session, who)
        return Screen(live=drawn)

    def close(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Close the panel."""
        return Screen(panel="")

    # Versions

    def open_version(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Show all about a version."""
        return Screen(panel=version_list.panel(self.office, session, str(given.get("version"))))

    def ask_release(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Ask before a release."""
        return Screen(panel=version_list.ask_release(self.office, session, str(given.get("version"))))

    def release(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Serve a version."""
        version = str(given.get("version"))
        self.office.control.release(who, version, _line(given.get("why")))
        session.say(session.words.released_now_format.format(version=version))
        return self.whole(session, who)

    def ask_roll_back(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Ask before a way back."""
        return Screen(panel=version_list.ask_roll_back(self.office, session))

    def roll_back(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Serve what was served before."""
        version = self.office.control.roll_back(who, _line(given.get("why")))
        session.say(session.words.rolled_back_format.format(version=version))
        return self.whole(session, who)

    def choose_candidate(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """To the live comparison, with this version."""
        session.candidate, session.view = str(given.get("version")), "trial"
        return self.whole(session, who)

    def choose_rival(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """To two answers, with this version beside the released one."""
        session.view = "duel"
        session.duel = Duel(first=self.office.versions.released() or "", second=str(given.get("version")))
        return self.whole(session, who)

    # Cycles

    def run_cycle(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Start a cycle."""
        self.office.control.begin_cycle(who)
        session.plan = []
        session.say(session.words.cycle_began)
        return self.whole(session, who)

    def cancel_cycle(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """End the cycle at work."""
        ended = self.office.control.cancel_cycle(who)
        session.say(session.words.cycle_cancelled if ended else session.words.nothing_to_cancel)
        return self.whole(session, who)

    def plan(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Say what a cycle would do."""
        session.plan = self.office.control.loop.plan()
        return self.whole(session, who)

    # The live comparison

    def start_trial(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Let a version serve a share of conversations."""
        try:
            share = float(given.get("share", "")) / 100
        except (TypeError, ValueError):
            share = 0.0
        started = self.office.control.start_trial(who, str(given.get("version")), share)
        session.say(said(session.words, started))
        return self.whole(session, who)

    def ask_stop_trial(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Ask before the end of a live comparison."""
        return Screen(panel=live_comparisons.ask_stop(session))

    def stop_trial(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """End the live comparison."""
        session.say(said(session.words, self.office.control.stop_trial(who)))
        return self.whole(session, who)

    # Two answers

    def example(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Put an example into the form."""
        session.duel.prompt = str(given.get("text", ""))
        return Screen(body=side_by_side.form(self.office, session))

    async def ask(self, session: DashboardSession, given: Given, who: str) -> AsyncGenerator[Screen, None]:
        """Let two versions answer, streamed."""
        words = session.words
        prompt = str(given.get("prompt", "")).strip()
        first, second = str(given.get("first")), str(given.get("second"))
        await self._end_duel(session)
        if not prompt or first == second:
            session.say(words.same_version if prompt else words.empty_prompt, error=True)
            yield Screen(live=self._live(session))
            return
        session.say("")
        mine = session.run
        session.duel = Duel(prompt, first, second, bool(given.get("think")), writing=True)
        yield Screen(live=self._live(session), duel=side_by_side.answers(session))
        try:
            pairs = self.office.chat.compare(
                prompt,
                how="versions",
                think=session.duel.think,
                rater=_rater(who),
                version=first,
                other=second,
            )
            async with aclosing(pairs) as shown:
                async for left, right in shown:
                    if session.run != mine:
                        return
                    session.duel.left, session.duel.right = left, right
                    yield Screen(duel=side_by_side.answers(session))
        finally:
            if session.run == mine:
                session.duel.writing = False
        yield Screen(duel=side_by_side.answers(session))

    async def stop(self, session: DashboardSession, given: Given, who: str) -> AsyncGenerator[Screen, None]:
        """End both answers; what there is of them stays."""
        for update in (session.duel.left, session.duel.right):
            if update is not None:
                await self.office.chat.in_progress.stop(update.reply_id)
        yield Screen()

    async def _end_duel(self, session: DashboardSession) -> None:
        session.run += 1
        for update in (session.duel.left, session.duel.right):
            if update is not None and session.duel.writing:
                await self.office.chat.in_progress.stop(update.reply_id)

    def choose(self, session: DashboardSession, given: Given, who: str) -> Screen:
        """Keep which answer is better, then say which was which."""
        duel, choice = session.duel, given.get("choice")
        if duel.left is None or duel.right is None or duel.writing or duel.choice or choice not in CHOICES:
            return Screen(duel=side_by_side.answers(session))
        self.office.chat.library.choose(
            duel.left.reply_id, duel.right.reply_id, choice, "versions", _rater(who)
        )
        duel.choice = choice
        return Screen(duel=side_by_side.answers(session))


def _line(text: object) -> str:
    """What was typed into a field, on one line."""
    return " ".join(str(text or "").split())[:300]


def _rater(who: str) -> str:
    """An admin's pseudonym among the raters: apart from people's, the same each time."""
    return f"admin-{who}"
