"""Memory: how many tokens go through the model at once, so that training fits into what the process may hold.

A recipe's batch size says what one update sees. The rows of a batch go through the model in micro-batches, whose
gradients add up to the batch's (`alignment.training.batching.micro_batches`); their size follows from here. What grows
with their tokens is what the forward pass keeps for the backward pass, which is measured on a few tokens of the very
model.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from peft import PeftModel
from torch import Tensor

from alignment.errors import TrainingError
from alignment.huge_pages import on_glibc
from alignment.training.processes import autocast, on_cpu
from alignment.training.trl_compat import HEAD_TOKENS, HEAD_VOCABULARY
from assistant.free_memory import free_ram

GIB = 2**30
ROOMY = GIB
"""Bytes that activations take on a CPU at most if more than one row goes through at once. SmolLM2 reads four rows of
512 tokens at once no faster than one (456 against 453 tokens a second), and the starter's batches fit."""
CPU_SHARE, CPU_CHECKPOINTED_SHARE, GPU_SHARE = 0.5, 0.25, 0.75
"""Of the memory that activations take, the share that they fill; the allocator holds the rest between its blocks.

Measured with glibc 2.36 on SmolLM2, in a pass of 1,088 tokens: 1.45 to 1.65 GiB taken for 0.83 GiB kept, and 0.47 for
0.12 with checkpointing, where each layer's input is carved out of a block that the layer before has freed. Were all
blocks of a megabyte or more taken from the system (glibc.malloc.mmap_threshold), it would be 1.0 and 0.2 GiB, and a
fifth slower, because their pages are new each time."""
_UNLIMITED = 2**60


@dataclass(frozen=True)
class MemoryNeeds:
    """Bytes that training takes beside what the process holds before it."""

    fixed: int
    """Gradients, optimiser, reference adapter, and the logits of a tile of supervised tokens."""
    token: int
    """What the forward pass takes for one token, and keeps for the backward pass."""
    checkpointed_token: int
    """The same with gradient checkpointing: each layer's input, and the inside of one layer at a time."""


@dataclass(frozen=True)
class MemoryPlan:
    """How a stage fits into memory."""

    tokens_at_once: int
    """Most tokens of a micro-batch, padding included; the longest row fits."""
    checkpointing: bool
    """Whether the backward pass computes each layer again instead of keeping its inside."""
    bytes_needed: int
    """Expected peak beside what the process holds before training."""


def plan(longest: int, needs: MemoryNeeds, free: int, roomy: int = _UNLIMITED) -> MemoryPlan:
    """The plan for rows of at most `longest` tokens in `free` bytes; rows share a pass up to `roomy` of activations.

    Gradient checkpointing takes about a quarter more time, so it is used only where the longest row does not fit
    without. Raises TrainingError if it does not fit with it either.
    """
    space = free - needs.fixed
    for token, checkpointing in ((needs.token, False), (needs.checkpointed_token, True)):
        if longest * token <= space:
            tokens = max(longest, min(space, roomy) // token)
            return MemoryPlan(tokens, checkpointing, needs.fixed + tokens * token)
    needed = needs.fixed + longest * needs.checkpointed_token
    raise TrainingError(
        f"Training takes about {needed / GIB:.1f} GiB for its longest row of {longest} tokens alone, and "
        f"{max(free, 0) / GIB:.1f} GiB may be taken. Give a smaller --max_length, which leaves the longest rows out, "
        "a smaller --lora_r, --quantize 4bit, or more memory: --memory, if it was given, or other programs closed."
    )


def plan_for(model: Any, lengths: Sequence[int], limit: float | None) -> MemoryPlan:
    """The plan for training `model` on rows of so many tokens each; a pair's answers are one row, padded to one length.

    `limit`: GiB that the whole process may hold.
    """
    roomy = ROOMY if on_cpu() else _UNLIMITED
    needs = measure(model)
    give_back_freed()
    return plan(max(lengths), needs, free_memory(limit), roomy)


def measure(model: Any) -> MemoryNeeds:
    """What training `model` takes. A forward pass of a few tokens is observed; no weight moves."""
    few, more = _saved_bytes(model, 16), _saved_bytes(model, 80)
    token = max(1, (more - few) // 64)
    config = model.config.get_text_config()
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    vocabulary = min(config.vocab_size, HEAD_VOCABULARY)
    # On a CPU a tile of logits and its gradient take some seven float32 numbers each; a GPU's kernels turn a bfloat16
    # tile into its gradient in place. The head's part is copied once in float32.
    head = vocabulary * (HEAD_TOKENS * (28 if on_cpu() else 2) + config.hidden_size * 6)
    # Float32: gradient, AdamW's two moments, and the reference's copy. Per pass: weights rounded to bfloat16.
    fixed = 16 * trained + head + max(0, few - 16 * token)
    checkpointed = config.num_hidden_layers * config.hidden_size * 4 + 2 * token // config.num_hidden_layers
    share, checkpointed_share = (CPU_SHARE, CPU_CHECKPOINTED_SHARE) if on_cpu() else (GPU_SHARE, GPU_SHARE)
    taken = int(token / share)
    return MemoryNeeds(fixed, taken, min(taken, int(checkpointed / checkpointed_share)))


def _saved_bytes(model: Any, tokens: int) -> int:
    """Bytes that a forward pass of one row keeps for the backward pass, beside the weights themselves."""
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        # Not the tensor itself: it holds the graph that would hold it.
        return tensor.detach()

    ids = torch.zeros((1, tokens), dtype=torch.int64, device=model.device)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        autocast(model.device),
    ):
        # The trunk alone: logits are computed in tiles, whatever the number of tokens.
        output = _trunk(model)(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    del output
    return sum(kept.values())


def _trunk(model: Any) -> Any:
    """The layers of a model without its head."""
    return base_model_of(model).base_model


def base_model_of(model: Any) -> Any:
    """The model under an adapter, or `model` itself if it has none."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def free_memory(limit: float | None) -> int:
    """Bytes that this process may still take on the device that trains. `limit`: GiB that it may hold in all."""
    free = free_ram() if on_cpu() else int(torch.cuda.mem_get_info()[0])
    return free if limit is None else min(free, int(limit * GIB) - held_memory())


def give_back_freed() -> None:
    """Give memory that was freed, and that the C library keeps for later, back to the system, where that is possible.

    glibc keeps freed blocks below 32 MiB. When SmolLM2 has been loaded and its frozen weights rounded, 0.4 to 0.5 GiB
    of those are held that nobody uses, and training, whose blocks have other sizes, would take its own beside them.
    """
    if on_glibc():
        # https://man7.org/linux/man-pages/man3/malloc_trim.3.html
        ctypes.CDLL(None).malloc_trim(0)


def held_memory() -> int:
    """Bytes that this process holds on the device that trains."""
    return psutil.Process().memory_info().rss if on_cpu() else torch.cuda.memory_allocated()
