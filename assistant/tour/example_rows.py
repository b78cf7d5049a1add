"""What votes would train: the rows that the store's own rules make of them, on an empty store that is thrown away."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from assistant.tour.answers import TourAnswer
from feedback_store import FeedbackStore, FinishReason, NewReply
from feedback_store.rows.exporters import rows

VoteKind = Literal["up", "down", "left", "right", "both_good", "both_bad", "correction"]
THUMBS = ("up", "down")
RATER = "visitor"
FORMATS = ("trl-preference", "trl-kto", "trl-sft")
"""The kinds of rows that a vote can become, in the order in which they are shown: what says most comes first."""


@dataclass(frozen=True)
class Vote:
    """A vote on two answers to one message."""

    kind: VoteKind
    side: int = 0
    """Of a thumb or a correction: the answer that it is about, 0 for the left one."""
    text: str = ""
    """Of a correction: the better answer."""


def with_vote(votes: Sequence[Vote], vote: Vote) -> list[Vote]:
    """The votes of a visitor who adds `vote` to `votes`. Each answer has one thumb; any other vote stands alone.

    The same thumb once more takes it back.
    """
    if vote.kind not in THUMBS:
        return [vote]
    others = [each for each in votes if each.kind in THUMBS and each.side != vote.side]
    return others if vote in votes else [*others, vote]


def example_rows(
    question: str, answers: Sequence[TourAnswer], votes: Sequence[Vote]
) -> list[tuple[str, dict[str, Any]]]:
    """The rows that votes become, each with its format; none if they say nothing.

    Blocks for a quarter of a second, in which the store is made: not for an event loop. Raises what the store raises.
    """
    with (
        tempfile.TemporaryDirectory(prefix="thumbtune-tour-") as folder,
        FeedbackStore.open(Path(folder) / "example.db") as store,
    ):
        asked = store.begin_conversation(RATER, [("user", question)])
        ids = [
            _add(store, asked.conversation_id, asked.id, side, written)
            for side, written in enumerate(answers)
        ]
        for vote in votes:
            match vote.kind:
                case "up" | "down":
                    store.rate(ids[vote.side], RATER, 1 if vote.kind == "up" else -1)
                case "correction":
                    store.correct(ids[vote.side], RATER, vote.text)
                case choice:
                    store.compare(ids[0], ids[1], RATER, choice, blind=True, how="resample")
        return [(name, row) for name in FORMATS for row in rows(store, name)]


def _add(store: FeedbackStore, conversation_id: str, parent_id: str, side: int, written: TourAnswer) -> str:
    reason: FinishReason = "end" if written.finish_reason == "end" else "length"
    reply = NewReply(
        id=f"answer-{side}",
        conversation_id=conversation_id,
        parent_id=parent_id,
        thought=written.thought or None,
        answer=written.answer,
        think=written.think,
        sampling={},
        seed=0,
        version="v1",
        prompt_ids=list(written.prompt_ids),
        completion_ids=list(written.completion_ids),
        finish_reason=reason,
        first_token_seconds=None,
        seconds=0.0,
        thought_seconds=None,
    )
    return store.add_reply(reply).id
