"""Values for the pieces of HTML that several templates of the chat page share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assistant.chat.library import ConversationTurn
    from assistant.chat.reply_stream import Update
    from assistant.page.i18n.languages import ChatTexts
    from assistant.page.session.chat_session import ChatSession


@dataclass(frozen=True)
class SiblingArrows:
    """The arrows that lead from one message to its siblings, for `sibling_arrows` in `chat/components.html`."""

    label: str
    number: int
    total: int
    earlier: str  # the id of the sibling before this message, "" for the first
    later: str  # the id of the sibling after this message, "" for the last
    can_go_back: bool
    can_go_on: bool


def sibling_arrows(session: ChatSession, turn: ConversationTurn) -> SiblingArrows | None:
    """The arrows of a message, or None if it has no siblings."""
    siblings = turn.siblings
    if len(siblings) < 2 or turn.id not in siblings:
        return None
    position, last = siblings.index(turn.id), len(siblings) - 1
    return SiblingArrows(
        label=session.texts.branch_format.format(number=position + 1, total=len(siblings)),
        number=position + 1,
        total=len(siblings),
        earlier=siblings[position - 1] if position else "",
        later=siblings[position + 1] if position < last else "",
        can_go_back=position > 0,
        can_go_on=position < last,
    )


@dataclass(frozen=True)
class Thought:
    """The thought before an answer, for `thought_details` in `chat/components.html`."""

    reply_id: str
    title: str
    text: str
    open: bool


def thought(
    texts: ChatTexts, reply_id: str, text: str, seconds: float | None, is_open: bool
) -> Thought | None:
    """A thought that took this many seconds, still being written if `is_open`; None if there is none."""
    if not text and not is_open:
        return None
    if is_open:
        title = texts.thinking
    elif seconds is None:
        title = texts.thought
    else:
        title = texts.thought_for_format.format(seconds=f"{seconds:.1f}")
    return Thought(reply_id, title, text.strip(), is_open)


def is_unbegun(update: Update | None) -> bool:
    """Whether no word of a reply has come yet: it waits, or the model reads the prompt."""
    return update is None or not (update.completion_tokens or update.thought or update.answer)


def waiting_text(texts: ChatTexts, update: Update | None) -> str:
    """What is done until the first word: the place in the queue, or how much the model reads; "" before it is known."""
    if update is None:
        return ""
    if update.waiting:
        return texts.queue_format.format(place=update.waiting)
    return texts.reading_format.format(tokens=f"{update.prompt_tokens:,}") if update.prompt_tokens else ""
