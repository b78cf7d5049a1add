"""Dialogs that ask the admin before an action changes what is served."""

from __future__ import annotations

from markupsafe import Markup

from assistant.admin.services import AdminServices
from assistant.admin.version_choices import choices_between
from assistant.errors import VersionError
from assistant.events.event import Event
from assistant.page.i18n.dashboard_languages import DashboardTexts
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.templates import render


def release(services: AdminServices, session: DashboardSession, version: str) -> Markup:
    """Ask before a release, with a warning if nothing has decided for `version`: the gate, or choices side by side.

    These give the reason, too. Raises VersionError.
    """
    texts, manifest, released = (
        session.texts,
        services.versions.manifest(version),
        services.versions.released(),
    )
    gate = manifest.gate or {}
    promoted = (gate.get("verdict"), gate.get("released")) == ("promote", released)
    counts = choices_between(services.store, version, released) if released is not None else None
    why = ""
    if counts is not None and counts.is_sure and counts.better > counts.worse:
        why = texts.chosen_over_format.format(
            released=released, better=counts.better, of=counts.better + counts.worse
        )
    return _dialog(
        texts,
        texts.release_format.format(version=manifest.id),
        texts.release_help_format.format(version=manifest.id, released=released),
        action="release",
        label=texts.release,
        version=manifest.id,
        warning="" if promoted or why else texts.release_warning,
        with_reason=True,
        reason=why,
    )


def roll_back(services: AdminServices, session: DashboardSession) -> Markup:
    """Ask before the version that was released before is served again. Raises VersionError if there is none."""
    texts, before = session.texts, services.versions.released_before()
    if before is None:
        raise VersionError(Event.of("no_earlier_release"))
    return _dialog(
        texts,
        texts.roll_back,
        texts.roll_back_help_format.format(released=services.versions.released(), before=before),
        action="roll_back",
        kind="strong danger",
        with_reason=True,
    )


def discard_cycle(session: DashboardSession, number: str) -> Markup:
    """Ask before an unfinished cycle is ended."""
    texts = session.texts
    return _dialog(
        texts,
        texts.discard_format.format(number=number),
        texts.discard_help,
        action="discard_cycle",
        label=texts.discard,
        kind="strong danger",
    )


def start_live_comparison(
    services: AdminServices, session: DashboardSession, version: str, percent: str
) -> Markup:
    """Ask before `version` answers in this share of conversations. Raises VersionError."""
    texts, manifest = session.texts, services.versions.manifest(version)
    question = texts.start_live_comparison_format.format(
        version=manifest.id, share=percent, released=services.versions.released()
    )
    return _dialog(
        texts,
        texts.start_live_comparison,
        question,
        action="start_live_comparison",
        version=manifest.id,
        share=percent,
    )


def stop_live_comparison(session: DashboardSession) -> Markup:
    """Ask before the live comparison is stopped."""
    texts = session.texts
    return _dialog(
        texts,
        texts.stop_live_comparison,
        texts.stop_live_comparison_help,
        action="stop_live_comparison",
        kind="strong danger",
    )


def _dialog(
    texts: DashboardTexts,
    title: str,
    question: str,
    *,
    action: str,
    label: str = "",
    kind: str = "strong",
    version: str = "",
    share: str = "",
    warning: str = "",
    with_reason: bool = False,
    reason: str = "",
) -> Markup:
    """`label` of the button that acts is the title if left out; `with_reason` adds a field with `reason` in it."""
    return render(
        "dashboard/confirmation.html",
        texts=texts,
        title=title,
        question=question,
        action=action,
        label=label or title,
        kind=kind,
        version=version,
        share=share,
        warning=warning,
        with_reason=with_reason,
        reason=reason,
    )
