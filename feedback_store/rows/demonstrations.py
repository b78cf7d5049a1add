"""What people wrote themselves: better answers, and what they asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from feedback_store.progress_bars import ShowProgress, no_progress
from feedback_store.records import AnsweredPrompt
from feedback_store.rows.rules import (
    DEFAULT_RULES,
    CountedVote,
    RowLimit,
    RowWithVotes,
    Rules,
    digest,
    prompt_key,
    rater_key,
    without_votes,
)

if TYPE_CHECKING:
    from feedback_store.store.open_store import FeedbackStore


@dataclass(frozen=True)
class DemonstrationRow:
    """An answer that a person wrote to `messages`.

    `think` and `prompt_ids` are those of the reply that it corrects. `thought` is empty: the person wrote an
    answer and no steps, and the reply's own steps led to another answer. Where `think` is true the steps are
    therefore unknown, not absent: a trainer should count the answer's tokens alone. A correction that leaves the
    answer as it was, as imported demonstrations do, keeps the thought that came with it.
    """

    messages: list[dict[str, str]]
    think: bool
    thought: str
    answer: str
    prompt_ids: list[int]
    source: Literal["correction"]
    reply_id: str
    rater: str | None = None


@dataclass(frozen=True)
class PromptRow:
    """What somebody asked, and the token ids that it was first served as. `message_id` is the user's message."""

    messages: list[dict[str, str]]
    think: bool
    prompt_ids: list[int]
    message_id: str
    rater: str | None = None


def demonstrations(store: FeedbackStore, rules: Rules = DEFAULT_RULES) -> list[DemonstrationRow]:
    """The corrections of a store, in the order of their replies; only what people consented to.

    One person is enough for a correction: writing it is more work than a vote. The same text under nearly the
    same prompt is one row.
    """
    return without_votes(iter_demonstrations(store, None, rules, Counter()))


def prompts(store: FeedbackStore, rules: Rules = DEFAULT_RULES) -> list[PromptRow]:
    """What was asked and answered, in order, once in each thinking mode; only what people consented to.

    Of prompts that are nearly the same the first stays.
    """
    return without_votes(iter_prompts(store, None, rules, Counter()))


def iter_demonstrations(
    store: FeedbackStore,
    version: str | None,
    rules: Rules,
    left_out: Counter[str],
    progress: ShowProgress = no_progress,
) -> Iterator[RowWithVotes[DemonstrationRow]]:
    """`demonstrations` row by row, with the vote behind each; `left_out` counts what each rule took away."""
    used: Counter[str] = Counter()
    limit = RowLimit(rules, left_out)
    corrections = progress(store.corrections(version, consented=True), "reading corrections")
    found = (pair for pair in corrections if pair[0].text)
    for (correction, reply), messages in store.with_transcripts(found, lambda pair: pair[1].parent_id):
        prompt = prompt_key(messages, reply.think)
        if used[correction.rater] >= rules.most_per_rater:
            left_out["most_per_rater"] += 1
        elif limit.passes(prompt, digest(prompt, correction.text.strip())):
            used[correction.rater] += 1
            row = DemonstrationRow(
                messages=messages,
                think=reply.think,
                thought=(reply.thought or "") if correction.text.strip() == reply.answer.strip() else "",
                answer=correction.text,
                prompt_ids=reply.prompt_ids,
                source="correction",
                reply_id=reply.id,
                rater=rater_key(correction.rater),
            )
            vote = CountedVote("correction", correction.rater, 1, (reply.id,), reply.conversation_id)
            yield RowWithVotes(row, (vote,))


def iter_prompts(
    store: FeedbackStore,
    version: str | None,
    rules: Rules,
    left_out: Counter[str],
    progress: ShowProgress = no_progress,
) -> Iterator[RowWithVotes[PromptRow]]:
    """`prompts` row by row, each with its asker; `left_out` counts what each rule took away.

    `version` keeps prompts that this version answered.
    """
    used: Counter[str] = Counter()
    seen: set[bytes] = set()
    questions = progress(store.answered_prompts(version, consented=True), "reading questions")
    # Who has asked enough is not read on: above each question stands a conversation.
    found = _while_fewer(rules.most_per_rater, used, questions, left_out)
    for asked, messages in store.with_transcripts(found, lambda asked: asked.message_id):
        key = prompt_key(messages, asked.think)
        if key in seen:
            left_out["repeated"] += 1
        elif used[asked.rater] >= rules.most_per_rater:
            left_out["most_per_rater"] += 1
        else:
            seen.add(key)
            used[asked.rater] += 1
            rater = rater_key(asked.rater)
            row = PromptRow(messages, asked.think, asked.prompt_ids, asked.message_id, rater)
            yield RowWithVotes(row, (CountedVote("prompt", asked.rater, 0, (), asked.conversation_id),))


def _while_fewer(
    most: int, used: Counter[str], questions: Iterable[AnsweredPrompt], left_out: Counter[str]
) -> Iterator[AnsweredPrompt]:
    for asked in questions:
        if used[asked.rater] < most:
            yield asked
        else:
            left_out["most_per_rater"] += 1
