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

LIVE = ("word_chain", "base_and_assistant", "votes_and_rows", "chain_of_thought")
"""Those that can be tried on the page."""

NOT_MEASURED = ("votes_and_rows",)
"""What is no claim about figures."""


def head(session: TourSession) -> Markup:
    """The bar: name, language, link to the chat."""
    return render("tour/head.html", texts=session.texts, chat_texts=session.chat_texts)


def intro(session: TourSession, is_live: bool) -> Markup:
    """What the tour is, and its claims. `is_live`: whether something can be tried."""
    return render("tour/intro.html", texts=session.texts, claims=CLAIMS, live=LIVE if is_live else ())


def screen(session: TourSession, name: str, is_live: bool) -> dict[str, Markup]:
    """A claim in words, its result if it was measured, and the link to the next screen."""
    texts, place = session.texts, CLAIMS.index(name)
    result = render(
        "tour/result.html",
        texts=texts,
        title=texts.titles[name],
        result=claim_results(session.language).get(name),
        is_folded=is_live and name in LIVE,
        missing=texts.not_measured if are_docs_here() else texts.not_here,
    )
    onward = CLAIMS[place + 1] if place + 1 < len(CLAIMS) else None
    return {
        name: render("tour/claim.html", texts=texts, name=name, number=place + 1, count=len(CLAIMS)),
        f"{name}-result": Markup() if name in NOT_MEASURED else result,
        f"{name}-onward": render("tour/onward.html", texts=texts, next=onward),
    }
