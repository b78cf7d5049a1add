"""Small pieces of HTML that several views use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.page.views import icons
from assistant.page.views.markdown import plain

if TYPE_CHECKING:
    from assistant.chat.chat import Turn
    from assistant.page.i18n.languages import Words
    from assistant.page.session.chat_session import Session


def avatar(icon: str) -> str:
    """The sign of who speaks; what reads aloud says it by the turn's own label."""
    return f'<span class="avatar" aria-hidden="true">{icon}</span>'


def icon_button(action: str, turn_id: str, label: str, icon: str, extra: str = "") -> str:
    """A button that shows an icon and says `label`; `extra` is attributes that are HTML already."""
    return (
        f'<button type="button" class="icon" data-do="{action}" data-turn="{plain(turn_id)}" {extra}'
        f'title="{plain(label)}" aria-label="{plain(label)}">{icon}</button>'
    )


def toast_words(words: Words) -> str:
    """Attributes of the bar on top from which the script tells Gradio's own notices; see `toasts.js`."""
    said = {
        "title": words.error_title,
        "lost": words.connection_lost,
        "failed": words.unforeseen,
        "close": words.close,
    }
    return "".join(f' data-toast-{key}="{plain(text)}"' for key, text in said.items())


def places(session: Session, turn: Turn) -> str:
    """Arrows between the messages at one place of the tree, as in "2/3"; nothing where there is one."""
    words, siblings = session.words, turn.siblings
    if len(siblings) < 2 or turn.id not in siblings:
        return ""
    at = siblings.index(turn.id)
    before, after = at > 0 and not session.busy, at + 1 < len(siblings) and not session.busy
    title = plain(words.place_format.format(number=at + 1, total=len(siblings)))
    return (
        f'<span class="places" role="group" aria-label="{title}">'
        + icon_button(
            "show",
            siblings[at - 1] if at else "",
            words.earlier_version,
            icons.LEFT,
            "" if before else "disabled ",
        )
        + f'<span aria-hidden="true">{at + 1}/{len(siblings)}</span>'
        + icon_button(
            "show",
            siblings[at + 1] if at + 1 < len(siblings) else "",
            words.later_version,
            icons.RIGHT,
            "" if after else "disabled ",
        )
        + "</span>"
    )
