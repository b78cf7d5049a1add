"""What a version may lose while it learns: clean answers, and what it knew. Hygiene is pure; retention reads a model.

Perplexity and KL are taken on texts that never change, token by token, over what the assistant says there.
"""

import re
from collections.abc import Sequence
from typing import Any

import torch

from alignment.data.batches import pad_right
from alignment.suites.checkers import CHINESE

LONGER, FREE = 2.0, 40
"""An answer is much longer from so many times the other's characters on, after so many that are free."""
_LOOP = re.compile(r"(.{1,60}?)\1{3,}\s*$", re.DOTALL)
_LEAST_LOOP = 24
_WORD = re.compile(r"[A-Za-z]{2,}")
ROWS_AT_ONCE = 16

Row = tuple[list[int], list[int]]
"""Token ids of a prompt, and of what is said to it."""


def is_empty(answer: str) -> bool:
    """Nothing to read, whatever was thought."""
    return not answer.strip()


def is_repeated(text: str) -> bool:
    """It ends in four or more copies of the same 1 to 60 characters, 24 characters in all or more."""
    found = _LOOP.search(text)
    return found is not None and len(found[0]) >= _LEAST_LOOP


def is_wrong_language(question: str, answer: str) -> bool:
    """A Chinese question answered in English words alone, or an English one with Chinese. Figures have no language."""
    if CHINESE.search(question):
        return not CHINESE.search(answer) and len(_WORD.findall(answer)) >= 3
    return CHINESE.search(answer) is not None


def is_much_longer(text: str, other: str) -> bool:
    """More than twice as long as `other`, beyond the first 40 characters."""
    return len(text) > LONGER * len(other) + FREE


@torch.no_grad()
def log_likelihoods(model: Any, rows: Sequence[Row]) -> list[float]:
    """Natural logarithm of the probability of each row's completion after its prompt."""
    return [
        float(found.gather(-1, said.unsqueeze(-1)).sum()) for found, said in _log_probabilities(model, rows)
    ]


def surprises(model: Any, rows: Sequence[Row]) -> list[float]:
    """Mean negative log-likelihood of each row's completion tokens, in nats; e to its mean is the perplexity."""
    found = log_likelihoods(model, rows)
    return [-value / max(len(said), 1) for value, (_, said) in zip(found, rows, strict=True)]


@torch.no_grad()
def divergences(model: Any, reference: Any, rows: Sequence[Row]) -> list[float]:
    """Mean over each row's completion tokens of KL(model || reference) of the next token, in nats. Exact."""
    pairs = zip(_log_probabilities(model, rows), _log_probabilities(reference, rows), strict=True)
    return [float((new.exp() * (new - old)).sum(-1).mean().clamp(min=0)) for (new, _), (old, _) in pairs]


def _log_probabilities(model: Any, rows: Sequence[Row]) -> Any:
    """For each row: float32 log-probabilities [completion, vocabulary], and the completion's ids."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        batch = rows[start : start + ROWS_AT_ONCE]
        ids, mask = (part.to(model.device) for part in pad_right([[*row[0], *row[1]] for row in batch], 0))
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        for number, (asked, said) in enumerate(batch):
            # What position t says is the distribution of token t + 1.
            part = logits[number, len(asked) - 1 : len(asked) + len(said) - 1].float()
            yield torch.log_softmax(part, dim=-1), torch.tensor(said, device=model.device)
