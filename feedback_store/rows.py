"""From votes to training rows: pure functions over what the store returns; only `from_store` reads one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from feedback_store.records import Rating, Reply

if TYPE_CHECKING:
    from feedback_store.store import FeedbackStore

REPLIES_AT_ONCE = 500  # whose prompts are asked for together


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
    how many people judged, withdrawn votes aside.
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


def from_store(store: FeedbackStore, version: str | None = None, minimum_votes: int = 1) -> list[UnpairedRow]:
    """The unpaired rows of a store, in the order the replies were made; only what people consented to.

    `version` keeps the replies of one version.
    """
    return unpaired(_rated_replies(store, version), minimum_votes)


def unpaired(rated: Iterable[RatedReply], minimum_votes: int = 1) -> list[UnpairedRow]:
    """One row a reply, labelled by the majority of its raters.

    Withdrawn votes do not count; ties and replies with fewer than `minimum_votes` votes give no row.
    """
    rows = []
    for one in rated:
        votes = [rating.value for rating in one.ratings if rating.value != 0]
        if len(votes) < max(minimum_votes, 1) or sum(votes) == 0:
            continue
        reply = one.reply
        rows.append(
            UnpairedRow(
                reply_id=reply.id,
                messages=one.messages,
                think=reply.think,
                thought=reply.thought,
                answer=reply.answer,
                prompt_ids=reply.prompt_ids,
                completion_ids=reply.completion_ids,
                label=sum(votes) > 0,
                votes=len(votes),
                version=reply.version,
                finish_reason=reply.finish_reason,
            )
        )
    return rows


def held_out(row: UnpairedRow, share: float = 0.1) -> bool:
    """Whether a row is kept away from training, to evaluate on.

    Decided by the prompt's text alone, so that all replies to one prompt fall on one side, today and in every
    later export. About `share` of all prompts (0 to 1) are held out, and a larger share keeps those of a
    smaller one.
    """
    prompt = json.dumps(
        [[message["role"], message["content"]] for message in row.messages], ensure_ascii=False
    )
    digest = hashlib.sha256(prompt.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def trl_kto(row: UnpairedRow) -> dict[str, Any]:
    """The row as TRL's KTO trainer takes it: conversational `prompt` and `completion`, and `label`.

    The thought stands in `<think>` tags, the common convention; the template is asked for the mode that
    was served.
    """
    thought = f"<think>\n{row.thought}\n</think>\n\n" if row.thought else ""
    return {
        "prompt": row.messages,
        "completion": [{"role": "assistant", "content": thought + row.answer}],
        "label": row.label,
        "chat_template_kwargs": {"enable_thinking": row.think},
    }


def _rated_replies(store: FeedbackStore, version: str | None) -> Iterator[RatedReply]:
    rated = store.ratings(version, consented=True)
    by_reply = (list(group) for _, group in groupby(rated, key=lambda pair: pair[0].reply_id))
    while some := list(islice(by_reply, REPLIES_AT_ONCE)):
        prompts = store.transcripts([pairs[0][1].parent_id for pairs in some])
        for pairs in some:
            reply = pairs[0][1]
            # A prompt that is gone was forgotten since its rating was read.
            if reply.parent_id in prompts:
                yield RatedReply(reply, prompts[reply.parent_id], [rating for rating, _ in pairs])
