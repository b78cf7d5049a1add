"""Header, conversation and message box of the chat page as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from assistant.page.i18n.languages import ChatTexts
from assistant.page.views.components import sibling_arrows
from assistant.page.views.outlook import outlook_text
from assistant.page.views.reply import live_reply, reply, reply_pair
from assistant.page.views.templates import render, render_cached

if TYPE_CHECKING:
    from assistant.admin.next_version import Outlook
    from assistant.bases.model_card import ModelCard
    from assistant.chat.library import ConversationTurn
    from assistant.page.session.chat_session import ChatSession


def header(texts: ChatTexts, version: str, about: str) -> Markup:
    """The bar at the top: conversations, name, released version, language, settings, new conversation."""
    title = f"{texts.version_format.format(version=version)} · {about}"
    return render("chat/header.html", texts=texts, version=version, title=title)


def welcome(texts: ChatTexts, card: ModelCard, about: str) -> Markup:
    """What an empty conversation shows: what the model is good at, and examples to try."""
    return render("chat/welcome.html", texts=texts, card=card.texts[texts.code], about=about)


def conversation(session: ChatSession, opening: str = "") -> list[str]:
    """The conversation as a list of blocks, one element each, so that an event changes few of them.

    They do not depend on whether a reply is being written: the style sheet hides what cannot be done meanwhile.
    `opening` is shown as long as there are none.
    """
    texts, turns, pair = session.texts, session.turns, session.pair
    if pair is not None and turns and turns[-1].id in (pair.left_id, pair.right_id):
        turns = turns[:-1]  # it is shown as one of the two replies of the pair
    blocks: list[str] = [_turn(session, turn, is_last=turn is session.turns[-1]) for turn in turns]
    if session.sending is not None:
        blocks.append(_message(session, session.sending, None))
    if pair is not None:
        blocks.append(reply_pair(session, pair))
    elif session.busy:
        blocks.append(live_reply(texts, session.live, session.follows))
    if not blocks and opening:
        blocks.append(opening)
    if session.notice:
        is_error = session.notice_is_error
        blocks.append(render("chat/notice.html", texts=texts, text=session.notice, is_error=is_error))
    is_idle = pair is None and not session.busy and session.editing is None
    if is_idle and turns and turns[-1].role == "user":
        blocks.append(render("chat/resend.html", texts=texts, turn=turns[-1]))
    return blocks


def footnote(texts: ChatTexts, outlook: Outlook | None = None) -> Markup:
    """The small line below the message box, with what the next version waits for."""
    return render("chat/footnote.html", texts=texts, outlook=outlook_text(texts, outlook))


def answer_mode(session: ChatSession, other: str | None = None) -> Markup:
    """The choice of how many answers a message gets.

    "Two versions" only if there is an `other` version, and "thinking or not" only if the model thinks.
    """
    texts = session.texts
    hidden = {"versions"} if other is None else set()
    hidden |= {"thinking"} if session.thinking == "none" else set()
    modes = {name: label for name, label in texts.modes.items() if name not in hidden}
    return render("chat/answer_mode.html", texts=texts, modes=modes, chosen=session.mode)


def _turn(session: ChatSession, turn: ConversationTurn, is_last: bool) -> Markup:
    if turn.role == "system":
        return render_cached("chat/instructions.html", texts=session.texts, turn=turn)
    if turn.role == "assistant":
        return reply(session, turn, is_last)
    if session.editing == turn.id:
        return render("chat/edit_message.html", texts=session.texts, turn=turn)
    return _message(session, turn.content, turn)


def _message(session: ChatSession, text: str, turn: ConversationTurn | None) -> Markup:
    return render_cached(
        "chat/message.html",
        texts=session.texts,
        text=text,
        turn=turn,
        can_edit=turn is not None,
        siblings=sibling_arrows(session, turn) if turn is not None else None,
    )
