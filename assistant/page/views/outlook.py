"""What the next version waits for, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.events.describe import describe

if TYPE_CHECKING:
    from assistant.admin.next_version import Outlook
    from assistant.page.i18n.languages import ChatTexts


def outlook_text(texts: ChatTexts, outlook: Outlook | None) -> str:
    """A short sentence; the general one where nothing is known."""
    if outlook is None:
        return texts.learns
    match outlook.holdup:
        case "votes":
            return texts.votes_until_format.format(votes=outlook.votes, needed=outlook.needed)
        case "rows":
            return texts.waits_format.format(votes=outlook.votes)
        case "training":
            return texts.in_training
        case "interrupted":
            return texts.interrupted
        case "comparison":
            return texts.in_comparison_format.format(version=outlook.candidate)
    return texts.votes_enough_format.format(votes=outlook.votes)


def obstacle_texts(texts: ChatTexts, outlook: Outlook | None) -> list[str]:
    """What each stage lacks, if no stage can learn from the new ratings."""
    if outlook is None:
        return []
    return [describe(why, texts.code) for why in outlook.obstacles.values()]
