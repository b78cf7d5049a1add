"""The parts around every view: the bar on top, the notice with a running cycle's progress, and the sign-in form."""

from __future__ import annotations

from markupsafe import Markup

from assistant.admin.cycle_records import STEPS, Cycle
from assistant.admin.cycle_runner import Started
from assistant.admin.last_run import RunFailure
from assistant.auth.admins import Admins
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.page.dashboard.views.formatting import moment
from assistant.page.i18n.dashboard_languages import DashboardTexts
from assistant.page.i18n.languages import LANGUAGES
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.templates import render

LOG_LINES = 12
EXAMPLE_COMMAND = "THUMBTUNE_ADMIN_PASSWORD=… python app.py"


def head(session: DashboardSession, admin: str | None) -> Markup:
    """The bar: name, language, link to the chat; for an `admin` also the names of the views and a way to sign out."""
    return render(
        "dashboard/head.html",
        texts=session.texts,
        view=session.view,
        admin=admin,
        chat_texts=LANGUAGES[session.texts.code],
    )


def status(
    session: DashboardSession,
    running: Started | None,
    cycle: Cycle | None,
    log: list[Event],
    failure: RunFailure | None = None,
) -> Markup:
    """The notice, the last failure of a cycle, and the running one: its steps, the end of its log, and a button that
    cancels it.
    """
    return render(
        "dashboard/status.html",
        texts=session.texts,
        session=session,
        failure=describe(failure.event, session.language) if failure is not None else "",
        failed_at=moment(session.texts, failure.at) if failure is not None else "",
        started_by=running.who if running is not None else None,
        steps=STEPS,
        done=len(cycle.done) if cycle is not None and not cycle.ended else 0,
        log="\n".join(describe(event, session.language) for event in log[-LOG_LINES:]),
    )


def sign_in(texts: DashboardTexts, admins: Admins) -> Markup:
    """The sign-in form; where no admin is configured, how to configure one."""
    return render(
        "dashboard/sign_in.html",
        texts=texts,
        by_password=admins.by_password,
        by_name=admins.by_name,
        example_command=EXAMPLE_COMMAND,
    )
