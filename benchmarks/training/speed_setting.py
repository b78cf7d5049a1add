"""The setting of `benchmarks/training/stage_speed.py`, for both sides of its comparisons: sizes, rows, and a reward."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BATCH, UPDATES, RATE = 16, 16, 2e-4
BLOCK = 256
"""Tokens a block of raw text."""
NEW_TOKENS = 48
"""Longest answer that RLOO draws."""
TEMPERATURE = 1.5
"""Of RLOO's answers: the starter is so sure that at 1 most answers to a prompt are the same, and teach nothing."""
STAGES = ("pretrain", "sft", "reward", "dpo", "kto", "rloo")


def blocks_an_update() -> int:
    """Of raw text: so few that our stage holds none of them out."""
    return BATCH // 4


def evens_of(ids: Sequence[int]) -> float:
    """The share of even token ids: a reward that differs from answer to answer and costs nothing."""
    return sum(token % 2 == 0 for token in ids) / max(len(ids), 1)


def evens(said: Sequence[Any]) -> list[float]:
    """The same as a reward function of ours."""
    return [evens_of(one.completion_ids) for one in said]


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def rows(tokenizer: Any, count: int) -> list[dict[str, Any]]:
    """Word problems with their thoughts, none of them held out, in every form that either side reads.

    `prompt` is rendered text; of two answers the rejected one is the problem's before it, and every second one is
    disliked. `tokens` counts prompt, right answer and wrong answer.
    """
    from alignment.data.splits import is_held_out
    from alignment.starter.corpus import task
    from assistant.serving import prompt

    rng, found = random.Random("speed"), []
    before = {"thought": "1+1=2", "answer": "2"}
    while len(found) < count:
        one = task(rng, "en" if len(found) % 2 else "zh", "word_two_step", "train")
        messages = [dict(turn) for turn in one.messages]
        if is_held_out(messages):
            continue
        asked = prompt.render(tokenizer, messages, think=True)
        said = {"thought": one.thought, "answer": one.answer}
        chosen, rejected = (prompt.completion(tokenizer, **side, think=True) for side in (said, before))
        label = len(found) % 2 == 0
        # TRL's trainers add the END themselves.
        texts = [tokenizer.decode(ids[:-1]) for ids in (chosen, rejected)]
        found.append(
            {
                "messages": messages,
                "think": True,
                **said,
                "right": said,
                "wrong": before,
                "prompt": tokenizer.decode(asked),
                "chosen": texts[0],
                "rejected": texts[1],
                "completion": texts[0] if label else texts[1],
                "label": label,
                "text": f"{one.question}\n{one.thought}\n{one.answer}",
                "tokens": [len(asked), len(chosen), len(rejected)],
            }
        )
        before = said
    return found
