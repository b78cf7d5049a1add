"""Anchors: answers of the parent that must stay as likely as they are while it learns something else.

Each is a prompt, the parent's own answer or one that people liked, and what the parent expects at every token of it.
The loss adds their KL divergence, so that a correction moves what it is about and as little else as it can: Li &
Hoiem 2016, "Learning without Forgetting", with prompts that the model asks itself.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from alignment.data.batches import pad_left
from alignment.evaluation.retention import Row
from alignment.generation import generate
from assistant.serving.loading import Loaded, end_tokens

TOP = 64
"""Likeliest tokens whose probabilities are kept; all others count as one. The whole vocabulary would take 770 times the
memory with SmolLM2, and what is left out here is at most the KL inside a rest that is hardly ever drawn."""
LONGEST = 24
"""Most tokens of the parent's own answers: what they say lies in their beginnings, and every update reads some."""
BATCH = 64
ROWS_AT_ONCE = 8


@dataclass(frozen=True)
class Anchor:
    """An answer and what the parent expects at each of its n tokens."""

    prompt_ids: list[int]
    completion_ids: list[int]
    tokens: Tensor
    """int64 [n, TOP]: the likeliest tokens."""
    log_probabilities: Tensor
    """float32 [n, TOP]: theirs under the parent, in nats."""


def greedy_answers(loaded: Loaded, prompts: Sequence[list[int]]) -> list[Row]:
    """The model's greedy answers to prompts of token ids, END included where it comes within LONGEST tokens."""
    ends = end_tokens(loaded.model, loaded.tokenizer)
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    answers: dict[int, list[int]] = {}
    starts = range(0, len(order), BATCH)
    with tqdm(total=len(starts) * LONGEST, desc="answering them", unit="step") as progress:
        for start in starts:
            batch = order[start : start + BATCH]
            asked, limits = [prompts[number] for number in batch], [LONGEST] * len(batch)
            completions = generate(loaded.model, asked, limits, ends, progress=progress)
            answers.update(zip(batch, completions, strict=True))
    return [(prompts[number], answers[number]) for number in range(len(prompts))]


@torch.no_grad()
def anchors_at(model: Any, rows: Sequence[Row]) -> list[Anchor]:
    """`rows`, prompts with answers, as anchors of `model`: what it expects at each token of them."""
    found = []
    for start in tqdm(range(0, len(rows), ROWS_AT_ONCE), desc="reading the answers", unit="batch"):
        batch = rows[start : start + ROWS_AT_ONCE]
        for (prompt_ids, completion_ids), expected in zip(batch, expectations(model, batch), strict=True):
            values, tokens = expected.topk(min(TOP, expected.shape[-1]))
            found.append(Anchor(prompt_ids, completion_ids, tokens.cpu(), values.cpu()))
    return found


def expectations(model: Any, rows: Sequence[Row]) -> Iterator[Tensor]:
    """For each row, the log-probabilities of the next token, float32 [completion, vocabulary]. All rows at once.

    Logits are computed from the first position on at which one is needed: padded on the left, all answers end together.
    """
    ids, mask = (part.to(model.device) for part in pad_left([[*row[0], *row[1]] for row in rows], 0))
    kept = max(len(completion_ids) for _, completion_ids in rows) + 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=kept
    ).logits
    for number, (_, completion_ids) in enumerate(rows):
        # The logits at position t are of token t + 1.
        yield logits[number, -len(completion_ids) - 1 : -1].float().log_softmax(-1)


def divergence(model: Any, anchors: Sequence[Anchor]) -> Tensor:
    """KL(parent || model) of the next token, in nats, as the mean over all tokens of the anchors' answers.

    The tokens beyond the TOP count as one, so this is a lower bound (data processing inequality).
    """
    total, count = torch.zeros((), device=model.device), 0
    rows = [(anchor.prompt_ids, anchor.completion_ids) for anchor in anchors]
    for anchor, expected in zip(anchors, expectations(model, rows), strict=True):
        tokens, old = (part.to(expected.device) for part in (anchor.tokens, anchor.log_probabilities))
        new = expected.gather(-1, tokens)
        old_rest, new_rest = _rest(old), _rest(new)
        total = total + (old.exp() * (old - new)).sum() + (old_rest.exp() * (old_rest - new_rest)).sum()
        count += len(anchor.completion_ids)
    return total / max(count, 1)


def _rest(log_probabilities: Tensor) -> Tensor:
    """Log-probability of all tokens that are not among those given."""
    return torch.log1p(-log_probabilities.exp().sum(-1).clamp(max=1 - 1e-6))


def write_anchors(anchors: Sequence[Anchor], folder: Path) -> None:
    """Keep anchors in a stage's work folder, so that a run that is continued has the same."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for number, anchor in enumerate(anchors):
        tensors[f"{number}.tokens"] = anchor.tokens.to(torch.int32).contiguous()
        tensors[f"{number}.log_probabilities"] = anchor.log_probabilities.contiguous()
    save_file(tensors, folder / "anchors.safetensors")
    rows = [[anchor.prompt_ids, anchor.completion_ids] for anchor in anchors]
    # Written last: its presence says that both are whole.
    (folder / "anchors.json").write_text(json.dumps(rows), encoding="utf-8")


def read_anchors(folder: Path) -> list[Anchor] | None:
    """The anchors of a work folder, None if it has none yet."""
    try:
        rows = json.loads((folder / "anchors.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "anchors.safetensors")
    except (OSError, ValueError):
        return None
    return [
        Anchor(
            prompt_ids,
            completion_ids,
            tensors[f"{number}.tokens"].long(),
            tensors[f"{number}.log_probabilities"],
        )
        for number, (prompt_ids, completion_ids) in enumerate(rows)
    ]
