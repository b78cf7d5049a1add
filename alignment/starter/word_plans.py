"""What the word problems compute, apart from any language: the numbers of each story and its steps."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Story:
    """One story in one language. Texts hold {a}…{d}, {name}, {other}, {third}, {things} to fill in."""

    counted: str | tuple[str, ...]
    """What the answer counts: a category of things, or a unit (in English singular, plural, synonyms)."""
    openings: tuple[str, ...]
    events: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    """What is asked after the second step; empty, like `events`, where the story has one step only."""
    labels: tuple[str, ...] = ()
    """What each step computes, in words."""
    more: tuple[str, ...] = ()
    """The event of the third step; empty where the story has fewer than three steps."""
    last_asks: tuple[str, ...] = ()
    """What is asked after the third step."""
    first_asks: tuple[str, ...] = field(default=(), kw_only=True)
    """What is asked right after the opening, about the first step; empty where that needs more than {a}, {b}."""
    first_counted: str | tuple[str, ...] = field(default="", kw_only=True)
    """What the answer to the first step counts where it is not what the last answer counts."""
    things: str = field(default="", kw_only=True)
    """The category of {things} where the answer counts something else."""
    unit: tuple[str, ...] = field(default=(), kw_only=True)
    """The unit of the answer where it differs from `counted`."""


@dataclass(frozen=True)
class Plan:
    """Ranges of the numbers a, b, c, d, and steps over them; "1" to "3" are the results so far."""

    ranges: tuple[tuple[int, int], ...]
    steps: tuple[str, ...]


PLANS = {
    "bags": Plan(((2, 9), (3, 15), (2, 60), (2, 60)), ("a×b", "1-c", "2+d")),
    "change": Plan(((2, 9), (2, 20), (20, 200), (5, 200)), ("a×b", "c-1", "2+d")),
    "sharing": Plan(((2, 60), (2, 60), (2, 9), (2, 60)), ("a+b", "1÷c", "2+d")),
    "reading": Plan(((8, 60), (2, 9), (80, 600), (5, 90)), ("a×b", "c-1", "2-d")),
    "savings": Plan(((3, 40), (2, 9), (5, 300), (5, 200)), ("a×b", "1+c", "2-d")),
    "work": Plan(((2, 9), (9, 40), (5, 90), (2, 40)), ("a×b", "1+c", "2-d")),
    "bus": Plan(((12, 80), (2, 40), (2, 40), (2, 30)), ("a-b", "1+c", "2+d")),
    "trip": Plan(((30, 99), (2, 9), (150, 900), (5, 90)), ("a×b", "c-1", "2-d")),
    "recipe": Plan(((20, 99), (2, 9), (100, 900), (50, 500)), ("a×b", "c-1", "2+d")),
    "classes": Plan(((2, 9), (18, 45), (2, 30), (2, 60)), ("a×b", "1-c", "2+d")),
    "garden": Plan(((2, 9), (4, 40), (2, 80), (2, 50)), ("a×b", "1+c", "2-d")),
    "temperature": Plan(((5, 25), (3, 14), (2, 19)), ("a+b", "1-c")),
    "tickets": Plan(((2, 9), (6, 60), (8, 150), (3, 50)), ("a×b", "1+c", "2-d")),
    "ages": Plan(((3, 12), (2, 6), (2, 15)), ("a×b", "1+c")),
    "pocket_money": Plan(((40, 500), (5, 200), (5, 200), (5, 200)), ("a-b", "1-c", "2+d")),
    "homework": Plan(((2, 9), (2, 15), (5, 60), (10, 60)), ("a×b", "1+c", "2+d")),
    "bakery": Plan(((2, 9), (6, 40), (5, 200), (5, 99)), ("a×b", "1-c", "2+d")),
    "farm": Plan(((20, 300), (3, 150), (2, 60)), ("a-b", "1+c")),
    "boxes": Plan(((6, 81), (2, 9), (2, 60)), ("a÷b", "1+c")),
    "library": Plan(((30, 400), (30, 400), (5, 300), (3, 99)), ("a+b", "1-c", "2+d")),
    "stickers": Plan(((5, 120), (3, 99), (2, 99)), ("a+b", "1-c")),
    "water": Plan(((60, 600), (2, 9), (3, 30), (5, 200)), ("b×c", "a-1", "2+d")),
    "team_points": Plan(((2, 9), (3, 40), (2, 80), (2, 90)), ("a×b", "1-c", "2+d")),
    "rope": Plan(((30, 300), (2, 9), (2, 30)), ("b×c", "a-1")),
    "fence": Plan(((20, 300), (10, 200), (8, 300)), ("a+b", "1-c")),
    "weights": Plan(((2, 9), (5, 50), (3, 90), (3, 90)), ("a×b", "1+c", "2-d")),
    "phone": Plan(((8, 200), (8, 200), (3, 150)), ("a+b", "1-c")),
    "eggs": Plan(((3, 40), (3, 7), (5, 150)), ("a×b", "1-c")),
    "running": Plan(((2, 9), (40, 95), (50, 400)), ("a×b", "1+c")),
    "parking": Plan(((2, 9), (20, 99), (15, 400)), ("a×b", "1-c")),
    "cinema": Plan(((5, 30), (5, 9), (10, 200), (2, 60)), ("a×b", "1-c", "2+d")),
    "candles": Plan(((5, 90), (4, 90), (3, 99)), ("a+b", "1-c")),
    "price_gap": Plan(((60, 500), (5, 300), (3, 150)), ("a-b", "1+c")),
    "shop": Plan(((20, 900), (5, 600)), ("a-b",)),
    "giving": Plan(((8, 300), (2, 200)), ("a-b",)),
    "fewer": Plan(((8, 300), (2, 200)), ("a-b",)),
    "gap": Plan(((8, 400), (3, 300)), ("a-b",)),
    "two_groups": Plan(((20, 480), (20, 480)), ("a+b",)),
    "price_more": Plan(((8, 450), (3, 300)), ("a+b",)),
    "two_days": Plan(((3, 400), (3, 400)), ("a+b",)),
    "times_as_many": Plan(((3, 60), (2, 9)), ("a×b",)),
    "price_each": Plan(((3, 60), (2, 9)), ("a×b",)),
    "shared": Plan(((4, 81), (2, 9)), ("a÷b",)),
    "chairs": Plan(((4, 81), (2, 9)), ("a÷b",)),
    "one_costs": Plan(((4, 81), (2, 9)), ("a÷b",)),
    "book_days": Plan(((6, 81), (3, 9)), ("a÷b",)),
    "ribbon": Plan(((4, 81), (2, 9)), ("a÷b",)),
}
