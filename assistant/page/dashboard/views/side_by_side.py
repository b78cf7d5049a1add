"""Two versions answer one message side by side; which is which is hidden until somebody has chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.admin.services import Office
from assistant.page.dashboard.views.widgets import button, card, empty
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.markdown import markdown, plain

if TYPE_CHECKING:
    from assistant.chat.reply_stream import Update


def form(office: Office, session: DashboardSession) -> str:
    """What to ask, and whom."""
    words, duel = session.words, session.duel
    servable = [one.id for one in reversed(office.versions.servable())]
    if len(servable) < 2:
        return card(words.views["duel"], empty(words.two_needed))
    first = duel.first if duel.first in servable else office.versions.released() or servable[0]
    second = duel.second if duel.second in servable else next(one for one in servable if one != first)
    examples = "".join(button("example", text, text=text) for text in words.examples)

    def select(name: str, label: str, chosen: str) -> str:
        options = "".join(
            f'<option value="{one}"{" selected" if one == chosen else ""}>{one}</option>' for one in servable
        )
        return f'<label class="field"><span>{plain(label)}</span><select name="{name}">{options}</select></label>'

    body = (
        f'<div class="examples">{examples}</div><form class="line" data-do="ask" data-stream>'
        f'<label class="field wide"><span>{plain(words.duel_label)}</span><textarea name="prompt" rows="2" dir="auto" '
        f'data-enter="submit" placeholder="{plain(words.duel_placeholder)}">\n{plain(duel.prompt)}</textarea></label>'
        f"{select('first', words.first, first)}{select('second', words.second, second)}"
        f'<label class="check"><input type="checkbox" name="think"{" checked" if duel.think else ""}>'
        f'{plain(words.think)}</label><button type="submit" class="strong">{plain(words.ask)}</button></form>'
    )
    return card(words.views["duel"], body, words.duel_help)


def answers(session: DashboardSession) -> str:
    """Both answers as they stand; then the choice, then the names."""
    words, duel = session.words, session.duel
    if duel.left is None and not duel.writing:
        return ""
    sides = "".join(
        _side(session, name, update, duel.choice == name)
        for name, update in (("left", duel.left), ("right", duel.right))
    )
    if duel.writing:
        below = button("stop", words.stop)
    elif duel.choice is None:
        choices = "".join(button("choose", label, choice=name) for name, label in words.choices.items())
        below = f"<p>{plain(words.question)}</p>{choices}"
    else:
        said = words.chosen_format.format(
            choice=words.choices[duel.choice],
            left=duel.left.version if duel.left else "",
            right=duel.right.version if duel.right else "",
        )
        below = f'<p role="status">{plain(said)}</p>'
    return (
        f'<section class="card" lang="{words.code}"><p class="prompt" dir="auto">{plain(duel.prompt)}</p>'
        f'<div class="sides" aria-busy="{"true" if duel.writing else "false"}">{sides}</div>'
        f'<div class="choices" role="group" aria-label="{plain(words.question)}">{below}</div></section>'
    )


def _side(session: DashboardSession, name: str, update: Update | None, chosen: bool) -> str:
    words, duel = session.words, session.duel
    title = words.left if name == "left" else words.right
    if duel.choice is not None and update is not None:
        title = f"{title} · {update.version}"
    if update is None or not (update.answer or update.thought or update.finish_reason):
        text = f'<p class="none">{plain(words.writing)}</p>'
    else:
        thought = ""
        if update.thought:
            thought = (
                f'<details class="thought" id="thought-{name}"{" open" if update.thinking else ""}>'
                f"<summary>{plain(words.thought)}</summary><p>{plain(update.thought)}</p></details>"
            )
        nothing = f'<p class="none">{plain(words.no_answer)}</p>' if update.finish_reason else ""
        text = f'{thought}<div class="answer" dir="auto">{markdown(update.answer) or nothing}</div>'
    return f'<article class="side-reply{" chosen" if chosen else ""}"><h3>{plain(title)}</h3>{text}</article>'
