"""The tokens of a reply as HTML: each shaded by its probability, with the alternatives to the chosen one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from assistant.page.i18n.languages import ChatTexts
from assistant.page.views.templates import render

if TYPE_CHECKING:
    from assistant.chat.token_steps import Alternative, Step
    from assistant.page.session.chat_session import ChatSession

MAX_TOOLTIP_LINES = 5


@dataclass(frozen=True)
class _Token:
    position: int
    text: str
    label: str
    likeliest: str  # the tooltip: the likeliest tokens, one a line
    shade: str  # the probability as a CSS number
    is_sign: bool
    is_chosen: bool
    ends_line: bool


@dataclass(frozen=True)
class _Alternative:
    token_id: int
    name: str
    share: str
    shade: str
    is_taken: bool
    continue_label: str


@dataclass(frozen=True)
class _Choice:
    position: int
    name: str
    share: str
    is_end: bool
    alternatives: list[_Alternative]


def token_panel(session: ChatSession) -> Markup:
    """The panel for `session.tokens`."""
    texts, tokens = session.texts, session.tokens
    assert tokens is not None
    steps, chosen = tokens.steps, tokens.chosen
    blocks = []
    for block, title in (("thought", texts.tokens_thought), ("answer", texts.tokens_answer)):
        buttons = [_token(texts, step, step.position == chosen) for step in steps if _block(step) == block]
        if buttons:
            blocks.append((title, buttons))
    return render(
        "chat/token_panel.html",
        texts=texts,
        reply_id=tokens.reply_id,
        blocks=blocks,
        chosen=_choice(texts, steps[chosen]) if chosen is not None and 0 <= chosen < len(steps) else None,
    )


def _block(step: Step) -> str:
    """The tags around a thought belong to the thought, the end token to the answer."""
    return "thought" if step.part in ("thought", "mark") else "answer"


def _token(texts: ChatTexts, step: Step, is_chosen: bool) -> _Token:
    """One token; a line break is shown as a sign and also breaks the line."""
    share = share_text(step.probability)
    likeliest = [
        f"{share_text(other.probability)}  {alternative_name(texts, other)}"
        for other in step.alternatives[:MAX_TOOLTIP_LINES]
    ]
    return _Token(
        position=step.position,
        text=texts.token_end if step.part == "end" else step.text.replace("\n", "↵"),
        label=texts.token_format.format(token=_name(texts, step.text, step.part), share=share),
        likeliest="\n".join(likeliest),
        shade=f"{step.probability:.3f}",
        is_sign=step.part in ("end", "mark"),
        is_chosen=is_chosen,
        ends_line=step.text.endswith("\n"),
    )


def _choice(texts: ChatTexts, step: Step) -> _Choice:
    return _Choice(
        position=step.position,
        name=_name(texts, step.text, step.part),
        share=share_text(step.probability),
        is_end=step.part == "end",
        alternatives=[_alternative(texts, step, other) for other in step.alternatives],
    )


def _alternative(texts: ChatTexts, step: Step, other: Alternative) -> _Alternative:
    name = alternative_name(texts, other)
    return _Alternative(
        token_id=other.token_id,
        name=name,
        share=share_text(other.probability),
        shade=f"{other.probability:.3f}",
        is_taken=other.token_id == step.token_id,
        continue_label=texts.token_continue_format.format(token=name),
    )


def alternative_name(texts: ChatTexts, other: Alternative) -> str:
    """A token that could have come, as readable text."""
    return _name(texts, other.text, "end" if other.end else "answer")


def _name(texts: ChatTexts, text: str, part: str) -> str:
    """A token as readable text: a space and a line break are named, because they cannot be seen."""
    if part == "end":
        return texts.token_end
    if text and not text.strip():
        return texts.token_line if "\n" in text else texts.token_space
    return text.strip("\n") or "·"


def share_text(probability: float) -> str:
    """A probability in percent."""
    return f"{probability:.1%}" if probability >= 0.001 else "<0.1%"
