"""What can be tried on the tour's screens, as HTML: the forms, and below each what was drawn or written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from assistant.chat.token_steps import Alternative
from assistant.page.session.tour_session import TourSession
from assistant.page.views.markdown import markdown
from assistant.page.views.templates import render
from assistant.page.views.token_panel import alternative_name, share_text
from assistant.tour.answers import TourAnswer

MAX_CHAINS = 6
"""Finished answers of the word chain that are listed."""
MAX_MESSAGE = 200
MAX_CORRECTION = 1_000
CHOSEN = ("left", "right")
"""Choices that prefer one answer: they make no row only where both are the same."""


@dataclass(frozen=True)
class _Token:
    text: str
    shade: str
    label: str


@dataclass(frozen=True)
class _Option:
    token_id: int
    name: str
    share: str
    shade: str
    is_end: bool
    label: str


@dataclass(frozen=True)
class _Side:
    name: str
    title: str
    help: str
    waiting: str
    """What it waits for, "" once something is written."""
    thought: str
    is_thinking: bool
    answer: Markup | str
    footer: str
    is_over: bool
    is_plain: bool = False
    """Whether line ends in the answer are line ends, as in a text that the base continues."""


def form(session: TourSession, name: str) -> dict[str, Markup]:
    """The questions to choose from, and a field where a visitor may write one."""
    texts = session.texts
    actions = {
        "word_chain": ("chain_begin", texts.chain_questions, session.question, True),
        "base_and_assistant": ("compare", texts.messages, session.messages.get(name, ""), True),
        "chain_of_thought": ("think", texts.problems, session.messages.get(name, ""), True),
        "votes_and_rows": ("write_two", texts.vote_questions, session.messages.get(name, ""), False),
    }
    action, examples, chosen, has_field = actions[name]
    html = render(
        "tour/form.html",
        texts=texts,
        chat_texts=session.chat_texts,
        name=name,
        action=action,
        examples=examples,
        chosen=chosen,
        has_field=has_field,
        most=MAX_MESSAGE,
    )
    return {f"{name}-form": html}


def live(session: TourSession, name: str) -> dict[str, Markup]:
    """What was drawn or written on a screen."""
    drawing = {"word_chain": _word_chain, "votes_and_rows": _votes}.get(name, _side_by_side)
    return {f"{name}-live": drawing(session, name)}


def _word_chain(session: TourSession, name: str) -> Markup:
    texts, chain = session.texts, session.chain
    tokens, options = [], []
    if chain is not None:
        tokens = [
            _Token(text, f"{share:.3f}", share_text(share))
            for text, share in zip(chain.texts, chain.probabilities, strict=True)
        ]
        options = [_option(session, other) for other in chain.alternatives]
    over = (
        "" if chain is None or not chain.is_over else texts.chain_over["end" if chain.is_ended else "length"]
    )
    different = len({answer for _, answer in session.chains})
    return render(
        "tour/word_chain.html",
        texts=texts,
        chat_texts=session.chat_texts,
        error=session.errors.get(name, ""),
        is_busy=name in session.busy,
        chain=chain,
        tokens=tokens,
        options=options,
        over=over,
        other_seed=max((seed for seed, _ in session.chains), default=0) + 1,
        chains=session.chains,
        different=texts.different_format.format(different=different, count=len(session.chains)),
    )


def _option(session: TourSession, other: Alternative) -> _Option:
    name, share = alternative_name(session.chat_texts, other), share_text(other.probability)
    label = session.texts.take_format.format(token=name, share=share)
    return _Option(other.token_id, name, share, f"{other.probability:.3f}", other.end, label)


def _side_by_side(session: TourSession, name: str) -> Markup:
    sides = [_side(session, name, side, written) for side, written in session.sides.get(name, {}).items()]
    is_comparison = name == "base_and_assistant"
    return render(
        "tour/sides.html",
        texts=session.texts,
        chat_texts=session.chat_texts,
        error=session.errors.get(name, ""),
        is_busy=name in session.busy,
        sides=sides,
        is_unfolded=not is_comparison,
        note=session.texts.no_aligned if is_comparison and sides and session.aligned is None else "",
    )


def _side(session: TourSession, screen: str, name: str, written: TourAnswer) -> _Side:
    texts, chat_texts = session.texts, session.chat_texts
    if name == "aligned" and session.aligned is not None:
        version, stage = session.aligned
        title, help = texts.aligned_format.format(version=version, stage=stage), ""
    else:
        title, help = texts.sides[name], texts.sides_help[name]
    is_over = written.finish_reason is not None
    waiting = ""
    if not is_over and not (written.answer or written.thought):
        waiting = (
            chat_texts.queue_format.format(place=written.waiting) if written.waiting else chat_texts.waiting
        )
    ended = "" if written.finish_reason in (None, "end") else chat_texts.finish_reasons["length"]
    tokens = (
        texts.tokens_format.format(count=len(written.completion_ids)) if screen == "chain_of_thought" else ""
    )
    return _Side(
        name,
        title,
        help,
        waiting,
        written.thought,
        written.is_thinking,
        written.answer if name == "base" else markdown(written.answer),
        " · ".join(part for part in (tokens, ended) if part and is_over),
        is_over,
        is_plain=name == "base",
    )


def _votes(session: TourSession, name: str) -> Markup:
    texts = session.texts
    letters = {"left": "A", "right": "B"}
    sides = [
        _side_to_vote_on(session, side, written, texts.answer_format.format(letter=letters[side]))
        for side, written in session.sides.get(name, {}).items()
    ]
    return render(
        "tour/votes.html",
        texts=texts,
        chat_texts=session.chat_texts,
        error=session.errors.get(name, ""),
        is_busy=name in session.busy,
        question=session.messages.get(name, ""),
        sides=sides,
        letters=list(letters.values()),
        can_vote=len(sides) == 2 and all(side.is_over for side in sides) and name not in session.busy,
        votes={(vote.kind, vote.side) for vote in session.votes},
        correction=session.correction,
        most=MAX_CORRECTION,
        rows=[(texts.row_kinds[kind], _json(row)) for kind, row in session.rows],
        no_row=texts.same_answers if any(vote.kind in CHOSEN for vote in session.votes) else texts.no_row,
        note=texts.thought_stays
        if any(vote.kind == "correction" and sides[vote.side].thought for vote in session.votes)
        else "",
    )


def _json(row: dict[str, Any]) -> str:
    """A row as JSON, one field a line."""
    fields = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in row.items()]
    return "{\n" + ",\n".join(fields) + "\n}"


def _side_to_vote_on(session: TourSession, name: str, written: TourAnswer, title: str) -> _Side:
    waiting = "" if written.finish_reason or written.answer or written.thought else session.chat_texts.waiting
    is_over = written.finish_reason is not None
    return _Side(
        name, title, "", waiting, written.thought, written.is_thinking, markdown(written.answer), "", is_over
    )
