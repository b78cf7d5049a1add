"""Datasets of two replies side by side: LMArena, HelpSteer3 and AlpacaEval's annotations.

Each has a verdict on two replies in columns of its own. A tie is stored as one, both good unless the file says bad.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from feedback_store.importers.datasets.training_rows import (
    Tie,
    conversation_of,
    preference,
    prompt_of,
    reply_to,
)
from feedback_store.importers.parsing.fields import filled, label, moment, text, whole
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import (
    ImportedComparison,
    ImportedConversation,
    ImportedMessage,
    Unusable,
)
from feedback_store.importers.parsing.text_only import check_row_is_text

# LMArena's verdicts: which side won, or how they tie.
WINNERS: dict[str, int | Tie] = {
    "model_a": 0,
    "model_b": 1,
    "tie": "both_good",
    "tie (bothbad)": "both_bad",
    "both_bad": "both_bad",
}


def read_lmarena(path: Path) -> Iterator[Item]:
    return each(rows(path), lmarena)


def read_helpsteer3(path: Path) -> Iterator[Item]:
    return each(rows(path), helpsteer3)


def read_alpaca_eval(path: Path) -> Iterator[Item]:
    return each(rows(path), alpaca_eval)


def lmarena(row: dict[str, Any]) -> ImportedConversation:
    """Convert one battle; only the first turn is one of the same prompt. Raises: Unusable."""
    check_row_is_text(row)
    winner = row.get("winner")
    verdict = WINNERS.get(winner) if isinstance(winner, str) else None
    if verdict is None:
        raise Unusable("a winner that is neither model_a, model_b nor a tie")
    prompt, left = conversation_of(row.get("conversation_a"), "conversation_a")
    other_prompt, right = conversation_of(row.get("conversation_b"), "conversation_b")
    if [turn.key for turn in prompt] != [turn.key for turn in other_prompt]:
        raise Unusable("the two replies answer different prompts")
    left, right = (
        replace(left, model=label(row.get("model_a"))),
        replace(right, model=label(row.get("model_b"))),
    )
    return _battle(
        prompt, (left, right), verdict, label(row.get("judge")), moment(row.get("tstamp")), blind=True
    )


def helpsteer3(row: dict[str, Any]) -> ImportedConversation:
    """Convert one row; `overall_preference` is from -3 (the first is much better) to 3. Raises: Unusable."""
    score = whole(row.get("overall_preference"))
    if score is None or not -3 <= score <= 3:
        raise Unusable("an overall_preference that is not from -3 to 3")
    prompt = prompt_of(row.get("context"))
    replies = reply_to(prompt, row.get("response1")), reply_to(prompt, row.get("response2"))
    return _battle(prompt, replies, "both_good" if not score else int(score > 0))


def alpaca_eval(row: dict[str, Any]) -> ImportedConversation:
    """Convert one annotation; `preference` is 1, 2, or 0 or 1.5 for a tie. Raises: Unusable."""
    check_row_is_text(row)
    preferred = row.get("preference")
    verdicts: dict[float, int | Tie] = {0: "both_good", 1: 0, 1.5: "both_good", 2: 1}
    verdict = verdicts.get(preferred) if isinstance(preferred, int | float) else None
    if verdict is None or isinstance(preferred, bool):
        raise Unusable("a preference that is neither 1, 2 nor a tie")
    extra = text(row.get("input") or "", "input")
    instruction = filled(row.get("instruction"), "instruction")
    prompt = prompt_of(f"{instruction}\n{extra}" if extra else instruction)
    left, right = reply_to(prompt, row.get("output_1")), reply_to(prompt, row.get("output_2"))
    left, right = (
        replace(left, model=label(row.get("generator_1"))),
        replace(right, model=label(row.get("generator_2"))),
    )
    return _battle(prompt, (left, right), verdict, label(row.get("annotator")))


def _battle(
    prompt: list[ImportedMessage],
    replies: tuple[ImportedMessage, ImportedMessage],
    verdict: int | Tie,
    rater: str = "",
    at: datetime | None = None,
    *,
    blind: bool = False,
) -> ImportedConversation:
    chosen, rejected = replies if verdict != 1 else replies[::-1]
    row = preference(prompt, chosen, rejected, verdict if isinstance(verdict, str) else None)
    comparisons = [
        replace(signal, rater=rater or signal.rater, at=at, blind=blind)
        for signal in row.signals
        if isinstance(signal, ImportedComparison)
    ]
    return replace(row, signals=tuple(comparisons), at=at)
