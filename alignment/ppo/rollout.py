"""Rollouts: the policy draws a completion for each prompt of a batch. Rows leave the batch as they end.

Two alternatives were measured for 64 answers of the starter, of 60 tokens on average and 200 at most (one run each, on
two busy cores): the engine's continuous batching took 1.8 times as long, because it needs a new manager for every
update (its prefix cache must not outlive the weights); transformers' `generate`, which carries ended rows to the end,
2.3 times. Here too, nothing cached is kept from one call to the next.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from alignment.data.batches import pad_left
from alignment.data.prompts import RolloutPrompt
from alignment.scoring.reward_functions import Rollout
from alignment.training.processes import gather_shares, own_share
from assistant.serving import prompt
from assistant.serving.loading import end_tokens

SHRINK_AT = 8
"""The batch is made smaller when one in this many of its rows has ended, because each time copies the cache."""


@torch.no_grad()
def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    ends: Sequence[int],
    temperature: float,
    seeds: Sequence[int],
) -> list[list[int]]:
    """Token ids of a completion for each prompt, drawn from softmax(logits / temperature).

    A completion ends with the first token of `ends`, which is part of it, or at its limit: `limits` are the most tokens
    of each, 1 or more. Each prompt has a seed of its own, so that other rows of the batch, here or in another process,
    change nothing that is drawn for it.
    """
    device = model.device
    ids, mask = (tensor.to(device) for tensor in pad_left(prompts, 0))
    completions: list[list[int]] = [[] for _ in prompts]
    rows, open_rows = list(range(len(prompts))), set(range(len(prompts)))
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    cache = None
    while True:
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        # Dividing by exponential noise and taking the largest is a draw (Gumbel-max); no library call is as quick.
        probabilities = torch.softmax(output.logits[:, -1].float() / temperature, dim=-1)
        noise = torch.empty_like(probabilities)
        for index, row in enumerate(rows):
            noise[index].exponential_(generator=generators[row])
        drawn = (probabilities / noise).argmax(dim=-1)
        for row, token in zip(rows, drawn.tolist(), strict=True):
            if row in open_rows:
                completions[row].append(token)
                if token in ends or len(completions[row]) >= limits[row]:
                    open_rows.remove(row)
        if not open_rows:
            return completions
        ids, positions = drawn[:, None], positions[:, -1:] + 1
        if (len(rows) - len(open_rows)) * SHRINK_AT >= len(rows):
            kept = torch.tensor([index for index, row in enumerate(rows) if row in open_rows], device=device)
            rows = [row for row in rows if row in open_rows]
            cache.batch_select_indices(kept)
            ids, positions, mask = ids[kept], positions[kept], mask[kept]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)


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


def seed_for(*purpose: object) -> int:
    """A seed that depends on what it is for and on nothing else."""
    digest = hashlib.blake2b("/".join(map(str, purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def chunks(rows: Sequence[int], size: int) -> Iterator[list[int]]:
    """`rows` in lists of `size`, the last of which may be shorter."""
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def by_length(answers: Sequence[Rollout], rows: Sequence[int]) -> list[int]:
    """`rows`, numbers of answers, in the order of their length with the prompt, so that little is padded."""
    return sorted(
        rows, key=lambda row: (len(answers[row].prompt_ids) + len(answers[row].completion_ids), row)
    )
