"""A session → the HTML of header and conversation. Pure; every text passes through `text.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.page.i18n.languages import Words
from assistant.page.views import icons
from assistant.page.views.components import avatar, icon_button, places, toast_words
from assistant.page.views.markdown import plain
from assistant.page.views.reply import live, pair, reply

if TYPE_CHECKING:
    from assistant.chat.chat import Turn
    from assistant.page.session.chat_session import Session


def header(words: Words, version: str, about: str) -> str:
    """The bar on top: list, name, the version now served, settings, language switch, new conversation."""
    title = plain(f"{words.version_format.format(version=version)} · {about}")
    return (
        f'<div class="bar" lang="{words.code}"{toast_words(words)}>'
        f'<button type="button" class="icon menu" data-do="drawer" aria-expanded="false" '
        f'title="{plain(words.open_list)}" aria-label="{plain(words.open_list)}">{icons.MENU}</button>'
        f'<span class="brand">{icons.THUMB}<h1>Thumbtune</h1></span>'
        f'<button type="button" class="badge" data-do="card" title="{title}" aria-label="{title}">'
        f"{plain(version)}</button>"
        f'<span class="tagline">{plain(words.tagline)}</span>'
        f'<button type="button" class="quiet" data-do="language" aria-label="{plain(words.switch_language)}">'
        f"{plain(words.other_language)}</button>"
        f'<button type="button" class="icon" data-do="settings" title="{plain(words.settings)}" '
        f'aria-label="{plain(words.settings)}">{icons.SLIDERS}</button>'
        f'<button type="button" class="quiet" data-do="fresh" aria-label="{plain(words.new_conversation)}">'
        f"{icons.PLUS}<span>{plain(words.new_conversation)}</span></button>"
        "</div>"
    )


def conversation(session: Session, about: str) -> list[str]:
    """The conversation as a list of blocks, one per turn, so that streaming changes only the last ones."""
    words = session.words
    turns = session.turns
    if session.pair is not None and turns and turns[-1].id in (session.pair.left_id, session.pair.right_id):
        turns = turns[:-1]  # it is drawn as one of the two
    blocks = [_turn(session, turn, last=turn is session.turns[-1]) for turn in turns]
    if session.sending is not None:
        blocks.append(_message(words, plain(session.sending)))
    if session.pair is not None:
        blocks.append(pair(session, session.pair))
    elif session.busy:
        blocks.append(live(words, session.live))
    if not blocks:
        blocks.append(_welcome(words, about))
    if session.notice:
        blocks.append(_notice(session))
    unanswered = session.pair is None and not session.busy and session.editing is None
    if unanswered and turns and turns[-1].role == "user":
        blocks.append(_unanswered(words, turns[-1]))
    return blocks


def footnote(words: Words) -> str:
    """The small line under the message box."""
    return f'<p class="footnote" lang="{words.code}">{plain(words.footnote)}</p>'


def mode(session: Session, other: str | None = None) -> str:
    """The choice of how many answers a message gets; two versions only where there is an `other` one."""
    words = session.words
    options = "".join(
        f'<option value="{key}"{" selected" if key == session.mode else ""}>{plain(label)}</option>'
        for key, label in words.modes.items()
        if key != "versions" or other is not None
    )
    return (
        f'<form class="mode" data-change="set_mode"><select name="text" aria-label="{plain(words.mode_label)}">'
        f"{options}</select></form>"
    )


def _welcome(words: Words, about: str) -> str:
    examples = "".join(
        f'<button type="button" data-do="example" data-text="{plain(text)}">{plain(text)}</button>'
        for text in words.examples
    )
    return (
        f'<section class="welcome" lang="{words.code}"><h2>{plain(words.greeting)}</h2>'
        f"<p>{plain(words.greeting_more)}</p>"
        f'<div class="examples" role="group" aria-label="{plain(words.examples_label)}">{examples}</div>'
        f'<p class="about">{plain(about)}</p></section>'
    )


def _notice(session: Session) -> str:
    words = session.words
    if not session.notice_is_error:
        return f'<p class="notice" role="status">{plain(session.notice or "")}</p>'
    return (
        f'<p class="notice error" role="alert"><strong>{plain(words.error_title)}</strong> '
        f"{plain(session.notice or '')}</p>"
    )


def _unanswered(words: Words, turn: Turn) -> str:
    return (
        f'<p class="again"><button type="button" class="strong" data-do="retry" data-turn="{plain(turn.id)}">'
        f"{plain(words.resend)}</button></p>"
    )


def _turn(session: Session, turn: Turn, last: bool) -> str:
    words = session.words
    if turn.role == "system":
        return (
            f'<details class="turn instructions" id="system-{plain(turn.id)}"><summary>{plain(words.system)}</summary>'
            f'<p dir="auto">{plain(turn.content)}</p></details>'
        )
    if turn.role == "assistant":
        return reply(session, turn, last)
    if session.editing == turn.id:
        return _edit_form(words, turn)
    edit = "" if session.busy else icon_button("edit", turn.id, words.edit, icons.PENCIL)
    return _message(words, plain(turn.content), edit + places(session, turn), turn.id)


def _message(words: Words, html: str, actions: str = "", turn_id: str = "") -> str:
    return (
        f'<article class="turn message" data-turn="{plain(turn_id)}" aria-label="{plain(words.you)}">'
        f'{avatar(icons.PERSON)}<div class="bubble" dir="auto">{html}</div>'
        f'<div class="actions">{actions}</div></article>'
    )


def _edit_form(words: Words, turn: Turn) -> str:
    return (
        '<article class="turn message editing">'
        f'<form data-do="resend" data-turn="{plain(turn.id)}">'
        # A browser drops one line break right after the opening tag; this one is given to it.
        f'<textarea name="text" rows="3" dir="auto" data-enter="submit" data-focus aria-label="'
        f'{plain(words.edit_label)}">\n{plain(turn.content)}</textarea>'
        '<div class="row">'
        f'<button type="button" class="quiet" data-do="cancel">{plain(words.cancel)}</button>'
        f'<button type="submit" class="strong">{plain(words.resend)}</button>'
        "</div></form></article>"
    )
