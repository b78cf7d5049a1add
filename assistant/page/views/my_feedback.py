"""The panel in which people see what they said of replies and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from assistant.admin.fix_states import CorrectedAnswer
from assistant.page.views.outlook import obstacle_texts, outlook_text
from assistant.page.views.templates import render
from feedback_store import GivenFeedback

if TYPE_CHECKING:
    from assistant.admin.fix_states import FixState
    from assistant.admin.next_version import Outlook
    from assistant.page.i18n.languages import ChatTexts

SHORT = 160
"""Characters of a message or an answer that are shown."""
TONES = {"right": "up", "still right": "up", "lost": "down"}


def my_feedback(
    texts: ChatTexts,
    given: Sequence[GivenFeedback],
    consents: bool,
    released: str,
    outlook: Outlook | None = None,
    states: Mapping[CorrectedAnswer, FixState] | None = None,
) -> Markup:
    """Every standing thumb and correction with the versions that learned from it; `released` answers now.

    `outlook`: what the next version waits for, if that is known. `states`: what the released version makes of
    corrections; None where no cycle could have asked it.
    """
    learned = sum(bool(one.learned_by) for one in given)
    return render(
        "chat/my_feedback.html",
        texts=texts,
        consents=consents,
        outlook=outlook_text(texts, outlook) if outlook else "",
        obstacles=obstacle_texts(texts, outlook),
        summary=texts.my_feedback_format.format(count=len(given), learned=learned)
        if given
        else texts.no_feedback,
        items=[
            {
                "turn": one.reply_id,
                "kind": "up" if one.value > 0 else "down" if one.value < 0 else "correction",
                "asked": _short(one.asked),
                "text": _short(one.correction or one.answer),
                "became": _became(texts, one, released),
                "probe": None if one.value or states is None else _probe(texts, one, released, states),
            }
            for one in given
        ],
    )


def _became(texts: ChatTexts, one: GivenFeedback, released: str) -> str:
    if not one.learned_by:
        return texts.not_learned_yet
    text = texts.learned_by_format.format(versions=", ".join(one.learned_by))
    return f"{text} {texts.answers_now}" if released in one.learned_by else text


def _probe(
    texts: ChatTexts,
    one: GivenFeedback,
    released: str,
    states: Mapping[CorrectedAnswer, FixState],
) -> dict[str, str]:
    """Whether a correction holds in the released version, and what that answers where it does not."""
    found = states.get(CorrectedAnswer(one.asked, one.correction, one.answer))
    state = found.state if found else "not asked"
    is_wrong = found is not None and state in ("lost", "wrong")
    return {
        "text": texts.fix_states[state].format(version=released),
        "tone": TONES.get(state, ""),
        "answer": (_short(found.answer) or texts.no_answer) if found and is_wrong else "",
    }


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHORT else f"{text[: SHORT - 1].rstrip()}…"
