"""The tour as HTML: the bar on top, the list of claims, and one screen a claim."""

from __future__ import annotations

from markupsafe import Markup

from assistant.page.session.tour_session import TourSession
from assistant.page.tour.claim_results import are_docs_here, claim_results
from assistant.page.views.templates import render

CLAIMS = (
    "word_chain",
    "base_and_assistant",
    "scarce_pairs",
    "two_languages",
    "range_and_data",
    "loss_and_optimisation",
    "votes_and_rows",
    "occasionally_good",
    "reward_model_saves_people",
    "chain_of_thought",
    "alignment_beats_size",
)
"""The screens, in the order in which an assistant is made. All but `votes_and_rows` are claims that
`benchmarks.claims` measures under the same name."""

LIVE: tuple[str, ...] = ()
"""Those that can be tried on the page."""

NOT_MEASURED = ("votes_and_rows",)
"""What is no claim about figures."""


def head(session: TourSession) -> Markup:
    """The bar: name, language, link to the chat."""
    return render("tour/head.html", texts=session.texts, chat_texts=session.chat_texts)


def intro(session: TourSession) -> Markup:
    """What the tour is, and its claims."""
    return render("tour/intro.html", texts=session.texts, claims=CLAIMS, live=LIVE)


def screen(session: TourSession, name: str) -> Markup:
    """A claim in words, with its result where it was measured."""
    place = CLAIMS.index(name)
    return render(
        "tour/screen.html",
        texts=session.texts,
        name=name,
        number=place + 1,
        count=len(CLAIMS),
        result=claim_results(session.language).get(name),
        is_measured=name not in NOT_MEASURED,
        are_docs_here=are_docs_here(),
    )


def onward(session: TourSession, name: str) -> Markup:
    """The link from a screen to the next, from the last to the beginning."""
    place = CLAIMS.index(name) + 1
    return render(
        "tour/onward.html", texts=session.texts, next=CLAIMS[place] if place < len(CLAIMS) else None
    )
