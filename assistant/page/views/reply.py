"""One reply, or two side by side, as HTML: thought, answer, thumbs, forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.page.i18n.languages import Words
from assistant.page.views import icons
from assistant.page.views.components import avatar, icon_button, places
from assistant.page.views.markdown import difference, markdown, plain

if TYPE_CHECKING:
    from assistant.chat.chat import Turn, Update
    from assistant.page.session.chat_session import Pair, Session


def live(words: Words, update: Update | None) -> str:
    """The reply being written; None while its first word is awaited."""
    start = f'<article class="turn reply live" aria-busy="true" aria-label="{plain(words.assistant)}">'
    if update is None or update.waiting:
        waiting = _waiting(words, update.waiting if update else 0)
        return f"{start}{avatar(icons.THUMB)}{waiting}</article>"
    thought = _thought(words, update.reply_id, update.thought, update.thought_seconds, update.thinking)
    cursor = "" if update.thinking else " writing"
    return (
        f'{start}{avatar(icons.THUMB)}{thought}<div class="answer{cursor}" dir="auto">{markdown(update.answer)}</div>'
        f'<footer><span class="caption">{plain(update.version)}</span></footer></article>'
    )


def reply(session: Session, turn: Turn, last: bool) -> str:
    """A finished reply with all that can be done with it."""
    words = session.words
    thought = _thought(words, turn.id, turn.thought or "", turn.thought_seconds, False)
    return (
        f'<article class="turn reply" data-turn="{plain(turn.id)}" aria-label="{plain(words.assistant)}">'
        f'{avatar(icons.THUMB)}{thought}<div class="answer" dir="auto">{_answer(words, turn.content)}</div>'
        f'<footer><span class="caption">{_caption(words, turn)}</span>'
        f'<div class="actions">{places(session, turn)}{_actions(session, turn, last)}</div></footer>'
        f"{_remark(session, turn)}{_correction(session, turn)}{_feedback(session, turn)}</article>"
    )


def pair(session: Session, two: Pair) -> str:
    """Two replies side by side. What made them is told after the choice only; a thought would tell it before."""
    words, sides = session.words, []
    for side, one, label in (("left", two.left, words.left), ("right", two.right, words.right)):
        chosen = " chosen" if two.choice in (side, "both_good") else ""
        body = _waiting(words, one.waiting if one is not None else 0)
        if one is not None and one.answer:
            body = f'<div class="answer" dir="auto">{markdown(one.answer)}</div>'
        elif one is not None and one.finish_reason is not None:
            body = f'<div class="answer">{_answer(words, "")}</div>'
        name = ""
        if two.choice is not None and one is not None:
            thinking = words.with_thinking if side in two.thinking else words.without_thinking
            name = f'<p class="caption">{plain(f"{one.version} · {thinking}")}</p>'
        sides.append(
            f'<section class="side-reply{chosen}" aria-label="{plain(label)}"><h3>{plain(label)}</h3>'
            f"{body}{name}</section>"
        )
    if session.busy:
        below = ""
    elif two.choice is None:
        buttons = "".join(
            f'<button type="button" class="choice" data-do="choose" data-value="{key}">{plain(text)}</button>'
            for key, text in words.choices.items()
        )
        below = (
            f'<div class="choices" role="group" aria-label="{plain(words.pair_question)}">'
            f"<p>{plain(words.pair_question)}</p>{buttons}</div>"
        )
    else:
        below = f'<p class="remark" role="status">{plain(words.chosen[two.choice])} {plain(words.pair_thanks)}</p>'
    busy = ' aria-busy="true"' if session.busy else ""
    return (
        f'<article class="turn reply pair{" live" if session.busy else ""}"{busy} '
        f'aria-label="{plain(words.assistant)}"><div class="sides">{"".join(sides)}</div>{below}</article>'
    )


def _waiting(words: Words, place: int = 0) -> str:
    dots = f'<p class="waiting" role="status" aria-label="{plain(words.waiting)}"><i></i><i></i><i></i></p>'
    queue = words.queue_format.format(place=place)
    return f'{dots}<p class="caption" role="status">{plain(queue)}</p>' if place else dots


def _answer(words: Words, text: str) -> str:
    return markdown(text) if text.strip() else f'<p class="none">{plain(words.no_answer)}</p>'


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
    dropped = words.dropped_format.format(count=turn.dropped) if turn.dropped else ""
    parts = [turn.version or "", words.finish_reasons.get(turn.finish_reason or "", ""), dropped]
    return plain(" · ".join(part for part in parts if part))


def _actions(session: Session, turn: Turn, last: bool) -> str:
    words = session.words
    buttons = [
        _vote(turn, 1, words.good, "up"),
        _vote(turn, -1, words.bad, "down"),
        icon_button("correct", turn.id, words.correct, icons.BETTER),
        f'<button type="button" class="icon" data-do="copy" data-copied="{plain(words.copied)}" '
        f'title="{plain(words.copy)}" aria-label="{plain(words.copy)}">{icons.COPY}</button>',
        icon_button("tokens", turn.id, words.tokens, icons.BARS),
    ]
    if last and not session.busy:
        buttons.append(icon_button("retry", turn.id, words.retry, icons.RETRY))
        label = words.retry_plain if turn.think else words.retry_thinking
        think = 'data-think="no" ' if turn.think else 'data-think="yes" '
        buttons.append(icon_button("retry", turn.id, label, icons.BULB, think))
        buttons.append(icon_button("undo", turn.id, words.undo, icons.UNDO))
    return "".join(buttons)


def _vote(turn: Turn, value: int, label: str, direction: str) -> str:
    pressed = "true" if turn.rating == value else "false"
    return (
        f'<button type="button" class="icon thumb {direction}" data-do="vote" data-turn="{plain(turn.id)}" '
        f'data-value="{value}" aria-pressed="{pressed}" title="{plain(label)}" aria-label="{plain(label)}">'
        f"{icons.THUMB}</button>"
    )


def _remark(session: Session, turn: Turn) -> str:
    if session.remark and session.remark[0] == turn.id:
        return f'<p class="remark" role="status">{plain(session.remark[1])}</p>'
    return ""


def _correction(session: Session, turn: Turn) -> str:
    words = session.words
    if session.correcting == turn.id:
        return (
            f'<form class="feedback" data-do="keep_correction" data-turn="{plain(turn.id)}" '
            f'data-before="{plain(turn.content)}">'
            f'<label for="correction">{plain(words.correct_label)}</label>'
            f'<p class="help">{plain(words.correct_help)}</p>'
            f'<textarea id="correction" name="text" rows="4" dir="auto" data-focus>\n'
            f"{plain(turn.correction or turn.content)}</textarea>"
            # The script fills it while the person types.
            f'<div class="changes" role="group" aria-label="{plain(words.correct_changes)}" hidden>'
            f'<p class="help">{plain(words.correct_changes)}</p><div class="difference" dir="auto"></div></div>'
            '<div class="row">'
            f'<button type="button" class="quiet" data-do="cancel">{plain(words.cancel)}</button>'
            f'<button type="submit" class="strong">{plain(words.correct_save)}</button></div></form>'
        )
    if turn.correction is None:
        return ""
    return (
        f'<section class="correction" aria-label="{plain(words.corrected_title)}">'
        f"<h3>{plain(words.corrected_title)}</h3>"
        f'<div class="difference" dir="auto">{difference(turn.content, turn.correction)}</div>'
        f'<div class="row"><button type="button" class="quiet" data-do="remove_correction" '
        f'data-turn="{plain(turn.id)}">{plain(words.correct_remove)}</button>'
        f'<button type="button" class="quiet" data-do="correct" data-turn="{plain(turn.id)}">'
        f"{plain(words.correct_again)}</button></div></section>"
    )


def _feedback(session: Session, turn: Turn) -> str:
    if session.rating != turn.id or turn.rating == 0:
        return ""
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
        f'<form class="feedback" data-do="finish" data-change="feedback" '
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
