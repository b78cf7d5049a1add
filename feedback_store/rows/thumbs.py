"""Unpaired rows: one reply with a label, good or bad, from the thumbs that people gave it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from feedback_store.progress_bars import ShowProgress, no_progress
from feedback_store.records import Rating, Reply, Thumb
from feedback_store.rows.prompt_matching import digest, prompt_key
from feedback_store.rows.rules import (
    DEFAULT_RULES,
    CountedVote,
    RowLimit,
    RowWithVotes,
    Rules,
    VoteTally,
    sole_rater,
    without_votes,
)

if TYPE_CHECKING:
    from feedback_store.store.open_store import FeedbackStore

REPLIES_AT_ONCE = 500  # read by one query


@dataclass(frozen=True)
class RatedReply:
    """A reply, the `role` and `content` of the messages before it, and every standing rating of it."""

    reply: Reply
    messages: list[dict[str, str]]
    ratings: Sequence[Rating]


@dataclass(frozen=True)
class UnpairedRow:
    """One reply that the majority of its raters found good (`label` is true) or bad.

    `messages` holds the `role` and `content` of each message up to the user message that was answered. Earlier
    thoughts are left out, as they were when the reply was generated. `prompt_ids` and `completion_ids` are exactly
    the tokens that were served. `votes` is the number of people who rated, without withdrawn ratings; if that is
    one person, `rater` is a digest of their id.
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
    """The unpaired rows of a store, in the order in which the replies were made; of one `version` if given.

    Uses only ratings by people who consented, in conversations of people who consented.
    """
    return without_votes(iter_unpaired(store, version, rules, Counter()))


def unpaired(rated: Iterable[RatedReply], rules: Rules = DEFAULT_RULES) -> list[UnpairedRow]:
    """One row for each text that was rated, labelled by the majority of its raters.

    The same answer to nearly the same prompt is one text, even if several replies gave it: their ratings are counted
    together, and the first reply stands for all. Withdrawn ratings do not count, and a tie gives no row.
    """
    known = {item.reply.id: item for item in rated}
    thumbs = ((thumb, item.messages) for item in known.values() for thumb in _thumbs(item))
    labels = _labelled_replies(thumbs, rules, Counter())
    return [_row(known[label.reply_id].reply, known[label.reply_id].messages, label) for label in labels]


def iter_unpaired(
    store: FeedbackStore,
    version: str | None,
    rules: Rules,
    left_out: Counter[str],
    progress: ShowProgress = no_progress,
) -> Iterator[RowWithVotes[UnpairedRow]]:
    """Yield the rows of `unpaired_rows` with their votes; `left_out` counts what each rule excluded.

    All labels are decided first, and the replies read afterwards, so that only votes are held in memory.
    """
    thumbs = progress(store.thumbs(version, consented=True), "reading thumbs")
    labels = _labelled_replies(store.with_transcripts(thumbs, lambda thumb: thumb.parent_id), rules, left_out)
    while batch := list(islice(labels, REPLIES_AT_ONCE)):
        # A reply that was forgotten after its label was decided is left out.
        replies = store.replies([label.reply_id for label in batch])
        pairs = ((label, replies[label.reply_id]) for label in batch if label.reply_id in replies)
        for (label, reply), messages in store.with_transcripts(pairs, lambda pair: pair[1].parent_id):
            yield RowWithVotes(_row(reply, messages, label), label.votes)


def class_balance(labels: Iterable[bool]) -> dict[str, float]:
    """Count thumbs up and down, and compute the weights that make both sides count the same in KTO.

    `desirable_weight` x up = `undesirable_weight` x down, and the larger side has weight 1 (Ethayarajh et al. 2024,
    "KTO: Model Alignment as Prospect Theoretic Optimization", eq. 9, at a ratio of 1). Both weights are 1 if one side
    is empty, because no weight can balance that.
    """
    counts = Counter(bool(label) for label in labels)
    up, down = counts[True], counts[False]
    both = up > 0 and down > 0
    return {
        "up": up,
        "down": down,
        "desirable_weight": max(1.0, down / up) if both else 1.0,
        "undesirable_weight": max(1.0, up / down) if both else 1.0,
    }


@dataclass(frozen=True, slots=True)
class _LabelledReply:
    """The id of a reply that becomes a row, its label (true: good), and the votes behind the label."""

    reply_id: str
    label: bool
    votes: tuple[CountedVote, ...]


def _labelled_replies(
    thumbs: Iterable[tuple[Thumb, list[dict[str, str]]]], rules: Rules, left_out: Counter[str]
) -> Iterator[_LabelledReply]:
    """Label replies by their thumbs, which come with their messages and grouped by reply; replies in that order."""
    tally = VoteTally(rules, left_out)
    keys: dict[str, tuple[bytes, bytes]] = {}
    for thumb, messages in thumbs:
        prompt = prompt_key(messages, thumb.think)
        text = digest(prompt, thumb.thought or "", thumb.answer)
        keys[thumb.reply_id] = (text, prompt)
        vote = CountedVote("rating", thumb.rater, thumb.value, (thumb.reply_id,), thumb.conversation_id)
        tally.add(text, vote)
    limit = RowLimit(rules, left_out)
    judged: set[bytes] = set()
    for reply_id, (text, prompt) in keys.items():
        votes = tally.votes(text)
        if text in judged or not any(reply_id in vote.replies for vote in votes):
            continue
        judged.add(text)
        verdict = tally.verdict(text)
        if verdict and limit.accepts(prompt, text):
            yield _LabelledReply(reply_id, verdict > 0, votes)


def _thumbs(item: RatedReply) -> Iterator[Thumb]:
    reply = item.reply
    fields = (reply.conversation_id, reply.parent_id, reply.version, reply.think, reply.thought, reply.answer)
    return (
        Thumb(reply.id, rating.rater, rating.value, *fields) for rating in item.ratings if rating.value != 0
    )


def _row(reply: Reply, messages: list[dict[str, str]], label: _LabelledReply) -> UnpairedRow:
    return UnpairedRow(
        reply_id=reply.id,
        messages=messages,
        think=reply.think,
        thought=reply.thought,
        answer=reply.answer,
        prompt_ids=reply.prompt_ids,
        completion_ids=reply.completion_ids,
        label=label.label,
        votes=len(label.votes),
        version=reply.version,
        finish_reason=reply.finish_reason,
        rater=sole_rater(label.votes),
    )
