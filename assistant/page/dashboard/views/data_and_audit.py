"""Links that export training rows, the audit trail, and the history of releases."""

from __future__ import annotations

from markupsafe import Markup

from assistant.admin.services import AdminServices
from assistant.events.describe import describe_stored
from assistant.page.dashboard.views.formatting import moment
from assistant.page.i18n.dashboard_languages import DashboardTexts
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.templates import render

SHOWN = 200
"""Entries of the audit trail, the newest."""
FAILED = ": failed"
"""Ends the name of an action in the trail that was tried and failed."""


def view(services: AdminServices, session: DashboardSession) -> Markup:
    """Export links, audit trail and releases, the newest entries first."""
    texts = session.texts
    entries = [
        [moment(texts, entry["at"]), entry["who"], _action_name(texts, entry["what"]), entry["detail"]]
        for entry in services.actions.audit.last(SHOWN)
    ]
    releases = [
        [
            moment(texts, str(release.get("at", ""))),
            str(release.get("version", "")),
            describe_stored(release, "why", texts.code),
        ]
        for release in reversed(services.versions.history())
    ]
    return render("dashboard/data_and_audit.html", texts=texts, entries=entries, releases=releases)


def _action_name(texts: DashboardTexts, action: str) -> str:
    if action in texts.actions:
        return texts.actions[action]
    if action.endswith(FAILED):
        return texts.actions["failed"].format(act=_action_name(texts, action.removesuffix(FAILED)))
    return action
