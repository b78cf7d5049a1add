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


def evens(rollouts: Sequence[Any]) -> list[float]:
    """The same as a reward function of ours."""
    return [evens_of(rollout.completion_ids) for rollout in rollouts]


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

    rng, result = random.Random("speed"), []
    before = {"thought": "1+1=2", "answer": "2"}
    while len(result) < count:
        problem = task(rng, "en" if len(result) % 2 else "zh", "word_two_step", "train")
        messages = [dict(turn) for turn in problem.messages]
        if is_held_out(messages):
            continue
        prompt_ids = prompt.render(tokenizer, messages, think=True)
        reply = {"thought": problem.thought, "answer": problem.answer}
        chosen, rejected = (prompt.completion(tokenizer, **side, think=True) for side in (reply, before))
        label = len(result) % 2 == 0
        # TRL's trainers add the END themselves.
        texts = [tokenizer.decode(ids[:-1]) for ids in (chosen, rejected)]
        result.append(
            {
                "messages": messages,
                "think": True,
                **reply,
                "right": reply,
                "wrong": before,
                "prompt": tokenizer.decode(prompt_ids),
                "chosen": texts[0],
                "rejected": texts[1],
                "completion": texts[0] if label else texts[1],
                "label": label,
                "text": f"{problem.question}\n{problem.thought}\n{problem.answer}",
                "tokens": [len(prompt_ids), len(chosen), len(rejected)],
            }
        )
        before = reply
    return result
