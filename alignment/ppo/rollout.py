"""Rollouts: the policy draws an answer to each prompt of a batch, and rewards score it."""

from collections.abc import Iterator, Sequence
from typing import Any

from alignment.data.prompts import RolloutPrompt
from alignment.generation import generate, seed_for
from alignment.scoring.reward_functions import Rollout
from alignment.training.processes import gather_shares, own_share
from assistant.serving import prompt
from assistant.serving.loading import end_tokens


def draw_answers(
    model: Any, tokenizer: Any, window: int, prompts: Sequence[RolloutPrompt], purpose: str, recipe: Any
) -> list[Rollout]:
    """Draw one answer to each prompt from `model` as it is; processes share the work.

    The same `purpose`, weights and seed give the same answers. `recipe`: a PPORecipe or RLOORecipe.
    """
    own = own_share(range(len(prompts)))
    ids = {row: prompts[row].rendered(tokenizer) for row in own}
    ends = end_tokens(model, tokenizer)
    completions: dict[int, list[int]] = {}
    # Answers of similar length together: thinking takes much longer, and long prompts want much padding.
    order = sorted(own, key=lambda row: (prompts[row].think, len(ids[row]), row))
    for rows in chunks(order, recipe.generate_at_once):
        drawn = generate(
            model,
            [ids[row] for row in rows],
            [min(recipe.max_new_tokens, window - len(ids[row])) for row in rows],
            ends,
            recipe.temperature,
            [seed_for(recipe.seed, purpose, row) for row in rows],
        )
        completions.update(zip(rows, drawn, strict=True))
    return gather_shares(
        [_as_rollout(prompts[row], ids[row], completions[row], ends, tokenizer) for row in own]
    )


def _as_rollout(
    item: RolloutPrompt, prompt_ids: list[int], ids: list[int], ends: Sequence[int], tokenizer: Any
) -> Rollout:
    ended = ids[-1] in ends
    reply = prompt.parse(prompt.decode(tokenizer, ids[:-1] if ended else ids), item.think)
    return Rollout(item.messages, item.think, item.task, prompt_ids, ids, reply.thought, reply.answer, ended)


def chunks(rows: Sequence[int], size: int) -> Iterator[list[int]]:
    """`rows` in lists of `size`, the last of which may be shorter."""
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def by_length(answers: Sequence[Rollout], rows: Sequence[int]) -> list[int]:
    """`rows`, numbers of answers, in the order of their length with the prompt, so that little is padded."""
    return sorted(
        rows, key=lambda row: (len(answers[row].prompt_ids) + len(answers[row].completion_ids), row)
    )
