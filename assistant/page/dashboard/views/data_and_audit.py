"""Rows to take away, and who did what."""

from __future__ import annotations

from assistant.admin.services import Office
from assistant.page.dashboard.views.widgets import card, empty, moment, table
from assistant.page.i18n.dashboard_languages import DashboardWords
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views import icons
from assistant.page.views.markdown import plain

SHOWN = 200
FAILED = ": failed"


def view(office: Office, session: DashboardSession) -> str:
    """Export, the trail, and the history of releases."""
    words = session.words
    links = "".join(
        f'<a class="choice" href="admin/export/{name}" download>{icons.SAVE}{plain(label)}</a>'
        for name, label in words.exports.items()
    )
    export = card(words.export, f'<div class="row">{links}</div>', words.export_help)
    lines = office.control.audit.last(SHOWN)
    rows = [
        [
            plain(moment(words, one["at"])),
            plain(one["who"]),
            plain(_act(words, one["what"])),
            plain(one["detail"]),
        ]
        for one in lines
    ]
    listed = table(["", "", "", ""], rows) if rows else empty(words.no_trail)
    releases = [
        [
            plain(moment(words, str(one.get("at", "")))),
            plain(str(one.get("version", ""))),
            plain(str(one.get("why", ""))),
        ]
        for one in reversed(office.versions.history())
    ]
    return (
        export
        + card(words.trail, listed, words.trail_help, kind="trail")
        + card(words.history, table(["", "", ""], releases), kind="trail")
    )


def _act(words: DashboardWords, what: str) -> str:
    if what in words.acts:
        return words.acts[what]
    if what.endswith(FAILED):
        return words.acts["failed"].format(act=_act(words, what.removesuffix(FAILED)))
    return what
