"""The thumbs in the store that a cycle reads: who gave which, and what the reward models say of them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from alignment.cycle.rater_audit import CastVote, last_votes
from alignment.data import served_ids
from alignment.data.splits import half_of
from alignment.scoring import reward_model
from assistant.registry.versions import Versions
from assistant.serving.loading import load_tokenizer
from feedback_store import FeedbackStore, Reply
from feedback_store.rows.prompt_matching import digest, prompt_key


@dataclass(frozen=True)
class ThumbOnReply:
    """A standing thumb, the rated reply, and the messages before it."""

    vote: CastVote
    reply: Reply
    messages: list[dict[str, str]]


def thumbs(store: FeedbackStore) -> Iterator[ThumbOnReply]:
    """Every standing thumb of people who consent, in the order in which the replies were made."""
    rated = ((rating, reply) for rating, reply in store.ratings(consented=True) if rating.value)
    for (rating, reply), messages in store.with_transcripts(rated, lambda pair: pair[1].parent_id):
        text = digest(prompt_key(messages, reply.think), reply.thought or "", reply.answer).hex()
        vote = CastVote(rating.rater, text, rating.value, rating.updated_at.timestamp())
        yield ThumbOnReply(vote, reply, messages)


def agreement(
    home: Path, judges: Mapping[str, str], thumbs: list[ThumbOnReply]
) -> dict[str, tuple[int, int]]:
    """By rater: on how many thumbs a reward model that never saw their prompts agrees, and of how many.

    `judges`: versions of reward models by the half of the prompts that they learned from. A score above the median of
    all thumbs of the other half counts as a thumb up, so that a reward model whose scores are all low does not seem to
    disagree with a rater who likes much. A score at the median says neither, and is not counted. The last thumb of a
    rater on each text counts once: twelve on one greeting are one judgement.
    """
    agreed: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    versions = Versions(home)
    for learned, version in judges.items():
        judge = versions.open(version)
        others = [thumb for thumb in thumbs if half_of(thumb.messages) != learned]
        if not others:
            continue
        scorer = reward_model.load(judge, home)
        unseen = _readable(others, load_tokenizer(judge.manifest.base, home), scorer.window)
        if not unseen:
            continue
        # Each text is scored once, because in another batch its score may differ in the last digits.
        ids_by_text = {vote.text: ids for vote, ids in unseen}
        scores = dict(zip(ids_by_text, scorer(list(ids_by_text.values())), strict=True))
        votes = last_votes([vote for vote, _ in unseen])
        middle = median(scores[text] for _, text in votes)
        for (rater, text), value in votes.items():
            if scores[text] != middle:
                agreed[rater][0] += (scores[text] > middle) is (value > 0)
                agreed[rater][1] += 1
    return {rater: (right, of) for rater, (right, of) in agreed.items()}


def _readable(thumbs: list[ThumbOnReply], tokenizer: Any, window: int) -> list[tuple[CastVote, list[int]]]:
    """The votes on replies with a text that fits the model's window, each with the reply's token ids."""
    tokenized = served_ids.readable(
        thumbs,
        lambda thumb: (thumb.vote, served_ids.reply_ids(thumb.reply, thumb.messages, tokenizer)),
    )
    return [(vote, ids) for vote, ids in tokenized if 0 < len(ids) <= window]
