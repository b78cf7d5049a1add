"""Answers drawn in batches, from which rows leave as they end: for evaluation, rollouts and whatever else asks a model.

Why not a library's loop: transformers' continuous batching needs a new manager for every update, because its prefix
cache must not outlive the weights, and transformers' `generate` carries ended rows to the end; both are slower.
llama.cpp, which serves, is about as fast, and would be a second model in memory, whose rounding is another than that of
the log-probabilities.

Nothing cached is kept from one call to the next.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alignment.data.batches import pad_left

SHRINK_AT = 8
"""The batch is made smaller when one in this many of its rows has ended, because each time copies the cache."""
LIKELIEST = 256
"""Tokens among which a nucleus is looked for first, and eight times as many again while they do not suffice."""


@torch.no_grad()
def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    ends: Sequence[int],
    temperature: float = 0.0,
    seeds: Sequence[int] = (),
    top_p: float = 1.0,
    progress: Any = None,
) -> list[list[int]]:
    """Token ids of a completion for each prompt; the likeliest token each time where `temperature` is 0.

    Else a token is drawn from softmax(logits / temperature), from the likeliest that make up `top_p` of it. A
    completion ends with the first token of `ends`, which is part of it, or at its limit: `limits` are the most tokens
    of each, 1 or more. To draw, each prompt has a seed of its own, so that other rows of the batch, here or in another
    process, change nothing that is drawn for it. `progress`: a bar of tqdm's, moved on by one for each step, and by as
    many as the longest limit in all.
    """
    device = model.device
    ids, mask = (tensor.to(device) for tensor in pad_left(prompts, 0))
    completions: list[list[int]] = [[] for _ in prompts]
    rows, open_rows = list(range(len(prompts))), set(range(len(prompts)))
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    cache, step = None, 0
    while True:
        step += 1
        if progress is not None:
            progress.update()
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        logits = output.logits[:, -1].float()
        if temperature > 0:
            drawn = draw(logits / temperature, [generators[row] for row in rows], top_p)
        else:
            drawn = logits.argmax(dim=-1)
        for row, token in zip(rows, drawn.tolist(), strict=True):
            if row in open_rows:
                completions[row].append(token)
                if token in ends or len(completions[row]) >= limits[row]:
                    open_rows.remove(row)
        if not open_rows:
            if progress is not None:
                progress.update(max(limits) - step)
            return completions
        ids, positions = drawn[:, None], positions[:, -1:] + 1
        if (len(rows) - len(open_rows)) * SHRINK_AT >= len(rows):
            kept = torch.tensor([index for index, row in enumerate(rows) if row in open_rows], device=device)
            rows = [row for row in rows if row in open_rows]
            cache.batch_select_indices(kept)
            ids, positions, mask = ids[kept], positions[kept], mask[kept]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)


def draw(logits: Tensor, generators: Sequence[torch.Generator], top_p: float = 1.0) -> Tensor:
    """A token for each row of float32 `logits` [rows, vocabulary], drawn by the row's generator: int64 [rows]."""
    probabilities = torch.softmax(logits, dim=-1)
    if top_p < 1:
        probabilities = nucleus(probabilities, top_p)
    # Dividing by exponential noise and taking the largest is a draw (Gumbel-max); no library call is as quick.
    noise = torch.empty_like(probabilities)
    for index, generator in enumerate(generators):
        noise[index].exponential_(generator=generator)
    return (probabilities / noise).argmax(dim=-1)


def nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """`probabilities` [rows, vocabulary], 0 for all but the likeliest that make up `top_p` (Holtzman et al. 2020).

    The same tokens as transformers keeps, found among the likeliest instead of by sorting the vocabulary: sorting
    SmolLM2's 49,152 tokens takes half as long as the model. What is kept is not scaled to sum to 1.
    """
    size = probabilities.shape[-1]
    count = min(LIKELIEST, size)
    while True:
        shares, tokens = probabilities.topk(count)
        likelier = shares.cumsum(-1) - shares
        if count == size or bool((likelier[:, -1] >= top_p).all()):
            break
        count = min(8 * count, size)
    kept = shares.masked_fill(likelier >= top_p, 0.0)
    return torch.zeros_like(probabilities).scatter(-1, tokens, kept)


def seed_for(*purpose: object) -> int:
    """A seed that depends on what it is for and on nothing else."""
    digest = hashlib.blake2b("/".join(map(str, purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
