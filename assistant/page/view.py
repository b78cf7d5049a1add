"""A session → the HTML of header and conversation. Pure; every text passes through `text.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.page import icons
from assistant.page.text import markdown, plain
from assistant.page.words import Words

if TYPE_CHECKING:
    from assistant.conversation import Turn, Update
    from assistant.page.session import Session


def header(words: Words, version: str, about: str) -> str:
    """The bar on top: name, the version now served, language switch, new conversation."""
    title = plain(f"{words.version_format.format(version=version)} · {about}")
    return (
        f'<div class="bar" lang="{words.code}">'
        f'<span class="brand">{icons.THUMB}<h1>Thumbtune</h1></span>'
        f'<span class="badge" title="{title}" aria-label="{title}">{plain(version)}</span>'
        f'<span class="tagline">{plain(words.tagline)}</span>'
        f'<button type="button" class="quiet" data-do="language" aria-label="{plain(words.switch_language)}">'
        f"{plain(words.other_language)}</button>"
        f'<button type="button" class="quiet" data-do="fresh" aria-label="{plain(words.new_conversation)}">'
        f"{icons.PLUS}<span>{plain(words.new_conversation)}</span></button>"
        "</div>"
    )


def conversation(session: Session, about: str) -> list[str]:
    """The conversation as a list of blocks, one per turn, so that streaming changes only the last ones."""
    words = session.words
    blocks = [_turn(session, turn, last=turn is session.turns[-1]) for turn in session.turns]
    if session.sending is not None:
        blocks.append(_message(words, plain(session.sending)))
    if session.busy:
        blocks.append(_live(words, session.live))
    if not blocks:
        blocks.append(_welcome(words, about))
    if session.notice:
        blocks.append(_notice(session))
    return blocks


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


def _turn(session: Session, turn: Turn, last: bool) -> str:
    if turn.role != "user":
        return _reply(session, turn, last)
    if session.editing == turn.id:
        return _edit_form(session.words, turn)
    edit = "" if session.busy else _button("edit", turn.id, session.words.edit, icons.PENCIL)
    return _message(session.words, plain(turn.content), edit, turn.id)


def _message(words: Words, html: str, actions: str = "", turn_id: str = "") -> str:
    return (
        f'<article class="turn message" data-turn="{plain(turn_id)}" aria-label="{plain(words.you)}">'
        f'<div class="bubble" dir="auto">{html}</div><div class="actions">{actions}</div></article>'
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


def _live(words: Words, update: Update | None) -> str:
    if update is None:
        return (
            f'<article class="turn reply live" aria-busy="true" aria-label="{plain(words.assistant)}">'
            f'<p class="waiting" role="status" aria-label="{plain(words.waiting)}"><i></i><i></i><i></i></p>'
            "</article>"
        )
    thought = _thought(words, update.reply_id, update.thought, update.thought_seconds, update.thinking)
    cursor = "" if update.thinking else " writing"
    return (
        f'<article class="turn reply live" aria-busy="true" aria-label="{plain(words.assistant)}">'
        f'{thought}<div class="answer{cursor}" dir="auto">{markdown(update.answer)}</div>'
        f'<footer><span class="caption">{plain(update.version)}</span></footer></article>'
    )


def _reply(session: Session, turn: Turn, last: bool) -> str:
    words = session.words
    seconds = session.thought_seconds.get(turn.id, turn.thought_seconds)
    thought = _thought(words, turn.id, turn.thought or "", seconds, False)
    answer = (
        markdown(turn.content) if turn.content.strip() else f'<p class="none">{plain(words.no_answer)}</p>'
    )
    return (
        f'<article class="turn reply" data-turn="{plain(turn.id)}" aria-label="{plain(words.assistant)}">'
        f'{thought}<div class="answer" dir="auto">{answer}</div>'
        f'<footer><span class="caption">{_caption(words, turn)}</span>'
        f'<div class="actions">{_actions(session, turn, last)}</div></footer>'
        f"{_feedback(session, turn)}</article>"
    )


def _thought(words: Words, reply_id: str, thought: str, seconds: float | None, thinking: bool) -> str:
    if not thought and not thinking:
        return ""
    if thinking:
        title = words.thinking
    elif seconds is None:
        title = words.thought
    else:
        title = words.thought_for_format.format(seconds=f"{seconds:.1f}")
    return (
        f'<details class="thought{" thinking" if thinking else ""}" id="thought-{plain(reply_id)}"'
        f"{' open' if thinking else ''}><summary>{plain(title)}</summary>"
        f'<div class="thought-text" dir="auto">{plain(thought.strip())}</div></details>'
    )


def _caption(words: Words, turn: Turn) -> str:
    parts = [turn.version or "", words.finish_reasons.get(turn.finish_reason or "", "")]
    return plain(" · ".join(part for part in parts if part))


def _actions(session: Session, turn: Turn, last: bool) -> str:
    words = session.words
    buttons = [
        _vote(turn, 1, words.good, "up"),
        _vote(turn, -1, words.bad, "down"),
        f'<button type="button" class="icon" data-do="copy" data-copied="{plain(words.copied)}" '
        f'title="{plain(words.copy)}" aria-label="{plain(words.copy)}">{icons.COPY}</button>',
    ]
    if last and not session.busy:
        buttons.append(_button("retry", turn.id, words.retry, icons.RETRY))
        buttons.append(_button("undo", turn.id, words.undo, icons.UNDO))
    return "".join(buttons)


def _button(action: str, turn_id: str, label: str, icon: str) -> str:
    return (
        f'<button type="button" class="icon" data-do="{action}" data-turn="{plain(turn_id)}" '
        f'title="{plain(label)}" aria-label="{plain(label)}">{icon}</button>'
    )


def _vote(turn: Turn, value: int, label: str, direction: str) -> str:
    pressed = "true" if turn.rating == value else "false"
    return (
        f'<button type="button" class="icon thumb {direction}" data-do="vote" data-turn="{plain(turn.id)}" '
        f'data-value="{value}" aria-pressed="{pressed}" title="{plain(label)}" aria-label="{plain(label)}">'
        f"{icons.THUMB}</button>"
    )


def _feedback(session: Session, turn: Turn) -> str:
    remark = ""
    if session.remark and session.remark[0] == turn.id:
        remark = f'<p class="remark" role="status">{plain(session.remark[1])}</p>'
    if session.rating != turn.id or turn.rating == 0:
        return remark
    words = session.words
    question, reasons = (
        (words.ask_good, words.reasons_good) if turn.rating > 0 else (words.ask_bad, words.reasons_bad)
    )
    chips = "".join(
        f'<label class="chip"><input type="checkbox" name="reason" value="{key}"'
        f"{' checked' if key in turn.reasons else ''}><span>{plain(label)}</span></label>"
        for key, label in reasons.items()
    )
    return (
        f'{remark}<form class="feedback" data-do="finish" data-change="feedback" '
        f'data-turn="{plain(turn.id)}" data-value="{turn.rating}">'
        f"<fieldset><legend>{plain(question)}</legend>"
        f'<div class="chips">{chips}</div></fieldset>'
        f'<textarea name="text" rows="2" dir="auto" aria-label="{plain(words.comment_label)}" '
        f'placeholder="{plain(words.comment_placeholder)}">\n{plain(turn.comment)}</textarea>'
        '<div class="row">'
        f'<button type="button" class="quiet" data-do="withdraw" data-turn="{plain(turn.id)}">'
        f'{plain(words.withdraw)}</button><button type="submit" class="strong">{plain(words.finish)}</button>'
        "</div></form>"
    )


def footnote(words: Words) -> str:
    """The small line under the message box."""
    return f'<p class="footnote" lang="{words.code}">{plain(words.footnote)}</p>'
