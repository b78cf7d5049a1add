"""What a stage would do, before it does it: rows, tokens, steps, memory and time expected, and three examples."""

import itertools
import time
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import psutil
import torch

from alignment.training.stage import say

Example = tuple[list[int], list[int]]
"""Token ids that are read, and token ids that are supervised."""

LEFT, RIGHT = "⟦", "⟧"


def report(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    *,
    updates: int,
    rows_an_update: int,
    reference: bool,
) -> None:
    """Print the estimate. One update's forward and backward pass is run and timed; no weight moves.

    `examples`: every row once. `reference`: whether a second model reads each row, without a backward pass.
    """
    lengths = [len(read) + len(said) for read, said in examples]
    supervised = sum(len(said) for _, said in examples)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    held = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    tokens, seconds = _measure(model, examples, rows_an_update)
    mean = sum(lengths) / len(lengths)
    # A forward pass is a third of forward and backward together (Kaplan et al. 2020, section 2.1).
    whole = updates * rows_an_update * mean * (seconds / tokens) * (4 / 3 if reference else 1)
    # AdamW keeps two float32 numbers a trained weight beside its gradient.
    memory = held + 12 * trained
    say(
        f"rows: {len(examples)}; tokens: {sum(lengths)}, of them supervised: {supervised}; longest row: {max(lengths)}",
        f"updates: {updates} of {min(rows_an_update, len(examples))} rows, about "
        f"{round(updates * rows_an_update * mean)} tokens read; trained weights: {trained:,}",
        f"expected: {_duration(whole)} at {tokens / seconds:.0f} tokens a second, measured on one update just now",
        f"memory: {memory / 2**20:.0f} MiB of weights, gradients and optimiser; the process holds "
        f"{psutil.Process().memory_info().rss / 2**20:.0f} MiB after that update",
        f"examples; {LEFT}supervised{RIGHT}:",
    )
    for read, said in examples[:3]:
        say("---", f"{tokenizer.decode(read)}{LEFT}{tokenizer.decode(said)}{RIGHT}")
    say("dry run: nothing was trained and no version was written")


def report_rollouts(ppo: Any, prompts: int, some: Sequence[Any]) -> None:
    """Print what a run of PPO would do: `some` of its prompts are answered and learned from, timed; no weight moves."""
    recipe = ppo.recipe
    marks = [time.perf_counter()]
    said = ppo.answer(some, "dry run")
    marks.append(time.perf_counter())
    ppo.rehearse(said)
    marks.append(time.perf_counter())
    answering, learning = (after - before for before, after in itertools.pairwise(marks))
    # A pass looks back at what was drawn, which costs about as much as half a pass forward and back.
    seconds = (
        recipe.updates * recipe.batch_size / len(said) * (answering + learning * (recipe.epochs + 0.5) / 1.5)
    )
    tokens = [len(one.prompt_ids) for one in said], [len(one.completion_ids) for one in said]
    trained = sum(weight.numel() for weight in ppo.policy.values())
    held = sum(weight.numel() * weight.element_size() for weight in ppo.shared.model.parameters())
    steps = recipe.updates * recipe.epochs * recipe.minibatches
    say(
        f"prompts: {prompts}; tokens a prompt: {fmean(tokens[0]):.0f}, an answer: {fmean(tokens[1]):.0f}, "
        f"at most {recipe.max_new_tokens}",
        f"updates: {recipe.updates} of {recipe.batch_size} answers, {steps} steps of the optimiser; trained weights: "
        f"{trained:,} and the value head's",
        f"expected: {_duration(seconds)}, measured on {len(said)} answers just now",
        f"memory: {(held + 12 * trained) / 2**20:.0f} MiB of weights, gradients and optimiser; the process holds "
        f"{psutil.Process().memory_info().rss / 2**20:.0f} MiB after that",
        f"examples; {LEFT}supervised{RIGHT}:",
    )
    for one in said[:3]:
        prompt, answer = (ppo.tokenizer.decode(ids) for ids in (one.prompt_ids, one.completion_ids))
        say("---", f"{prompt}{LEFT}{answer}{RIGHT}")
    say("dry run: nothing was trained and no version was written")


def _measure(model: Any, examples: Sequence[Example], rows: int) -> tuple[int, float]:
    # The longest rows, because they decide whether an update fits into memory. The first pass warms up.
    batch = sorted((read + said for read, said in examples), key=len, reverse=True)[:rows]
    width = max(map(len, batch))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in batch], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in batch], device=model.device)
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        # A mean of what comes out costs what any loss does.
        model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float().mean().backward()
        seconds = time.perf_counter() - start
        model.zero_grad()
    return ids.numel(), seconds


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} seconds"
    return f"about {round(seconds / 60)} minutes" if seconds < 5400 else f"about {seconds / 3600:.1f} hours"
