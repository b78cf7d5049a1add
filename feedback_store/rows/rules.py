"""The rules by which feedback becomes rows: whose votes count, how often, and which side wins."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from feedback_store.errors import InvalidRules
from feedback_store.rows.prompt_matching import rater_key

Row = TypeVar("Row")


@dataclass(frozen=True)
class Rules:
    """Settings that decide how votes become rows. Raises InvalidRules for a value that cannot select anything."""

    minimum_votes: int = 1
    """Number of people who must have voted. One, because at home there is one; a public page can ask for more."""
    majority: float = 0.5
    """The winning side needs more than this share of the votes (at least 0.5, below 1). A tie gives no row."""
    most_per_rater: int = 1_000
    """Maximum number of votes counted per person, the earliest first, so that no single taste dominates."""
    most_per_prompt: int = 16
    """Maximum number of rows for nearly the same prompt: a thousand times "hi" must not outweigh all the rest."""
    blind_only: bool = False
    """Whether to leave out comparisons in which the rater knew where the replies came from."""

    def __post_init__(self) -> None:
        for name in ("minimum_votes", "most_per_rater", "most_per_prompt"):
            if getattr(self, name) < 1:
                raise InvalidRules(f"{name} is a whole number of at least 1, not {getattr(self, name)!r}.")
        if not 0.5 <= self.majority < 1:
            raise InvalidRules(f"majority is a share of at least 0.5 and below 1, not {self.majority!r}.")


DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class CountedVote:
    """One person's vote, as it counts towards a row.

    `kind` is "rating", "correction", "comparison" or "prompt" and `replies` holds the ids of the replies that it is
    about, in `conversation`. `value` is 1 (for), -1 (against) or 0 (neither).
    """

    kind: str
    rater: str
    value: int
    replies: tuple[str, ...]
    conversation: str


@dataclass(frozen=True)
class RowWithVotes(Generic[Row]):
    """A row and the votes that it was made from."""

    row: Row
    votes: tuple[CountedVote, ...]


class VoteTally:
    """Counts votes by subject (a text, or a pair of texts). A person has one vote on a subject: the latest one.

    Votes that a rule excludes are counted in `left_out`, by the rule's name.
    """

    def __init__(self, rules: Rules, left_out: Counter[str]) -> None:
        self._rules = rules
        self._left_out = left_out
        self._votes: dict[bytes, dict[str, CountedVote]] = {}
        self._used: Counter[str] = Counter()

    def add(self, key: bytes, vote: CountedVote) -> None:
        """Count a vote on the subject `key`, unless its rater has reached `most_per_rater`."""
        votes = self._votes.get(key, {})
        if vote.rater not in votes:
            if self._used[vote.rater] >= self._rules.most_per_rater:
                self._left_out["most_per_rater"] += 1
                return
            self._used[vote.rater] += 1
        self._votes[key] = votes
        votes[vote.rater] = vote

    def votes(self, key: bytes) -> tuple[CountedVote, ...]:
        """The counted votes on a subject, sorted by rater."""
        return tuple(vote for _, vote in sorted(self._votes.get(key, {}).items()))

    def verdict(self, key: bytes) -> int:
        """1 or -1 if the majority is for or against; 0 if there is no majority, or too few people voted."""
        values = [vote.value for vote in self._votes.get(key, {}).values()]
        if len(values) < self._rules.minimum_votes:
            if values:
                self._left_out["minimum_votes"] += 1
            return 0
        for side in (1, -1):
            if values.count(side) > self._rules.majority * len(values):
                return side
        self._left_out["majority"] += 1
        return 0


class RowLimit:
    """Accepts each row once, and at most `most_per_prompt` rows for one prompt."""

    def __init__(self, rules: Rules, left_out: Counter[str]) -> None:
        self._most = rules.most_per_prompt
        self._left_out = left_out
        self._seen: set[bytes] = set()
        self._accepted: Counter[bytes] = Counter()

    def accepts(self, prompt: bytes, key: bytes) -> bool:
        """Whether to keep the row that `key` identifies for this prompt. Counts it if so."""
        if key in self._seen:
            self._left_out["repeated"] += 1
            return False
        self._seen.add(key)
        if self._accepted[prompt] >= self._most:
            self._left_out["most_per_prompt"] += 1
            return False
        self._accepted[prompt] += 1
        return True


def sole_rater(votes: Sequence[CountedVote]) -> str | None:
    """The digest of the rater if all votes come from one person; else None."""
    raters = {vote.rater for vote in votes}
    return rater_key(raters.pop()) if len(raters) == 1 else None


def without_votes(rows: Iterator[RowWithVotes[Row]]) -> list[Row]:
    """The rows alone."""
    return [item.row for item in rows]
