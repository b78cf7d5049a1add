"""How an answer was written, as HTML: its tokens, shaded, and what else could have come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.page.i18n.languages import Words
from assistant.page.views.dialogs import dialog
from assistant.page.views.markdown import plain

if TYPE_CHECKING:
    from assistant.chat.token_steps import Alternative, Step
    from assistant.page.session.chat_session import Session

LINE = "\n"


def panel(session: Session) -> str:
    """The panel over `session.tokens`."""
    words, tokens = session.words, session.tokens
    assert tokens is not None
    chosen = tokens.chosen
    blocks = []
    for part, title in (("thought", words.tokens_thought), ("answer", words.tokens_answer)):
        inside = [step for step in tokens.steps if _block(step) == part]
        if inside:
            marked = "".join(_token(words, step, step.position == chosen) for step in inside)
            blocks.append(f'<h3>{plain(title)}</h3><p class="tokens" dir="auto">{marked}</p>')
    legend = (
        f'<p class="legend" aria-hidden="true"><span>{plain(words.likely)}</span>'
        '<i style="--p:1"></i><i style="--p:0.75"></i><i style="--p:0.5"></i><i style="--p:0.25"></i>'
        f'<i style="--p:0"></i><span>{plain(words.unlikely)}</span></p>'
    )
    below = ""
    if chosen is not None and 0 <= chosen < len(tokens.steps):
        below = _alternatives(words, tokens.reply_id, tokens.steps[chosen])
    body = f'<p class="help">{plain(words.tokens_help)}</p>{legend}{"".join(blocks)}{below}'
    return dialog(words, words.tokens_title, body, "token-panel")


def _block(step: Step) -> str:
    """Tags stand with the thought that they enclose, END with the answer that it ends."""
    return "thought" if step.part in ("thought", "mark") else "answer"


def _token(words: Words, step: Step, chosen: bool) -> str:
    """One token; a line break is shown as a sign of its own, and breaks the line too."""
    share = _share(step.probability)
    name = plain(words.token_format.format(token=_named(words, step.text, step.part), share=share))
    # On hovering: the likeliest, one a line.
    likely = plain(
        "\n".join(
            f"{_share(other.probability)}  {_named(words, other.text, 'end' if other.end else 'answer')}"
            for other in step.alternatives[:5]
        )
    )
    text = words.token_end if step.part == "end" else step.text.replace("\n", "↵")
    kind = " sign" if step.part in ("end", "mark") else ""
    focus = " data-focus" if chosen else ""
    return (
        f'<button type="button" class="token{kind}" style="--p:{step.probability:.3f}" data-do="token" '
        f'data-position="{step.position}" aria-pressed="{"true" if chosen else "false"}"{focus} '
        f'title="{likely}" aria-label="{name}">{plain(text)}</button>{"<br>" if step.text.endswith(LINE) else ""}'
    )


def _alternatives(words: Words, reply_id: str, step: Step) -> str:
    rows = "".join(_alternative(words, reply_id, step, other) for other in step.alternatives)
    end = f'<p class="help">{plain(words.token_end_help)}</p>' if step.part == "end" else ""
    title = _named(words, step.text, step.part)
    return (
        f'<section class="alternatives" aria-label="{plain(words.token_choice_help)}">'
        f'<h3><code dir="auto">{plain(title)}</code> {_share(step.probability)}</h3>{end}'
        f"<p>{plain(words.token_choice_help)}</p><ul>{rows}</ul></section>"
    )


def _alternative(words: Words, reply_id: str, step: Step, other: Alternative) -> str:
    name = _named(words, other.text, "end" if other.end else "answer")
    if other.token_id == step.token_id:
        action = f'<span class="taken">{plain(words.token_chosen)}</span>'
    else:
        label = plain(words.token_continue_format.format(token=name))
        action = (
            f'<button type="button" class="quiet" data-do="continue_with" data-turn="{plain(reply_id)}" '
            f'data-position="{step.position}" data-token="{other.token_id}" aria-label="{label}">'
            f"{plain(words.token_continue)}</button>"
        )
    return (
        f'<li><code dir="auto">{plain(name)}</code>'
        f'<span class="share" style="--p:{other.probability:.3f}">{_share(other.probability)}</span>{action}</li>'
    )


def _named(words: Words, text: str, part: str) -> str:
    """A token as people can see it: a space and a line break have no shape of their own."""
    if part == "end":
        return words.token_end
    if text and not text.strip():
        return words.token_line if "\n" in text else words.token_space
    return text.strip("\n") or "·"


def _share(probability: float) -> str:
    return f"{probability:.1%}" if probability >= 0.001 else "\u003c0.1%"
