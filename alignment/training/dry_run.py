"""Dry runs: what a stage would do — rows, tokens, updates, time and memory expected, and three examples."""

import itertools
import time
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import psutil
import torch

from alignment.training.memory import GIB, base_model_of, held_memory, plan_for
from alignment.training.processes import autocast, say

Example = tuple[list[int], list[int]]
"""Token ids that are read, and token ids that are supervised."""

LEFT, RIGHT = "⟦", "⟧"
NOTHING_WRITTEN = "dry run: nothing was trained and no version was written"


def report(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    *,
    updates: int,
    rows_an_update: int,
    reference: bool,
    memory: float | None,
    together: int = 1,
    before: tuple[str, float] = ("", 0.0),
) -> None:
    """Print the estimate for a stage that trains on rows. The longest row is passed through and timed; no weight moves.

    `examples`: every row once. `reference`: whether a reference model reads each row too, without a backward pass.
    `memory`: GiB that the process may hold. `together`: rows that always go through the model together. `before`: what
    else takes time before training, and how many seconds. Raises TrainingError if the longest row does not fit into
    memory.
    """
    lengths = [len(read) + len(supervised) for read, supervised in examples]
    supervised_tokens = sum(len(supervised) for _, supervised in examples)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    plan = plan_for(model, [together * length for length in lengths], memory)
    # After the plan, which gives back what was only held for later.
    held = held_memory()
    tokens, seconds = _time_row(model, max(examples, key=lambda row: len(row[0]) + len(row[1])))
    mean = sum(lengths) / len(lengths)
    # A forward pass is a third of forward and backward together (Kaplan et al. 2020, section 2.1).
    passes = (4 / 3 if reference else 1) * (4 / 3 if plan.checkpointing else 1)
    total = updates * rows_an_update * mean * (seconds / tokens) * passes
    say(
        f"rows: {len(examples)}; tokens: {sum(lengths)}, of them supervised: {supervised_tokens}; "
        f"longest row: {max(lengths)}",
        f"updates: {updates} of {min(rows_an_update, len(examples))} rows, about "
        f"{round(updates * rows_an_update * mean)} tokens read; trained weights: {trained:,}",
        f"expected: {_duration(total)} at {tokens / seconds:.0f} tokens a second, measured on one row just now"
        + (f"; before that {_duration(before[1])} {before[0]}" if before[1] else ""),
        f"memory: about {(held + plan.bytes_needed) / GIB:.1f} GiB at most; at most {plan.tokens_at_once} tokens go "
        f"through the model at once{', with gradient checkpointing' if plan.checkpointing else ''}",
        f"examples; {LEFT}supervised{RIGHT}:",
    )
    for read, supervised in examples[:3]:
        say("---", f"{tokenizer.decode(read)}{LEFT}{tokenizer.decode(supervised)}{RIGHT}")
    say(NOTHING_WRITTEN)


def report_rollouts(ppo: Any, prompts: int, sample: Sequence[Any]) -> None:
    """Print the estimate for PPO. The prompts of `sample` are answered and learned from, timed; no weight moves.

    `prompts`: number of all prompts to train on.
    """
    recipe = ppo.recipe
    times = [time.perf_counter()]
    answers = ppo.answer(sample, "dry run")
    times.append(time.perf_counter())
    ppo.rehearse(answers)
    times.append(time.perf_counter())
    answering, learning = (after - before for before, after in itertools.pairwise(times))
    # The pass that evaluates the drawn answers costs about half of a pass forward and back.
    seconds = (
        recipe.updates
        * recipe.batch_size
        / len(answers)
        * (answering + learning * (recipe.epochs + 0.5) / 1.5)
    )
    prompt_length = fmean(len(answer.prompt_ids) for answer in answers)
    answer_length = fmean(len(answer.completion_ids) for answer in answers)
    trained = sum(weight.numel() for weight in ppo.policy.values())
    steps = recipe.updates * recipe.epochs * recipe.minibatches
    say(
        f"prompts: {prompts}; tokens a prompt: {prompt_length:.0f}, an answer: {answer_length:.0f}, "
        f"at most {recipe.max_new_tokens}",
        f"updates: {recipe.updates} of {recipe.batch_size} answers, {steps} steps of the optimiser; trained weights: "
        f"{trained:,} and the value head's",
        f"expected: {_duration(seconds)}, measured on {len(answers)} answers just now",
        _memory(ppo.shared.model, trained, "that"),
        f"examples; {LEFT}supervised{RIGHT}:",
    )
    for answer in answers[:3]:
        prompt, completion = (ppo.tokenizer.decode(ids) for ids in (answer.prompt_ids, answer.completion_ids))
        say("---", f"{prompt}{LEFT}{completion}{RIGHT}")
    say(NOTHING_WRITTEN)


def split_supervised(input_ids: list[int], labels: list[int]) -> Example:
    """A row of SFT as an example: its labels are -100 up to the first supervised token."""
    start = labels.count(-100)
    return input_ids[:start], input_ids[start:]


def _time_row(model: Any, example: Example) -> tuple[int, float]:
    """Tokens of a row, and the seconds that it takes forward and back."""
    read, supervised = example
    ids = torch.tensor([[*read, *supervised]], device=model.device)
    base = base_model_of(model)
    # Only supervised positions have logits; a reward model has one for each position.
    kept = {"logits_to_keep": len(supervised) + 1} if base.get_output_embeddings() is not None else {}
    seconds = 0.0
    # The first pass warms up.
    for _ in range(2):
        start = time.perf_counter()
        with autocast(model.device):
            # The mean of the logits costs what any loss does.
            mean = model(input_ids=ids, use_cache=False, **kept).logits.float().mean()
        mean.backward()
        seconds = time.perf_counter() - start
        model.zero_grad()
    return ids.numel(), seconds


def _memory(model: Any, trained: int, measured_after: str) -> str:
    held = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    # AdamW keeps two float32 numbers for each trained weight, beside its gradient.
    needed = held + 12 * trained
    return (
        f"memory: {needed / 2**20:.0f} MiB of weights, gradients and optimiser; the process holds "
        f"{psutil.Process().memory_info().rss / 2**20:.0f} MiB after {measured_after}"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} seconds"
    return f"about {round(seconds / 60)} minutes" if seconds < 5400 else f"about {seconds / 3600:.1f} hours"
