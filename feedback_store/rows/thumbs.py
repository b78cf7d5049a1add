"""Thumbs: one reply, good or bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from feedback_store.records import Rating, Reply
from feedback_store.rows.reading import with_messages
from feedback_store.rows.rules import (
    DEFAULT_RULES,
    Limit,
    Made,
    Rules,
    Tally,
    Vote,
    digest,
    prompt_key,
    rows_of,
    sole_rater,
)

if TYPE_CHECKING:
    from feedback_store.store import FeedbackStore


@dataclass(frozen=True)
class RatedReply:
    """A reply, the `role` and `content` of the messages that led to it, and every standing vote on it."""

    reply: Reply
    messages: list[dict[str, str]]
    ratings: Sequence[Rating]


@dataclass(frozen=True)
class UnpairedRow:
    """One reply that people found good (`label` true) or bad.

    `messages` hold `role` and `content` up to the user's turn; earlier thoughts are left out, as they were
    when the reply was made. `prompt_ids` and `completion_ids` are token for token what was served. `votes` is
    how many people judged, withdrawn votes aside; where one did, `rater` is a digest of who.
    """

    reply_id: str
    messages: list[dict[str, str]]
    think: bool
    thought: str | None
    answer: str
    prompt_ids: list[int]
    completion_ids: list[int]
    label: bool
    votes: int
    version: str
    finish_reason: str
    rater: str | None = None


def from_store(
    store: FeedbackStore, version: str | None = None, rules: Rules = DEFAULT_RULES
) -> list[UnpairedRow]:
    """The unpaired rows of a store, in the order the replies were made; only what people consented to.

    `version` keeps the replies of one version.
    """
    return rows_of(made_from_store(store, version, rules, Counter()))


def unpaired(rated: Iterable[RatedReply], rules: Rules = DEFAULT_RULES) -> list[UnpairedRow]:
    """One row for each text that was rated, labelled by the majority of its raters.

    The same answer to nearly the same prompt is one text, however many replies said it: its votes are counted
    together, and its first reply stands for all. Withdrawn votes do not count; ties give no row.
    """
    known = list(rated)
    return rows_of(_made(lambda: known, rules, Counter()))


def made_from_store(
    store: FeedbackStore, version: str | None, rules: Rules, left_out: Counter[str]
) -> Iterator[Made[UnpairedRow]]:
    """`from_store` row by row, with the votes behind each; `left_out` counts what each rule took away.

    Reads the store twice, so that nothing but the votes is ever held in memory.
    """
    return _made(lambda: _rated_replies(store, version), rules, left_out)


def class_balance(labels: Iterable[bool]) -> dict[str, float]:
    """How many thumbs point up and down, and the weights that make both sides count the same in KTO.

    `desirable_weight` x up = `undesirable_weight` x down, the commoner side weighs 1 (Ethayarajh et al. 2024,
    eq. 9, at a ratio of 1). Weights are 1 where one side is empty: no weight can balance that.
    """
    counted = Counter(bool(label) for label in labels)
    up, down = counted[True], counted[False]
    both = up > 0 and down > 0
    return {
        "up": up,
        "down": down,
        "desirable_weight": max(1.0, down / up) if both else 1.0,
        "undesirable_weight": max(1.0, up / down) if both else 1.0,
    }


def _made(
    read: Callable[[], Iterable[RatedReply]], rules: Rules, left_out: Counter[str]
) -> Iterator[Made[UnpairedRow]]:
    tally = Tally(rules, left_out)
    for one in read():
        for rating in one.ratings:
            if rating.value != 0:
                where = one.reply.conversation_id
                vote = Vote("rating", rating.rater, rating.value, (rating.reply_id,), where)
                tally.add(_key(one), vote)
    limit = Limit(rules, left_out)
    judged: set[bytes] = set()
    for one in read():
        key = _key(one)
        votes = tally.votes(key)
        if key in judged or not any(one.reply.id in vote.replies for vote in votes):
            continue
        judged.add(key)
        verdict = tally.verdict(key)
        if verdict and limit.passes(prompt_key(one.messages, one.reply.think), key):
            yield Made(_row(one, verdict > 0, votes), votes)


def _key(one: RatedReply) -> bytes:
    reply = one.reply
    return digest(prompt_key(one.messages, reply.think), reply.thought or "", reply.answer)


def _row(one: RatedReply, label: bool, votes: Sequence[Vote]) -> UnpairedRow:
    reply = one.reply
    return UnpairedRow(
        reply_id=reply.id,
        messages=one.messages,
        think=reply.think,
        thought=reply.thought,
        answer=reply.answer,
        prompt_ids=reply.prompt_ids,
        completion_ids=reply.completion_ids,
        label=label,
        votes=len(votes),
        version=reply.version,
        finish_reason=reply.finish_reason,
        rater=sole_rater(votes),
    )


def _rated_replies(store: FeedbackStore, version: str | None) -> Iterator[RatedReply]:
    rated = store.ratings(version, consented=True)
    by_reply = (list(group) for _, group in groupby(rated, key=lambda pair: pair[0].reply_id))
    for pairs, messages in with_messages(store, by_reply, lambda pairs: pairs[0][1].parent_id):
        yield RatedReply(pairs[0][1], messages, [rating for rating, _ in pairs])
