"""Pairs: of two answers to one prompt, which is better. From choices, thumbs on siblings, and corrections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from feedback_store.progress_bars import ShowProgress, no_progress
from feedback_store.records import Comparison, Rating, Reply
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

Source = Literal["siblings", "comparison", "correction"]


@dataclass(frozen=True)
class PairSide:
    """One side of a pair. `reply_id` and `completion_ids` are None where a person wrote it.

    `completion_ids` are also None where this side was served after another prompt's tokens than the pair has.
    """

    reply_id: str | None
    thought: str | None
    answer: str
    completion_ids: list[int] | None


@dataclass(frozen=True)
class PreferenceRow:
    """People found `chosen` better than `rejected` as an answer to `messages`, in one thinking mode.

    `prompt_ids` are token for token what the chosen reply was served with (of a correction: the reply that it
    corrects). `votes` is how many people judged; where one did, `rater` is a digest of who.
    """

    messages: list[dict[str, str]]
    think: bool
    prompt_ids: list[int]
    chosen: PairSide
    rejected: PairSide
    source: Source
    votes: int
    rater: str | None = None


def preferences(
    store: FeedbackStore, rules: Rules = DEFAULT_RULES, version: str | None = None
) -> list[PreferenceRow]:
    """The pairs of a store; only what people consented to.

    Comparisons come first, then siblings, then corrections, each in the order the replies were made. Two texts
    under nearly the same prompt are paired once: where sources disagree, the direct choice counts. `version` keeps
    pairs with a reply of this version.
    """
    return without_votes(iter_preferences(store, version, rules, Counter()))


def iter_preferences(
    store: FeedbackStore,
    version: str | None,
    rules: Rules,
    left_out: Counter[str],
    progress: ShowProgress = no_progress,
) -> Iterator[RowWithVotes[PreferenceRow]]:
    """`preferences` row by row, with the votes behind each; `left_out` counts what each rule took away.

    `version` keeps pairs with a reply of this version.
    """
    limit = RowLimit(rules, left_out)
    for made, what in ((_compared, "choices"), (_siblings, "siblings"), (_corrected, "corrections")):
        yield from progress(made(store, version, rules, limit, left_out), f"pairs from {what}")


def _compared(
    store: FeedbackStore, version: str | None, rules: Rules, limit: RowLimit, left_out: Counter[str]
) -> Iterator[RowWithVotes[PreferenceRow]]:
    tally = VoteTally(rules, left_out)
    for comparison, left, right, messages in _choices(store, version, rules, left_out):
        key, first, _ = _sorted(messages, left, right)
        side = 0 if comparison.preferred is None else 1 if comparison.preferred == first.id else -1
        replies = (comparison.left_reply_id, comparison.right_reply_id)
        tally.add(key, CountedVote("comparison", comparison.rater, side, replies, left.conversation_id))
    judged: set[bytes] = set()
    for _, left, right, messages in _choices(store, version, rules, Counter()):
        key, first, second = _sorted(messages, left, right)
        votes = tally.votes(key)
        if key in judged or not any({left.id, right.id} == set(vote.replies) for vote in votes):
            continue
        judged.add(key)
        verdict = tally.verdict(key)
        if verdict:
            better, worse = (first, second) if verdict > 0 else (second, first)
            yield from _pair(messages, better, worse, "comparison", votes, limit)


def _choices(
    store: FeedbackStore, version: str | None, rules: Rules, left_out: Counter[str]
) -> Iterator[tuple[Comparison, Reply, Reply, list[dict[str, str]]]]:
    """Comparisons that can make a pair, with their prompt."""
    found = store.comparisons(version, consented=True)
    for (comparison, left, right), messages in store.with_transcripts(found, lambda one: one[1].parent_id):
        if rules.blind_only and not comparison.blind:
            left_out["blind_only"] += 1
        elif _can_pair(left, right, left_out):
            yield comparison, left, right, messages


def _siblings(
    store: FeedbackStore, version: str | None, rules: Rules, limit: RowLimit, left_out: Counter[str]
) -> Iterator[RowWithVotes[PreferenceRow]]:
    tally = VoteTally(rules, left_out)
    found = store.contested_ratings(consented=True)
    for votes, messages in store.with_transcripts(found, lambda votes: votes[0][1].parent_id):
        liked, disliked = _sides(votes, tally)
        for better in liked:
            for worse in disliked:
                if version not in (None, better.version, worse.version):
                    continue
                if _can_pair(better, worse, left_out):
                    said = tally.votes(better.id.encode()) + tally.votes(worse.id.encode())
                    yield from _pair(messages, better, worse, "siblings", said, limit)


def _sides(votes: Sequence[tuple[Rating, Reply]], tally: VoteTally) -> tuple[list[Reply], list[Reply]]:
    """The replies that the majority likes, and those that it dislikes."""
    replies = {reply.id: reply for _, reply in votes}
    for rating, reply in votes:
        if rating.value != 0:
            where = reply.conversation_id
            tally.add(
                reply.id.encode(), CountedVote("rating", rating.rater, rating.value, (reply.id,), where)
            )
    verdicts = {reply_id: tally.verdict(reply_id.encode()) for reply_id in replies}
    liked = [reply for reply in replies.values() if verdicts[reply.id] > 0]
    return liked, [reply for reply in replies.values() if verdicts[reply.id] < 0]


def _corrected(
    store: FeedbackStore, version: str | None, rules: Rules, limit: RowLimit, left_out: Counter[str]
) -> Iterator[RowWithVotes[PreferenceRow]]:
    used: Counter[str] = Counter()
    found = (pair for pair in store.corrections(version, consented=True) if pair[0].text)
    for (correction, reply), messages in store.with_transcripts(found, lambda pair: pair[1].parent_id):
        if used[correction.rater] >= rules.most_per_rater:
            left_out["most_per_rater"] += 1
        elif reply.finish_reason == "error":
            left_out["failed"] += 1
        elif correction.text.strip() == reply.answer.strip():
            left_out["same_text"] += 1
        else:
            used[correction.rater] += 1
            # The same thought on both sides cancels out of the difference that is learned: the pair is about
            # the answer alone, which is all that the person wrote.
            better = PairSide(None, reply.thought, correction.text, None)
            vote = CountedVote("correction", correction.rater, 1, (reply.id,), reply.conversation_id)
            prompt = prompt_key(messages, reply.think)
            if limit.passes(prompt, _pair_key(prompt, better, _said(reply))):
                row = PreferenceRow(
                    messages=messages,
                    think=reply.think,
                    prompt_ids=reply.prompt_ids,
                    chosen=better,
                    rejected=_said(reply),
                    source="correction",
                    votes=1,
                    rater=sole_rater([vote]),
                )
                yield RowWithVotes(row, (vote,))


def _can_pair(one: Reply, other: Reply, left_out: Counter[str]) -> bool:
    if one.think != other.think:
        # They did not answer the same prompt: the mode is part of it.
        left_out["thinking_differs"] += 1
    elif "error" in (one.finish_reason, other.finish_reason):
        left_out["failed"] += 1
    elif (one.thought or "", one.answer) == (other.thought or "", other.answer):
        left_out["same_text"] += 1
    else:
        return True
    return False


def _pair(
    messages: list[dict[str, str]],
    better: Reply,
    worse: Reply,
    source: Source,
    votes: tuple[CountedVote, ...],
    limit: RowLimit,
) -> Iterator[RowWithVotes[PreferenceRow]]:
    chosen, rejected = _said(better), _said(worse)
    if worse.prompt_ids != better.prompt_ids:
        rejected = PairSide(worse.id, worse.thought, worse.answer, None)
    prompt = prompt_key(messages, better.think)
    if limit.passes(prompt, _pair_key(prompt, chosen, rejected)):
        row = PreferenceRow(
            messages=messages,
            think=better.think,
            prompt_ids=better.prompt_ids,
            chosen=chosen,
            rejected=rejected,
            source=source,
            votes=len({vote.rater for vote in votes}),
            rater=sole_rater(votes),
        )
        yield RowWithVotes(row, votes)


def _said(reply: Reply) -> PairSide:
    return PairSide(reply.id, reply.thought, reply.answer, reply.completion_ids)


def _sorted(messages: list[dict[str, str]], one: Reply, other: Reply) -> tuple[bytes, Reply, Reply]:
    """A key of two texts under a prompt, and the two replies in an order that depends on their texts alone."""
    first, second = sorted((one, other), key=lambda reply: _text_key(_said(reply)))
    return _pair_key(prompt_key(messages, one.think), _said(first), _said(second)), first, second


def _pair_key(prompt: bytes, one: PairSide, other: PairSide) -> bytes:
    return digest(prompt, *sorted((_text_key(one), _text_key(other))))


def _text_key(said: PairSide) -> bytes:
    return digest(said.thought or "", said.answer)
