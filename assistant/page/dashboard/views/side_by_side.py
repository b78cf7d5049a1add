"""Two versions answer one message side by side; which is which stays hidden until the admin has chosen.

The choices are counted: after enough of them it is sure which version the admin prefers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from assistant.admin.services import AdminServices
from assistant.admin.version_choices import choices_between
from assistant.page.i18n.dashboard_languages import DashboardTexts
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.markdown import markdown
from assistant.page.views.templates import render

if TYPE_CHECKING:
    from assistant.chat.reply_stream import Update


@dataclass(frozen=True)
class Side:
    """One of the two answers as it is shown."""

    name: str
    title: str
    chosen: bool
    waiting: bool
    """No word has come yet."""
    thought: str = ""
    thinking: bool = False
    answer: Markup | None = None
    ended: bool = False
    cut: bool = False
    """It ends at the longest that an answer may be."""


def form(services: AdminServices, session: DashboardSession) -> Markup:
    """The message and the two versions to ask; below, what was chosen between these two so far."""
    comparison, card = session.side_by_side, services.chat.card
    versions = [manifest.id for manifest in reversed(services.versions.servable())]
    version_a, version_b = comparison.version_a, comparison.version_b
    if version_a not in versions:
        version_a = services.versions.released() or next(iter(versions), "")
    if version_b not in versions:
        version_b = next((version for version in versions if version != version_a), "")
    return render(
        "dashboard/side_by_side_form.html",
        texts=session.texts,
        examples=card.texts[session.texts.code].examples,
        can_think=card.thinking != "none",
        versions=versions,
        version_a=version_a,
        version_b=version_b,
        prompt=comparison.prompt,
        think=card.thinking == "native" if comparison.think is None else comparison.think,
        counts=None
        if comparison.choice is not None
        else choice_counts(services, session.texts, version_a, version_b),
    )


@dataclass(frozen=True)
class Counts:
    """What was chosen between two versions so far, in words."""

    text: str
    finding: str
    preferred: str | None
    """The version that is surely preferred, if it can be released."""


def choice_counts(services: AdminServices, texts: DashboardTexts, version: str, other: str) -> Counts | None:
    """What was chosen between two versions so far; None without a choice."""
    if not (version and other):
        return None
    counts = choices_between(services.store, version, other)
    better, worse, neither = counts.better, counts.worse, counts.neither
    if not better + worse + neither:
        return None
    text = texts.side_by_side_counts_format.format(
        version=version, other=other, better=better, worse=worse, neither=neither
    )
    if not counts.is_sure:
        return Counts(
            text, texts.side_by_side_undecided[counts.missing > 1].format(count=counts.missing), None
        )
    preferred = version if better > worse else other
    finding = texts.side_by_side_decided_format.format(version=preferred)
    return Counts(text, finding, preferred if preferred != services.versions.released() else None)


def answers(services: AdminServices, session: DashboardSession) -> Markup:
    """Both answers as far as they are written; then the question which is better; then the names of the versions.

    And what was chosen between them so far, where the eyes are after a choice.
    """
    texts, comparison = session.texts, session.side_by_side
    if comparison.left is None and not comparison.writing:
        return Markup()
    result = None
    names = {
        "left": comparison.left.version if comparison.left else "",
        "right": comparison.right.version if comparison.right else "",
    }
    if comparison.choice is not None:
        result = texts.chosen_format.format(choice=texts.choices[comparison.choice], **names)
    elif comparison.is_same:
        result = texts.same_format.format(**names)
    elif not comparison.is_whole:
        result = texts.not_whole
    return render(
        "dashboard/side_by_side_answers.html",
        texts=texts,
        comparison=comparison,
        writing=comparison.writing,
        sides=[_side(session, "left", comparison.left), _side(session, "right", comparison.right)],
        result=result,
        counts=None
        if comparison.choice is None
        else choice_counts(services, texts, comparison.version_a, comparison.version_b),
    )


def _side(session: DashboardSession, name: str, update: Update | None) -> Side:
    texts, choice = session.texts, session.side_by_side.choice
    title = texts.left if name == "left" else texts.right
    if update is None:
        return Side(name, title, choice == name, waiting=True)
    ended = bool(update.finish_reason)
    return Side(
        name,
        title if choice is None else f"{title} · {update.version}",
        choice == name,
        waiting=not (update.answer or update.thought or ended),
        thought=update.thought or "",
        thinking=update.thinking,
        answer=markdown(update.answer),
        ended=ended,
        cut=update.finish_reason == "length",
    )
