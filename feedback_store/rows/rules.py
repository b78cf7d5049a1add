"""The rules by which votes become rows: who counts, how often, and what is the same as what."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Generic, TypeVar

from feedback_store.errors import InvalidRules

# Signs that end or join sentences. Others, such as - and *, are sums: 2-2 and 2*2 must stay two questions.
_STOPS = re.compile(r"[。，！？、；：…]|[.,;:!?\"'“”‘’]+(?=\s|$)|(?<!\S)[\"'“”‘’]+")
_SPACES = re.compile(r"\s+")

Row = TypeVar("Row")


@dataclass(frozen=True)
class Rules:
    """How votes become rows. Raises InvalidRules where a value can select nothing sensible."""

    minimum_votes: int = 1
    """How many people must have judged. One, because at home there is one; a public page can ask for more."""
    majority: float = 0.5
    """The winning side needs more than this share of them (at least 0.5, below 1). Ties teach nothing."""
    most_per_rater: int = 1_000
    """How many votes of one person count, the earliest first: nobody's taste alone becomes everyone's."""
    most_per_prompt: int = 16
    """How many rows nearly the same prompt may give: "hi", asked a thousand times, must not outweigh the rest."""
    blind_only: bool = False
    """Whether choices that knew where the replies came from are left out. Kept by default: few people test."""

    def __post_init__(self) -> None:
        for name in ("minimum_votes", "most_per_rater", "most_per_prompt"):
            if getattr(self, name) < 1:
                raise InvalidRules(f"{name} is a whole number from 1 on, not {getattr(self, name)!r}.")
        if not 0.5 <= self.majority < 1:
            raise InvalidRules(f"majority is a share from 0.5 to below 1, not {self.majority!r}.")


DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class CountedVote:
    """One person's word on something. `kind` and `replies` name the signal, `conversation` where it was said.

    `value` is 1 for, -1 against, 0 neither.
    """

    kind: str
    rater: str
    value: int
    replies: tuple[str, ...]
    conversation: str


@dataclass(frozen=True)
class RowWithVotes(Generic[Row]):
    """A row, and the votes that made it."""

    row: Row
    votes: tuple[CountedVote, ...]


class VoteTally:
    """Who said what of each thing. Each person counts once for a thing, with the last word."""

    def __init__(self, rules: Rules, left_out: Counter[str]) -> None:
        self._rules = rules
        self._left_out = left_out
        self._votes: dict[bytes, dict[str, CountedVote]] = {}
        self._used: Counter[str] = Counter()

    def add(self, key: bytes, vote: CountedVote) -> None:
        """Count a vote on what `key` names, unless its rater has said enough."""
        votes = self._votes.get(key, {})
        if vote.rater not in votes:
            if self._used[vote.rater] >= self._rules.most_per_rater:
                self._left_out["most_per_rater"] += 1
                return
            self._used[vote.rater] += 1
        self._votes[key] = votes
        votes[vote.rater] = vote

    def votes(self, key: bytes) -> tuple[CountedVote, ...]:
        """All that counts, by rater."""
        return tuple(vote for _, vote in sorted(self._votes.get(key, {}).items()))

    def verdict(self, key: bytes) -> int:
        """1 or -1 where the majority is for or against; 0 where there is none, or too few people judged."""
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


def sole_rater(votes: Sequence[CountedVote]) -> str | None:
    """A digest of the rater where one person alone gave the votes; else None."""
    raters = {vote.rater for vote in votes}
    return rater_key(raters.pop()) if len(raters) == 1 else None


def rater_key(rater: str) -> str:
    """What rows carry in place of a rater's id: 16 hexadecimal digits that do not lead back to it."""
    return hashlib.sha256(f"rater {rater}".encode()).hexdigest()[:16]


def prompt_key(messages: Sequence[dict[str, str]], think: bool) -> bytes:
    """Equal for nearly the same prompt in the same thinking mode. 16 bytes."""
    return digest("thinking" if think else "answering", normal_prompt(messages))


def normal_prompt(messages: Sequence[dict[str, str]]) -> str:
    """One text for all prompts that differ only in case, spaces or the punctuation around words.

    All that asks whether two prompts are the same asks by this: what counts as a repetition, and what is held out.
    It is the JSON of all [role, content], and must stay so: its hash decides what is held out.
    """
    return f"[{', '.join(_normal_turn(message['role'], message['content']) for message in messages)}]"


@lru_cache(maxsize=1_000)  # a conversation's messages stand in the prompts of all its replies
def _normal_turn(role: str, content: str) -> str:
    return f"[{encode_basestring(role)}, {encode_basestring(normalised(content))}]"


def normalised(text: str) -> str:
    """The text in lower case, with single spaces, and without the punctuation of sentences."""
    return _SPACES.sub(" ", _STOPS.sub("", text.casefold())).strip()


def digest(*texts: str | bytes) -> bytes:
    """16 bytes that name these texts in this order."""
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    return hashlib.sha256(b"".join(len(one).to_bytes(8, "big") + one for one in encoded)).digest()[:16]


def held_out(row: Any, share: float = 0.1, raters: float = 0.0) -> bool:
    """Whether a row of any kind is kept away from training, to evaluate on.

    Decided by the prompt's normal form alone, so that all replies to nearly the same prompt, in either thinking
    mode, fall on one side, today and in every later export. About `share` of all prompts (0 to 1) are held out,
    and a larger share keeps those of a smaller one. `raters` holds out, likewise, the rows that one person alone
    gave, for that share of all people: nothing by default, because where one person rates that could be everything.
    """
    if _below(normal_prompt(row.messages), share):
        return True
    return raters > 0 and row.rater is not None and _below(row.rater, raters)


def _below(text: str, share: float) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") < share * 2**64


class RowLimit:
    """Lets through each thing once, and of things under one prompt only so many."""

    def __init__(self, rules: Rules, left_out: Counter[str]) -> None:
        self._most = rules.most_per_prompt
        self._left_out = left_out
        self._seen: set[bytes] = set()
        self._given: Counter[bytes] = Counter()

    def passes(self, prompt: bytes, key: bytes) -> bool:
        """Whether a row named `key` may be given for the prompt."""
        if key in self._seen:
            self._left_out["repeated"] += 1
            return False
        self._seen.add(key)
        if self._given[prompt] >= self._most:
            self._left_out["most_per_prompt"] += 1
            return False
        self._given[prompt] += 1
        return True


def without_votes(made: Iterator[RowWithVotes[Row]]) -> list[Row]:
    """The rows alone."""
    return [one.row for one in made]
