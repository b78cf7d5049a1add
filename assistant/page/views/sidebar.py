"""The list of conversations as HTML: a column on a wide screen, a drawer on a phone."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from markupsafe import Markup

from assistant.page.i18n.languages import LANGUAGES
from assistant.page.views.templates import render, render_cached

if TYPE_CHECKING:
    from assistant.page.session.chat_session import ChatSession


def sidebar_top(session: ChatSession) -> Markup:
    """Title and search field. The list below is drawn without them, so that drawing it does not disturb typing."""
    return render("chat/sidebar_top.html", texts=session.texts, search=session.search)


def conversation_list(session: ChatSession) -> list[str]:
    """The conversations that were found, as a list of blocks, one for each."""
    texts = session.texts
    if not session.conversations:
        empty = texts.nothing_found if session.search.strip() else texts.no_conversations
        return [render("chat/conversation_list_empty.html", text=empty)]
    return [
        render_cached(
            "chat/conversation_list_item.html",
            texts=texts,
            id=row.id,
            title=row.title or texts.untitled,
            changed=row.updated_at.isoformat(),
            is_open=row.id == session.conversation,
            is_renamed=row.id == session.renaming,
            is_deleted=row.id == session.deleting,
        )
        for row in session.conversations
    ]


def sidebar_bottom(session: ChatSession) -> Markup:
    """Files, dashboard and account, below the list."""
    texts, account = session.texts, session.account
    return render(
        "chat/sidebar_bottom.html",
        texts=texts,
        can_save=bool(session.turns),
        is_admin=session.admin,
        account_name=account.name if account is not None else None,
        signed_in=texts.signed_in_format.format(name=account.name) if account is not None else "",
        can_sign_in=session.way_in == "hugging_face",
    )


def state(session: ChatSession) -> str:
    """A checksum of everything that another tab may have changed; tabs with the same checksum show the same."""
    turns = [
        (turn.id, turn.rating, turn.reasons, turn.comment, turn.correction, turn.siblings)
        for turn in session.turns
    ]
    titles = [(row.id, row.title) for row in session.conversations]
    return f"{zlib.crc32(repr((session.conversation, turns, titles)).encode()):08x}"


def title(session: ChatSession) -> str:
    """The title of the open conversation, "" for a new one."""
    titles = (row.title for row in session.conversations if row.id == session.conversation)
    return next(titles, "")


def login_message() -> Markup:
    """Look and introduction of Gradio's form for name and password, in every language."""
    return render("chat/login_message.html", languages=list(LANGUAGES.values()))
