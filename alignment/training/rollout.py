"""The policy answers a batch of prompts. Rows leave the batch as they end, so a long answer does not cost everybody.

The engine's continuous batching was tried here first: it needs a new manager for every update, because its prefix
cache must not outlive the weights, and for 64 answers of the starter, 60 tokens on average and 200 at most, it took
1.8 times as long, and transformers' `generate`, which carries ended rows to the end, 2.3 times (one run each, on two
cores that had other work too). Nothing cached is kept from one call to the next here either.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor

from alignment.scoring.reward_functions import Said

LEAVE = 8
"""The batch is made smaller when one in this many of its rows has ended: each time copies the cache."""


@torch.no_grad()
def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    ends: Sequence[int],
    temperature: float,
    seeds: Sequence[int],
) -> list[list[int]]:
    """A completion for each prompt, drawn from softmax(logits / temperature); its END included where it was said.

    `limits`: most tokens of each completion, 1 or more. Each prompt has a seed of its own, so that what else is in
    the batch, here or in another process, changes nothing that is drawn for it.
    """
    device = model.device
    ids, mask = pad_left(prompts, 0)
    ids, mask = ids.to(device), mask.to(device)
    completions: list[list[int]] = [[] for _ in prompts]
    rows, open_rows = list(range(len(prompts))), set(range(len(prompts)))
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    cache = None
    while True:
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = out.past_key_values
        # Dividing by exponential noise and taking the largest is a draw (Gumbel-max); no library call is as quick.
        probabilities = torch.softmax(out.logits[:, -1].float() / temperature, dim=-1)
        noise = torch.empty_like(probabilities)
        for place, row in enumerate(rows):
            noise[place].exponential_(generator=generators[row])
        drawn = (probabilities / noise).argmax(dim=-1)
        for row, token in zip(rows, drawn.tolist(), strict=True):
            if row in open_rows:
                completions[row].append(token)
                if token in ends or len(completions[row]) >= limits[row]:
                    open_rows.remove(row)
        if not open_rows:
            return completions
        ids, positions = drawn[:, None], positions[:, -1:] + 1
        if (len(rows) - len(open_rows)) * LEAVE >= len(rows):
            kept = torch.tensor([place for place, row in enumerate(rows) if row in open_rows], device=device)
            rows = [row for row in rows if row in open_rows]
            cache.batch_select_indices(kept)
            ids, positions, mask = ids[kept], positions[kept], mask[kept]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)


def pad_left(rows: Sequence[Sequence[int]], fill: int) -> tuple[Tensor, Tensor]:
    """Token ids and their mask, both int64 [rows, longest]; what is short begins with `fill`."""
    width = max(map(len, rows))
    ids = torch.tensor([[fill] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def pad_right(rows: Sequence[Sequence[int]], fill: int) -> tuple[Tensor, Tensor]:
    """Token ids and their mask, both int64 [rows, longest]; what is short goes on with `fill`."""
    width = max(map(len, rows))
    ids = torch.tensor([list(row) + [fill] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask


@contextmanager
def merged(model: Any, adapter: str) -> Iterator[None]:
    """The PEFT `model` with one adapter added into its weights: each token then costs no more than the base's.

    The base's weights are put back as they were, not computed back: adding and subtracting a thousand times would
    move them. Where an adapter cannot be added exactly (quantised weights, DoRA, another kind than LoRA), it is
    left beside them.
    """
    layers = [
        module for module in model.modules() if isinstance(module, LoraLayer) and adapter in module.lora_A
    ]
    plain = all(
        type(layer.get_base_layer()) is torch.nn.Linear and not layer.use_dora.get(adapter, False)
        for layer in layers
    )
    if not plain or not layers:
        yield
        return
    kept = [layer.get_base_layer().weight.data for layer in layers]
    try:
        with torch.no_grad():
            for layer, weight in zip(layers, kept, strict=True):
                layer.get_base_layer().weight.data = weight + layer.get_delta_weight(adapter).to(weight.dtype)
        with model.disable_adapter():
            yield
    finally:
        for layer, weight in zip(layers, kept, strict=True):
            layer.get_base_layer().weight.data = weight


def ends_of(model: Any, tokenizer: Any) -> list[int]:
    """Token ids that end an answer."""
    configured = model.generation_config.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    return sorted({end for end in [*ends, tokenizer.eos_token_id] if end is not None})


def seed_of(*purpose: object) -> int:
    """A seed that depends on what it is for and on nothing else."""
    digest = hashlib.blake2b("/".join(map(str, purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def chunks(rows: Sequence[int], size: int) -> Iterator[list[int]]:
    """`rows`, so many at a time."""
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def by_length(said: Sequence[Said], rows: Sequence[int]) -> list[int]:
    """Rows of like length together: padding is work for nothing."""
    return sorted(rows, key=lambda row: (len(said[row].prompt_ids) + len(said[row].completion_ids), row))
