"""What a cycle asks the store: how much is new, who voted how, and the thumbs of a live comparison."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from alignment.cycle.rater_audit import Cast
from alignment.live.sequential_test import Vote
from assistant.registry.live_comparison import Trial, arm
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore, Reply
from feedback_store.rows.rules import digest, prompt_key
from feedback_store.rows.snapshot import vote_id
from feedback_store.rows.with_messages import with_messages


@dataclass(frozen=True)
class Thumb:
    """A standing thumb with what it was given for."""

    cast: Cast
    reply: Reply
    messages: list[dict[str, str]]


def standing(store: FeedbackStore) -> set[str]:
    """A name for each vote that stands, of people who consent. A vote that is changed gets another name."""
    found = {
        vote_id(f"rating {thumb.value}", thumb.rater, (thumb.reply_id,))
        for thumb in store.thumbs(consented=True)
    }
    for choice, _, _ in store.comparisons(consented=True):
        sides = (choice.left_reply_id, choice.right_reply_id)
        found.add(vote_id(f"comparison {choice.preferred}", choice.rater, sides))
    for correction, _ in store.corrections(consented=True):
        if correction.text:
            found.add(vote_id(f"correction {correction.text}", correction.rater, (correction.reply_id,)))
    return found


def thumbs(store: FeedbackStore) -> Iterator[Thumb]:
    """Every standing thumb of people who consent, replies in the order in which they were made."""
    rated = ((rating, reply) for rating, reply in store.ratings(consented=True) if rating.value)
    for (rating, reply), messages in with_messages(store, rated, lambda pair: pair[1].parent_id):
        text = digest(prompt_key(messages, reply.think), reply.thought or "", reply.answer).hex()
        cast = Cast(rating.rater, text, rating.value, rating.updated_at.timestamp())
        yield Thumb(cast, reply, messages)


def agreement(home: Path, judges: Mapping[str, str], given: list[Thumb]) -> dict[str, tuple[int, int]]:
    """By rater: on how many thumbs the reward model agrees that never saw their prompts, and of how many.

    `judges`: versions of reward models by the half that they learned from. A score above the median of all thumbs there
    counts as a thumb up, so that a judge who likes little does not seem to disagree with whoever is kind.
    """
    # Imported late: the thumbs of a live comparison are read where nothing for training is installed.
    from alignment.data import served_ids
    from alignment.data.splits import half_of
    from alignment.scoring import reward_model
    from assistant.serving.loading import load_tokenizer

    agreed: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    versions = Versions(home)
    for learned, version in judges.items():
        judge = versions.open(version)
        tokenizer = load_tokenizer(judge.manifest.base, home)
        others = [one for one in given if half_of(one.messages) != learned]
        read = [(one.cast, served_ids.reply_ids(one.reply, one.messages, tokenizer)) for one in others]
        unseen = [(cast, ids) for cast, ids in read if ids]
        if not unseen:
            continue
        scores = reward_model.load(judge, home)([ids for _, ids in unseen])
        middle = median(scores)
        for (cast, _), value in zip(unseen, scores, strict=True):
            agreed[cast.rater][0] += (value > middle) is (cast.value > 0)
            agreed[cast.rater][1] += 1
    return {rater: (right, of) for rater, (right, of) in agreed.items()}


def of_trial(store: FeedbackStore, trial: Trial) -> list[Vote]:
    """The thumbs of both arms, in the order in which they were given.

    Only on replies made since it began, by the version that their conversation was drawn for: what was answered side by
    side, or by a version that was asked for by name, is no part of the comparison.
    """
    found = []
    versions = {"candidate": trial.candidate, "released": trial.released}
    for name, version in versions.items():
        for rating, reply in store.ratings(version, consented=True):
            drawn = arm(reply.conversation_id, trial.id, trial.share)
            if drawn == name and reply.created_at >= trial.began:
                found.append((rating.created_at, rating.reply_id, drawn, rating))
    found.sort(key=lambda one: one[:2])
    return [
        Vote(drawn, rating.rater, rating.value, number) for number, (_, _, drawn, rating) in enumerate(found)
    ]
