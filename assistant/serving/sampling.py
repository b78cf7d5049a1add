"""Drawing the next token, reproducibly: temperature, top-k, top-p and a seed for each request.

transformers samples all requests from one global generator, so that a reply would depend on who else is chatting. Here
the n-th token of a reply is found by inverse transform sampling (Devroye 1986, III.2): the probabilities are laid end
to end, and a number between 0 and 1 that depends on (seed, n) alone falls on one of them. The rows of a batch are
drawn together.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from assistant.sampling_settings import PENALTY_WINDOW, Sampling
from assistant.serving.engine import Logprob


@dataclass
class Drawing:
    """How one request is drawn, and of its tokens so far what it asks for."""

    sampling: Sampling
    logprobs: list[Logprob] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    """The reply so far, kept if a penalty needs it."""
    broken: bool = False
    """Whether the model once gave no probabilities to draw from: logits that are NaN, infinite, or all excluded."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: a request that the library starts again keeps the same list of log-probabilities."""
        return self


def draw_next(
    scores: torch.Tensor, drawings: Sequence[Drawing], positions: Sequence[int], ends: Sequence[int]
) -> torch.Tensor:
    """The next token of each request, int64, shape [rows]; its log-probability is appended to its drawing.

    `scores`: logits, shape [rows, vocabulary]. `positions`: how many tokens each request has already. `ends`: the
    tokens that end a reply; a request that has fewer than its `min_tokens` cannot draw them.

    A request without usable logits is marked as broken and gets any token, so that the others are drawn all the same.
    """
    usable = scores.amax(dim=-1).isfinite()
    if not bool(usable.all()):
        for drawing, fine in zip(drawings, usable.tolist(), strict=True):
            drawing.broken |= not fine
        scores = torch.where(usable[:, None], scores, 0.0)
    allowed = scores
    early = [
        row
        for row, (drawing, position) in enumerate(zip(drawings, positions, strict=True))
        if position < drawing.sampling.min_tokens
    ]
    if early and ends:
        allowed = allowed.clone()
        allowed[torch.tensor(early)[:, None], torch.tensor(list(ends))] = float("-inf")
    tokens = draw(
        _penalized(allowed, drawings, positions), [drawing.sampling for drawing in drawings], positions
    )
    for row, drawing in enumerate(drawings):
        if _has_penalty(drawing.sampling):
            drawing.tokens.append(int(tokens[row]))
        if drawing.sampling.logprobs is not None:
            drawing.logprobs.append(_logprob(scores[row], int(tokens[row]), drawing.sampling.logprobs))
    return tokens


def _has_penalty(sampling: Sampling) -> bool:
    return bool(sampling.frequency_penalty or sampling.presence_penalty)


def _penalized(scores: torch.Tensor, drawings: Sequence[Drawing], positions: Sequence[int]) -> torch.Tensor:
    """Logits after the penalties for what each reply has had lately, shape [rows, vocabulary]."""
    rows = [row for row, drawing in enumerate(drawings) if _has_penalty(drawing.sampling)]
    if not rows:
        return scores
    scores = scores.clone()
    for row in rows:
        drawing = drawings[row]
        # A request that the library starts again is drawn from its first token on once more.
        del drawing.tokens[positions[row] :]
        ids, counts = torch.tensor(drawing.tokens[-PENALTY_WINDOW:], dtype=torch.int64).unique(
            return_counts=True
        )
        sampling = drawing.sampling
        penalties = sampling.frequency_penalty * counts + sampling.presence_penalty
        scores[row, ids.to(scores.device)] -= penalties.to(scores)
    return scores


def draw(logits: torch.Tensor, samplings: Sequence[Sampling], positions: Sequence[int]) -> torch.Tensor:
    """The next token of each reply, int64, shape [rows].

    `logits`: shape [rows, vocabulary], a row for each reply. `positions`: how many tokens each reply has already.
    """
    tokens = logits.argmax(dim=-1)
    random_rows = [row for row, sampling in enumerate(samplings) if sampling.temperature > 0.0]
    if random_rows:
        shares = probabilities(logits[random_rows], [samplings[row] for row in random_rows])
        # Apple's GPUs have no float64, and sums of many small shares need it.
        sums = (shares.cpu() if shares.device.type == "mps" else shares).double().cumsum(dim=-1)
        numbers = [_number(samplings[row].seed, positions[row]) for row in random_rows]
        targets = torch.tensor(numbers, dtype=torch.float64, device=sums.device)[:, None] * sums[:, -1:]
        # The first token whose sum lies beyond the target: never a token of probability 0.
        tokens[random_rows] = torch.searchsorted(sums, targets, right=True)[:, 0].to(tokens.device)
    return tokens


def probabilities(logits: torch.Tensor, samplings: Sequence[Sampling]) -> torch.Tensor:
    """The distribution that each row is drawn from, float32, shape [rows, vocabulary]; excluded tokens have 0.

    `logits`: shape [rows, vocabulary]. The temperatures must be above 0.
    """
    temperatures = torch.tensor([sampling.temperature for sampling in samplings], device=logits.device)
    shares = (logits.float() / temperatures[:, None]).softmax(dim=-1)
    truncated = [
        row
        for row, sampling in enumerate(samplings)
        if sampling.top_k > 0 or sampling.top_p < 1.0 or sampling.min_p > 0.0
    ]
    if truncated:
        shares[truncated] = _truncate(shares[truncated], [samplings[row] for row in truncated])
    return shares


def _truncate(shares: torch.Tensor, samplings: Sequence[Sampling]) -> torch.Tensor:
    """Apply top-k, then top-p to what top-k leaves, then min-p."""
    vocabulary, device = shares.shape[-1], shares.device
    ordered, order = shares.sort(dim=-1, descending=True)
    top_k = torch.tensor([min(row.top_k or vocabulary, vocabulary) for row in samplings], device=device)
    kept = ordered.masked_fill(ordered < ordered.gather(-1, top_k[:, None] - 1), 0.0)
    # With top_p 1 no token may go, whatever rounding makes of the last sums.
    top_p = torch.tensor([row.top_p if row.top_p < 1.0 else 2.0 for row in samplings], device=device)
    # A token goes if those likelier than it already hold top_p of the mass; the likeliest always stays.
    before = kept.cumsum(dim=-1) - kept
    kept = kept.masked_fill(before >= top_p[:, None] * kept.sum(dim=-1, keepdim=True), 0.0)
    min_p = torch.tensor([row.min_p for row in samplings], device=device)
    kept = kept.masked_fill(kept < min_p[:, None] * kept[:, :1], 0.0)
    kept = kept / kept.sum(dim=-1, keepdim=True)
    return torch.zeros_like(shares).scatter(-1, order, kept)


def _number(seed: int, position: int) -> float:
    """A number from 0 up to but not including 1, the same for the same seed and position; 52 bits."""
    # Hashed, because generators seeded with neighbouring numbers give related streams.
    digest = hashlib.blake2b(f"{seed}/{position}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 12) / 2**52


def _logprob(logits: torch.Tensor, token: int, count: int) -> Logprob:
    logprobs = logits.float().log_softmax(dim=-1)
    top = logprobs.topk(count) if count else None
    likeliest = zip(top.indices.tolist(), top.values.tolist(), strict=True) if top else ()
    return Logprob(token, float(logprobs[token]), tuple(likeliest))
