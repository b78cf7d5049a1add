"""What a version may lose while it learns: clean answers (hygiene), and what it knew (retention).

Hygiene looks at text alone. Retention reads models: perplexity and KL on fixed texts, token by token, over the
assistant's completions.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from alignment.data.batches import pad_right
from alignment.suites.checkers import CHINESE

LONGER, FREE = 2.0, 40
"""An answer is much longer than another if it has more than LONGER times its characters and FREE besides."""
_LOOP = re.compile(r"(.{1,60}?)\1{3,}\s*$", re.DOTALL)
_LEAST_LOOP = 24
"""Characters that a loop must have in all: "hahahaha" is none."""
_WORD = re.compile(r"[A-Za-z]{2,}")
ROWS_AT_ONCE = 16
TOKENS_AT_ONCE = 4_096
"""Of a batch, padding included, unless one row is longer: each token has a number for every word of the vocabulary."""

Row = tuple[list[int], list[int]]
"""Token ids of a prompt and of its completion."""


def is_empty(answer: str) -> bool:
    """The answer has no visible text, whatever the thought says."""
    return not answer.strip()


def is_repeated(text: str) -> bool:
    """The text ends in four or more copies of the same 1 to 60 characters, together at least 24 characters."""
    match = _LOOP.search(text)
    return match is not None and len(match[0]) >= _LEAST_LOOP


def is_wrong_language(question: str, answer: str) -> bool:
    """A Chinese question has an answer in English words alone, or an English one has Chinese characters in it."""
    if CHINESE.search(question):
        return not CHINESE.search(answer) and len(_WORD.findall(answer)) >= 3
    return CHINESE.search(answer) is not None


def is_much_longer(text: str, other: str) -> bool:
    """`text` is more than twice as long as `other`, and 40 characters besides."""
    return len(text) > LONGER * len(other) + FREE


@torch.no_grad()
def log_likelihoods(model: Any, rows: Sequence[Row]) -> list[float]:
    """Natural logarithm of the probability of each row's completion after its prompt."""
    return [
        float(log_probabilities.gather(-1, ids.unsqueeze(-1)).sum())
        for log_probabilities, ids in _log_probabilities(model, rows)
    ]


def surprises(model: Any, rows: Sequence[Row]) -> list[float]:
    """Mean negative log-likelihood of each row's completion tokens, in nats; e to their mean is the perplexity."""
    likelihoods = log_likelihoods(model, rows)
    return [-value / max(len(ids), 1) for value, (_, ids) in zip(likelihoods, rows, strict=True)]


@torch.no_grad()
def divergences(model: Any, reference: Any, rows: Sequence[Row]) -> list[float]:
    """Exact KL(model || reference) of the next token, in nats, as the mean over each row's completion tokens."""
    pairs = zip(_log_probabilities(model, rows), _log_probabilities(reference, rows), strict=True)
    return [float((new.exp() * (new - old)).sum(-1).mean().clamp(min=0)) for (new, _), (old, _) in pairs]


def _log_probabilities(model: Any, rows: Sequence[Row]) -> Any:
    """Yield for each row the float32 log-probabilities [completion, vocabulary] and the completion's ids."""
    for batch in _batches(rows):
        ids, mask = (part.to(model.device) for part in pad_right([[*row[0], *row[1]] for row in batch], 0))
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        for index, (prompt, completion) in enumerate(batch):
            # The logits at position t are of token t + 1.
            part = logits[index, len(prompt) - 1 : len(prompt) + len(completion) - 1].float()
            yield torch.log_softmax(part, dim=-1), torch.tensor(completion, device=model.device)


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows in their order, as many together as memory takes."""
    batch: list[Row] = []
    for row in rows:
        longest = max(len(prompt) + len(completion) for prompt, completion in [*batch, row])
        if batch and (len(batch) == ROWS_AT_ONCE or (len(batch) + 1) * longest > TOKENS_AT_ONCE):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
