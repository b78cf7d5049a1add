"""Rows of what people wrote: demonstrations (corrected answers) and prompts (user messages)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from feedback_store.progress_bars import ShowProgress, no_progress
from feedback_store.records import AnsweredPrompt
from feedback_store.rows.prompt_matching import digest, prompt_key, rater_key
from feedback_store.rows.rules import (
    DEFAULT_RULES,
    CountedVote,
    RowLimit,
    RowWithVotes,
    Rules,
    without_votes,
)

if TYPE_CHECKING:
    from feedback_store.store.open_store import FeedbackStore


@dataclass(frozen=True)
class DemonstrationRow:
    """An answer to `messages` that a person wrote.

    `think` and `prompt_ids` are those of the reply that the person corrected. `thought` is empty, because the person
    wrote an answer and no thought, and the reply's own thought led to another answer. If `think` is true, the thought
    is therefore unknown rather than absent, and a trainer should learn the answer's tokens alone. A correction that
    leaves the answer unchanged, as imported demonstrations do, keeps the reply's thought.
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
    """A user message (`message_id`) with the messages before it, and the token ids of its first reply's prompt."""

    messages: list[dict[str, str]]
    think: bool
    prompt_ids: list[int]
    message_id: str
    rater: str | None = None


def demonstrations(store: FeedbackStore, rules: Rules = DEFAULT_RULES) -> list[DemonstrationRow]:
    """The corrections of a store as rows, in the order of their replies; only of people who consented.

    `minimum_votes` does not apply: one person is enough, because a correction takes more effort than a vote. The
    same text under nearly the same prompt gives one row.
    """
    return without_votes(iter_demonstrations(store, None, rules, Counter()))


def prompts(store: FeedbackStore, rules: Rules = DEFAULT_RULES) -> list[PromptRow]:
    """The answered user messages of a store, in order, once per thinking mode; only of people who consented.

    Of prompts that are nearly the same, the first is kept.
    """
    return without_votes(iter_prompts(store, None, rules, Counter()))


def iter_demonstrations(
    store: FeedbackStore,
    version: str | None,
    rules: Rules,
    left_out: Counter[str],
    progress: ShowProgress = no_progress,
) -> Iterator[RowWithVotes[DemonstrationRow]]:
    """Yield the rows of `demonstrations` with their votes; `left_out` counts what each rule excluded.

    `version` keeps corrections of this version's replies.
    """
    used: Counter[str] = Counter()
    limit = RowLimit(rules, left_out)
    corrections = progress(store.corrections(version, consented=True), "reading corrections")
    standing = (pair for pair in corrections if pair[0].text)
    for (correction, reply), messages in store.with_transcripts(standing, lambda pair: pair[1].parent_id):
        prompt = prompt_key(messages, reply.think)
        unchanged = correction.text.strip() == reply.answer.strip()
        if used[correction.rater] >= rules.most_per_rater:
            left_out["most_per_rater"] += 1
        elif limit.accepts(prompt, digest(prompt, correction.text.strip())):
            used[correction.rater] += 1
            row = DemonstrationRow(
                messages=messages,
                think=reply.think,
                thought=(reply.thought or "") if unchanged else "",
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
    """Yield the rows of `prompts`; the vote of each names its author. `left_out` counts what each rule excluded.

    `version` keeps prompts that this version answered.
    """
    used: Counter[str] = Counter()
    seen: set[bytes] = set()
    answered = progress(store.answered_prompts(version, consented=True), "reading prompts")
    # Authors who have reached their limit are skipped before their transcripts are read.
    remaining = _while_below(rules.most_per_rater, used, answered, left_out)
    for prompt, messages in store.with_transcripts(remaining, lambda prompt: prompt.message_id):
        key = prompt_key(messages, prompt.think)
        if key in seen:
            left_out["repeated"] += 1
        elif used[prompt.rater] >= rules.most_per_rater:
            left_out["most_per_rater"] += 1
        else:
            seen.add(key)
            used[prompt.rater] += 1
            rater = rater_key(prompt.rater)
            row = PromptRow(messages, prompt.think, prompt.prompt_ids, prompt.message_id, rater)
            author = CountedVote("prompt", prompt.rater, 0, (), prompt.conversation_id)
            yield RowWithVotes(row, (author,))


def _while_below(
    most: int, used: Counter[str], prompts: Iterable[AnsweredPrompt], left_out: Counter[str]
) -> Iterator[AnsweredPrompt]:
    for prompt in prompts:
        if used[prompt.rater] < most:
            yield prompt
        else:
            left_out["most_per_rater"] += 1
