"""The setting of both sides in `stage_speed.py`: sizes, training rows, and a reward function."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BATCH, UPDATES, RATE = 16, 16, 2e-4
BLOCK = 256
"""Tokens in a block of raw text."""
NEW_TOKENS = 48
"""Maximum length of an answer that RLOO samples, in tokens."""
TEMPERATURE = 1.5
"""Sampling temperature of RLOO. At 1, most answers of the starter to a prompt are equal, and equal answers give no
gradient."""
STAGES = ("pretrain", "sft", "reward", "dpo", "kto", "rloo")


def blocks_an_update() -> int:
    """Blocks of raw text per update: so few that our stage holds none of them out."""
    return BATCH // 4


def evens_of(ids: Sequence[int]) -> float:
    """The share of even token ids: a reward that varies between answers and costs almost nothing to compute."""
    return sum(token % 2 == 0 for token in ids) / max(len(ids), 1)


def evens(rollouts: Sequence[Any]) -> list[float]:
    """`evens_of` as a reward function of `alignment`: one reward per rollout."""
    return [evens_of(rollout.completion_ids) for rollout in rollouts]


def read(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def rows(tokenizer: Any, count: int) -> list[dict[str, Any]]:
    """Word problems with their thoughts, none of them held out, with the columns that either side reads.

    `prompt` is rendered text. The rejected answer is the answer to the previous problem, and every second row has a
    thumb down (`label` is False). `tokens` counts the tokens of the prompt, the right and the wrong answer.
    """
    from alignment.data.splits import is_held_out
    from alignment.starter.corpus import task
    from assistant.serving import prompt

    rng, result = random.Random("speed"), []
    before = {"thought": "1+1=2", "answer": "2"}
    while len(result) < count:
        problem = task(rng, "en" if len(result) % 2 else "zh", "word_two_step", "train")
        messages = [dict(message) for message in problem.messages]
        if is_held_out(messages):
            continue
        prompt_ids = prompt.render(tokenizer, messages, think=True)
        reply = {"thought": problem.thought, "answer": problem.answer}
        chosen, rejected = (prompt.completion(tokenizer, **side, think=True) for side in (reply, before))
        label = len(result) % 2 == 0
        # TRL's trainers append the end token themselves.
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
