"""Preference rows: pairs of a better and a worse answer to one prompt.

They come from three sources: comparisons of two replies, thumbs up and down on replies to the same message (siblings),
and corrections, which are preferred to the replies that they correct.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from feedback_store.progress_bars import ShowProgress, no_progress
from feedback_store.records import Comparison, Rating, Reply
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

Source = Literal["siblings", "comparison", "correction"]


@dataclass(frozen=True)
class PairSide:
    """One answer of a pair. `reply_id` and `completion_ids` are None if a person wrote it.

    `completion_ids` is also None if the answer was served with other prompt tokens than the pair's `prompt_ids`.
    """

    reply_id: str | None
    thought: str | None
    answer: str
    completion_ids: list[int] | None


@dataclass(frozen=True)
class PreferenceRow:
    """Two answers to `messages` in one thinking mode, of which people preferred `chosen` to `rejected`.

    `prompt_ids` are exactly the tokens that the chosen reply was served with; for a correction, those of the reply
    that it corrects. `votes` is the number of people who judged; if that is one person, `rater` is a digest of
    their id.
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
    """The pairs of a store; only from feedback of people who consented.

    Pairs from comparisons come first, then from siblings, then from corrections, each in the order in which the
    replies were made. Two texts under nearly the same prompt are paired once, so that a direct comparison wins over
    thumbs that disagree with it. `version` keeps pairs with a reply of this version.
    """
    return without_votes(iter_preferences(store, version, rules, Counter()))


def iter_preferences(
    store: FeedbackStore,
    version: str | None,
    rules: Rules,
    left_out: Counter[str],
    progress: ShowProgress = no_progress,
) -> Iterator[RowWithVotes[PreferenceRow]]:
    """Yield the rows of `preferences` with their votes; `left_out` counts what each rule excluded.

    `version` keeps pairs with a reply of this version.
    """
    limit = RowLimit(rules, left_out)
    for pairs_from, source in (
        (_compared, "comparisons"),
        (_siblings, "siblings"),
        (_corrected, "corrections"),
    ):
        yield from progress(pairs_from(store, version, rules, limit, left_out), f"pairs from {source}")


def _compared(
    store: FeedbackStore, version: str | None, rules: Rules, limit: RowLimit, left_out: Counter[str]
) -> Iterator[RowWithVotes[PreferenceRow]]:
    tally = VoteTally(rules, left_out)
    for comparison, left, right, messages in _choices(store, version, rules, left_out):
        key, first, _ = _sorted_by_text(messages, left, right)
        side = 0 if comparison.preferred is None else 1 if comparison.preferred == first.id else -1
        replies = (comparison.left_reply_id, comparison.right_reply_id)
        tally.add(key, CountedVote("comparison", comparison.rater, side, replies, left.conversation_id))
    judged: set[bytes] = set()
    for _, left, right, messages in _choices(store, version, rules, Counter()):
        key, first, second = _sorted_by_text(messages, left, right)
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
    """Comparisons that can make a pair, each with its left reply, its right reply and the messages before them."""
    comparisons = store.comparisons(version, consented=True)
    transcripts = store.with_transcripts(comparisons, lambda item: item[1].parent_id)
    for (comparison, left, right), messages in transcripts:
        if rules.blind_only and not comparison.blind:
            left_out["blind_only"] += 1
        elif _can_pair(left, right, left_out):
            yield comparison, left, right, messages


def _siblings(
    store: FeedbackStore, version: str | None, rules: Rules, limit: RowLimit, left_out: Counter[str]
) -> Iterator[RowWithVotes[PreferenceRow]]:
    tally = VoteTally(rules, left_out)
    ratings = store.contested_ratings(consented=True)
    for rated, messages in store.with_transcripts(ratings, lambda rated: rated[0][1].parent_id):
        liked, disliked = _liked_and_disliked(rated, tally)
        for better in liked:
            for worse in disliked:
                if version not in (None, better.version, worse.version):
                    continue
                if _can_pair(better, worse, left_out):
                    votes = tally.votes(better.id.encode()) + tally.votes(worse.id.encode())
                    yield from _pair(messages, better, worse, "siblings", votes, limit)


def _liked_and_disliked(
    rated: Sequence[tuple[Rating, Reply]], tally: VoteTally
) -> tuple[list[Reply], list[Reply]]:
    """The replies that the majority of raters likes, and those that it dislikes."""
    replies = {reply.id: reply for _, reply in rated}
    for rating, reply in rated:
        if rating.value != 0:
            vote = CountedVote("rating", rating.rater, rating.value, (reply.id,), reply.conversation_id)
            tally.add(reply.id.encode(), vote)
    verdicts = {reply_id: tally.verdict(reply_id.encode()) for reply_id in replies}
    liked = [reply for reply in replies.values() if verdicts[reply.id] > 0]
    return liked, [reply for reply in replies.values() if verdicts[reply.id] < 0]


def _corrected(
    store: FeedbackStore, version: str | None, rules: Rules, limit: RowLimit, left_out: Counter[str]
) -> Iterator[RowWithVotes[PreferenceRow]]:
    used: Counter[str] = Counter()
    standing = (pair for pair in store.corrections(version, consented=True) if pair[0].text)
    for (correction, reply), messages in store.with_transcripts(standing, lambda pair: pair[1].parent_id):
        if used[correction.rater] >= rules.most_per_rater:
            left_out["most_per_rater"] += 1
        elif reply.finish_reason == "error":
            left_out["failed"] += 1
        elif correction.text.strip() == reply.answer.strip():
            left_out["same_text"] += 1
        else:
            used[correction.rater] += 1
            # Both sides have the same thought, which cancels out of the difference that is learned: the person
            # wrote only an answer, so the pair is about the answer alone.
            better = PairSide(None, reply.thought, correction.text, None)
            vote = CountedVote("correction", correction.rater, 1, (reply.id,), reply.conversation_id)
            prompt = prompt_key(messages, reply.think)
            if limit.accepts(prompt, _pair_key(prompt, better, _pair_side(reply))):
                row = PreferenceRow(
                    messages=messages,
                    think=reply.think,
                    prompt_ids=reply.prompt_ids,
                    chosen=better,
                    rejected=_pair_side(reply),
                    source="correction",
                    votes=1,
                    rater=sole_rater([vote]),
                )
                yield RowWithVotes(row, (vote,))


def _can_pair(first: Reply, second: Reply, left_out: Counter[str]) -> bool:
    if first.think != second.think:
        # The thinking mode is part of the prompt, so these replies answered different prompts.
        left_out["thinking_differs"] += 1
    elif "error" in (first.finish_reason, second.finish_reason):
        left_out["failed"] += 1
    elif (first.thought or "", first.answer) == (second.thought or "", second.answer):
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
    chosen, rejected = _pair_side(better), _pair_side(worse)
    if worse.prompt_ids != better.prompt_ids:
        rejected = PairSide(worse.id, worse.thought, worse.answer, None)
    prompt = prompt_key(messages, better.think)
    if limit.accepts(prompt, _pair_key(prompt, chosen, rejected)):
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


def last_corrections(pairs: Iterable[PreferenceRow]) -> list[PreferenceRow]:
    """The corrections among pairs: the last one of each prompt in each thinking mode, where it is not blank."""
    found = {
        (str(pair.messages), pair.think): pair
        for pair in pairs
        if pair.source == "correction" and pair.chosen.answer.strip()
    }
    return list(found.values())


def _pair_side(reply: Reply) -> PairSide:
    return PairSide(reply.id, reply.thought, reply.answer, reply.completion_ids)


def _sorted_by_text(messages: list[dict[str, str]], left: Reply, right: Reply) -> tuple[bytes, Reply, Reply]:
    """A key for two texts under a prompt, and the two replies in an order that depends on their texts alone."""
    first, second = sorted((left, right), key=lambda reply: _text_key(_pair_side(reply)))
    return _pair_key(prompt_key(messages, left.think), _pair_side(first), _pair_side(second)), first, second


def _pair_key(prompt: bytes, first: PairSide, second: PairSide) -> bytes:
    return digest(prompt, *sorted((_text_key(first), _text_key(second))))


def _text_key(side: PairSide) -> bytes:
    return digest(side.thought or "", side.answer)
