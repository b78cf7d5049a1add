"""Thumbs: one reply, good or bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from feedback_store.progress_bars import ShowProgress, no_progress
from feedback_store.records import Rating, Reply, Thumb
from feedback_store.rows.rules import (
    DEFAULT_RULES,
    CountedVote,
    RowLimit,
    RowWithVotes,
    Rules,
    VoteTally,
    digest,
    prompt_key,
    sole_rater,
    without_votes,
)

if TYPE_CHECKING:
    from feedback_store.store.open_store import FeedbackStore

REPLIES_AT_ONCE = 500  # read together


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


def unpaired_rows(
    store: FeedbackStore, version: str | None = None, rules: Rules = DEFAULT_RULES
) -> list[UnpairedRow]:
    """The unpaired rows of a store, in the order the replies were made; only what people consented to.

    `version` keeps the replies of one version.
    """
    return without_votes(iter_unpaired(store, version, rules, Counter()))


def unpaired(rated: Iterable[RatedReply], rules: Rules = DEFAULT_RULES) -> list[UnpairedRow]:
    """One row for each text that was rated, labelled by the majority of its raters.

    The same answer to nearly the same prompt is one text, however many replies said it: its votes are counted
    together, and its first reply stands for all. Withdrawn votes do not count; ties give no row.
    """
    known = {one.reply.id: one for one in rated}
    thumbs = ((thumb, one.messages) for one in known.values() for thumb in _thumbs(one))
    decided = _decided(thumbs, rules, Counter())
    return [_row(known[one.reply_id].reply, known[one.reply_id].messages, one) for one in decided]


def iter_unpaired(
    store: FeedbackStore,
    version: str | None,
    rules: Rules,
    left_out: Counter[str],
    progress: ShowProgress = no_progress,
) -> Iterator[RowWithVotes[UnpairedRow]]:
    """`unpaired_rows` row by row, with the votes behind each; `left_out` counts what each rule took away.

    Decides first, and then reads the replies that became rows: nothing but the votes is ever held in memory.
    """
    thumbs = progress(store.thumbs(version, consented=True), "reading thumbs")
    decided = _decided(store.with_transcripts(thumbs, lambda thumb: thumb.parent_id), rules, left_out)
    while some := list(islice(decided, REPLIES_AT_ONCE)):
        # What was forgotten since it was decided on is left out.
        replies = store.replies([one.reply_id for one in some])
        there = ((one, replies[one.reply_id]) for one in some if one.reply_id in replies)
        for (one, reply), messages in store.with_transcripts(there, lambda pair: pair[1].parent_id):
            yield RowWithVotes(_row(reply, messages, one), one.votes)


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


@dataclass(frozen=True, slots=True)
class _Decided:
    """Which reply becomes a row, and by which votes it is good (`label` true) or bad."""

    reply_id: str
    label: bool
    votes: tuple[CountedVote, ...]


def _decided(
    thumbs: Iterable[tuple[Thumb, list[dict[str, str]]]], rules: Rules, left_out: Counter[str]
) -> Iterator[_Decided]:
    """What becomes of thumbs, given with their messages and all on one reply together; replies in their order."""
    tally = VoteTally(rules, left_out)
    said: dict[str, tuple[bytes, bytes]] = {}
    for thumb, messages in thumbs:
        prompt = prompt_key(messages, thumb.think)
        key = digest(prompt, thumb.thought or "", thumb.answer)
        said[thumb.reply_id] = (key, prompt)
        tally.add(
            key, CountedVote("rating", thumb.rater, thumb.value, (thumb.reply_id,), thumb.conversation_id)
        )
    limit = RowLimit(rules, left_out)
    judged: set[bytes] = set()
    for reply_id, (key, prompt) in said.items():
        votes = tally.votes(key)
        if key in judged or not any(reply_id in vote.replies for vote in votes):
            continue
        judged.add(key)
        verdict = tally.verdict(key)
        if verdict and limit.passes(prompt, key):
            yield _Decided(reply_id, verdict > 0, votes)


def _thumbs(one: RatedReply) -> Iterator[Thumb]:
    reply = one.reply
    about = (reply.conversation_id, reply.parent_id, reply.version, reply.think, reply.thought, reply.answer)
    return (
        Thumb(reply.id, rating.rater, rating.value, *about) for rating in one.ratings if rating.value != 0
    )


def _row(reply: Reply, messages: list[dict[str, str]], decided: _Decided) -> UnpairedRow:
    return UnpairedRow(
        reply_id=reply.id,
        messages=messages,
        think=reply.think,
        thought=reply.thought,
        answer=reply.answer,
        prompt_ids=reply.prompt_ids,
        completion_ids=reply.completion_ids,
        label=decided.label,
        votes=len(decided.votes),
        version=reply.version,
        finish_reason=reply.finish_reason,
        rater=sole_rater(decided.votes),
    )
