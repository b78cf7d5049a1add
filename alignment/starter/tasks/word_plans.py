"""The arithmetic of word problems, independent of language: each story's numbers and its steps."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Story:
    """One story in one language, from `text/word_stories.*.yaml`.

    Texts hold the placeholders {a} to {d}, {name}, {other}, {third} and {things}.
    """

    counted: str | tuple[str, ...]
    """What the answer counts: a category of things, or a unit (in English singular, plural, synonyms)."""
    openings: tuple[str, ...]
    events: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    """Questions after the second step; empty, like `events`, if the story has one step only."""
    labels: tuple[str, ...] = ()
    """What each step computes, in words."""
    more: tuple[str, ...] = ()
    """The event of the third step; empty if the story has fewer than three steps."""
    last_asks: tuple[str, ...] = ()
    """Questions after the third step."""
    first_asks: tuple[str, ...] = field(default=(), kw_only=True)
    """Questions right after the opening, about the first step; empty if the step needs more than {a} and {b}."""
    first_counted: str | tuple[str, ...] = field(default="", kw_only=True)
    """What the answer to the first step counts, if not the same as the last answer."""
    things: str = field(default="", kw_only=True)
    """The category of {things}, if the answer counts something else."""
    unit: tuple[str, ...] = field(default=(), kw_only=True)
    """The unit of the answer, if it differs from `counted`."""


@dataclass(frozen=True)
class ProblemPlan:
    """Ranges of the numbers a, b, c, d, and steps over them; "1" to "3" are the results so far."""

    ranges: tuple[tuple[int, int], ...]
    steps: tuple[str, ...]


PLANS = {
    "bags": ProblemPlan(((2, 9), (3, 15), (2, 60), (2, 60)), ("a×b", "1-c", "2+d")),
    "change": ProblemPlan(((2, 9), (2, 20), (20, 200), (5, 200)), ("a×b", "c-1", "2+d")),
    "sharing": ProblemPlan(((2, 60), (2, 60), (2, 9), (2, 60)), ("a+b", "1÷c", "2+d")),
    "reading": ProblemPlan(((8, 60), (2, 9), (80, 600), (5, 90)), ("a×b", "c-1", "2-d")),
    "savings": ProblemPlan(((3, 40), (2, 9), (5, 300), (5, 200)), ("a×b", "1+c", "2-d")),
    "work": ProblemPlan(((2, 9), (9, 40), (5, 90), (2, 40)), ("a×b", "1+c", "2-d")),
    "bus": ProblemPlan(((12, 80), (2, 40), (2, 40), (2, 30)), ("a-b", "1+c", "2+d")),
    "trip": ProblemPlan(((30, 99), (2, 9), (150, 900), (5, 90)), ("a×b", "c-1", "2-d")),
    "recipe": ProblemPlan(((20, 99), (2, 9), (100, 900), (50, 500)), ("a×b", "c-1", "2+d")),
    "classes": ProblemPlan(((2, 9), (18, 45), (2, 30), (2, 60)), ("a×b", "1-c", "2+d")),
    "garden": ProblemPlan(((2, 9), (4, 40), (2, 80), (2, 50)), ("a×b", "1+c", "2-d")),
    "temperature": ProblemPlan(((5, 25), (3, 14), (2, 19)), ("a+b", "1-c")),
    "tickets": ProblemPlan(((2, 9), (6, 60), (8, 150), (3, 50)), ("a×b", "1+c", "2-d")),
    "ages": ProblemPlan(((3, 12), (2, 6), (2, 15)), ("a×b", "1+c")),
    "pocket_money": ProblemPlan(((40, 500), (5, 200), (5, 200), (5, 200)), ("a-b", "1-c", "2+d")),
    "homework": ProblemPlan(((2, 9), (2, 15), (5, 60), (10, 60)), ("a×b", "1+c", "2+d")),
    "bakery": ProblemPlan(((2, 9), (6, 40), (5, 200), (5, 99)), ("a×b", "1-c", "2+d")),
    "farm": ProblemPlan(((20, 300), (3, 150), (2, 60)), ("a-b", "1+c")),
    "boxes": ProblemPlan(((6, 81), (2, 9), (2, 60)), ("a÷b", "1+c")),
    "library": ProblemPlan(((30, 400), (30, 400), (5, 300), (3, 99)), ("a+b", "1-c", "2+d")),
    "stickers": ProblemPlan(((5, 120), (3, 99), (2, 99)), ("a+b", "1-c")),
    "water": ProblemPlan(((60, 600), (2, 9), (3, 30), (5, 200)), ("b×c", "a-1", "2+d")),
    "team_points": ProblemPlan(((2, 9), (3, 40), (2, 80), (2, 90)), ("a×b", "1-c", "2+d")),
    "rope": ProblemPlan(((30, 300), (2, 9), (2, 30)), ("b×c", "a-1")),
    "fence": ProblemPlan(((20, 300), (10, 200), (8, 300)), ("a+b", "1-c")),
    "weights": ProblemPlan(((2, 9), (5, 50), (3, 90), (3, 90)), ("a×b", "1+c", "2-d")),
    "phone": ProblemPlan(((8, 200), (8, 200), (3, 150)), ("a+b", "1-c")),
    "eggs": ProblemPlan(((3, 40), (3, 7), (5, 150)), ("a×b", "1-c")),
    "running": ProblemPlan(((2, 9), (40, 95), (50, 400)), ("a×b", "1+c")),
    "parking": ProblemPlan(((2, 9), (20, 99), (15, 400)), ("a×b", "1-c")),
    "cinema": ProblemPlan(((5, 30), (5, 9), (10, 200), (2, 60)), ("a×b", "1-c", "2+d")),
    "candles": ProblemPlan(((5, 90), (4, 90), (3, 99)), ("a+b", "1-c")),
    "price_gap": ProblemPlan(((60, 500), (5, 300), (3, 150)), ("a-b", "1+c")),
    "shop": ProblemPlan(((20, 900), (5, 600)), ("a-b",)),
    "giving": ProblemPlan(((8, 300), (2, 200)), ("a-b",)),
    "fewer": ProblemPlan(((8, 300), (2, 200)), ("a-b",)),
    "gap": ProblemPlan(((8, 400), (3, 300)), ("a-b",)),
    "two_groups": ProblemPlan(((20, 480), (20, 480)), ("a+b",)),
    "price_more": ProblemPlan(((8, 450), (3, 300)), ("a+b",)),
    "two_days": ProblemPlan(((3, 400), (3, 400)), ("a+b",)),
    "times_as_many": ProblemPlan(((3, 60), (2, 9)), ("a×b",)),
    "price_each": ProblemPlan(((3, 60), (2, 9)), ("a×b",)),
    "shared": ProblemPlan(((4, 81), (2, 9)), ("a÷b",)),
    "chairs": ProblemPlan(((4, 81), (2, 9)), ("a÷b",)),
    "one_costs": ProblemPlan(((4, 81), (2, 9)), ("a÷b",)),
    "book_days": ProblemPlan(((6, 81), (3, 9)), ("a÷b",)),
    "ribbon": ProblemPlan(((4, 81), (2, 9)), ("a÷b",)),
}
