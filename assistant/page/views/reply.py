"""Replies as HTML: one being written, one finished, or two side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from assistant.page.i18n.languages import ChatTexts
from assistant.page.views.components import is_unbegun, sibling_arrows, thought, waiting_text
from assistant.page.views.markdown import difference, markdown
from assistant.page.views.templates import render, render_cached

if TYPE_CHECKING:
    from assistant.chat.library import ConversationTurn
    from assistant.chat.reply_stream import Update
    from assistant.page.session.chat_session import AnswerPair, ChatSession


def live_reply(texts: ChatTexts, update: Update | None, is_followed: bool = True) -> Markup:
    """The reply being written; None before its first update. `is_followed`: whether a handler shows it already."""
    if update is None or update.waiting or (is_unbegun(update) and update.finish_reason is None):
        doing = waiting_text(texts, update)
        return render(
            "chat/live_reply.html", texts=texts, is_waiting=True, doing=doing, is_followed=is_followed
        )
    return render(
        "chat/live_reply.html",
        texts=texts,
        is_waiting=False,
        is_followed=is_followed,
        thought=thought(texts, update.reply_id, update.thought, update.thought_seconds, update.thinking),
        is_writing=not update.thinking,
        answer=markdown(update.answer, texts.copy_code, is_growing=True),
        version=update.version,
    )


def reply(session: ChatSession, turn: ConversationTurn, is_last: bool) -> Markup:
    """A finished reply with its buttons; the last one of a conversation can be taken back or written again."""
    texts = session.texts
    has_remark = session.remark is not None and session.remark[0] == turn.id
    return render_cached(
        "chat/reply.html",
        texts=texts,
        turn=turn,
        thought=thought(texts, turn.id, turn.thought or "", turn.thought_seconds, False),
        answer=_answer(texts, turn.content),
        caption=_caption(texts, turn),
        siblings=sibling_arrows(session, turn),
        can_retry=is_last and not session.busy,
        can_think=session.thinking != "none",
        remark=session.remark[1] if has_remark and session.remark else "",
        correction_form=session.correcting == turn.id,
        difference=difference(texts, turn.content, turn.correction) if turn.correction is not None else "",
        feedback_form=session.rating == turn.id and turn.rating != 0,
    )


def reply_pair(session: ChatSession, pair: AnswerPair) -> Markup:
    """Two replies side by side. Their thoughts are not shown: they would say which reply is which."""
    return render(
        "chat/reply_pair.html",
        texts=session.texts,
        sides=[_side(session.texts, pair, "left"), _side(session.texts, pair, "right")],
        is_busy=session.busy,
        is_followed=session.follows,
        choice=pair.choice,
    )


@dataclass(frozen=True)
class _Side:
    label: str
    answer: Markup
    is_finished: bool
    is_chosen: bool
    doing: str
    caption: str


def _side(texts: ChatTexts, pair: AnswerPair, side: str) -> _Side:
    update = pair.left if side == "left" else pair.right
    caption = ""
    if pair.choice is not None and update is not None:
        thinking = texts.with_thinking if side in pair.thinking else texts.without_thinking
        caption = f"{update.version} · {thinking}"
    return _Side(
        label=texts.left if side == "left" else texts.right,
        answer=_answer(texts, update.answer if update is not None else ""),
        is_finished=update is not None and update.finish_reason is not None,
        is_chosen=pair.choice in (side, "both_good"),
        doing=waiting_text(texts, update) if is_unbegun(update) else "",
        caption=caption,
    )


def _answer(texts: ChatTexts, text: str) -> Markup:
    return markdown(text, texts.copy_code) if text.strip() else Markup()


def _caption(texts: ChatTexts, turn: ConversationTurn) -> str:
    """The version that wrote the reply, and why it ended early or read less than the whole conversation."""
    dropped = texts.dropped_format.format(count=turn.dropped) if turn.dropped else ""
    parts = [turn.version or "", texts.finish_reasons.get(turn.finish_reason or "", ""), dropped]
    return " · ".join(part for part in parts if part)
