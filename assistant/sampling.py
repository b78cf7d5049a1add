"""Drawing the next token, reproducibly: temperature, top-k, top-p and a seed for each request.

The library samples all requests from one global generator, so a reply would depend on who else is
chatting. Here each request draws its own noise: adding Gumbel(0, 1) noise to log-probabilities and
taking the largest is an exact draw from their softmax (Gumbel-max trick; Maddison et al. 2014), and the noise of
the n-th token depends on (seed, n) alone. The library's batch then only takes the argmax.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

import torch
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)

from assistant.errors import EngineError


@dataclass(frozen=True)
class Sampling:
    """How a reply is drawn. Raises EngineError where a value makes no sense."""

    temperature: float = 0.7
    """0 takes the likeliest token each time."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps all."""
    max_new_tokens: int = 512
    seed: int = 0
    stop: tuple[str, ...] = ()
    """Texts that end the reply; they are not part of it."""
    min_tokens: int = 0
    """The model cannot end the reply before, and no stop text does."""
    ignore_eos: bool = False
    """Go on to `max_new_tokens` whatever the model says: for measurements of a fixed length."""
    logprobs: int | None = None
    """How many of the likeliest tokens to report at each position; None reports nothing."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", tuple(self.stop))
        if not 0.0 <= self.temperature <= 5.0:
            raise EngineError(f"The temperature must lie between 0 and 5, not {self.temperature}.")
        if not 0.0 < self.top_p <= 1.0:
            raise EngineError(f"top_p must be above 0 and at most 1, not {self.top_p}.")
        if self.top_k < 0 or self.max_new_tokens < 1:
            raise EngineError("top_k must be 0 or more, and max_new_tokens 1 or more.")
        if not 0 <= self.min_tokens <= self.max_new_tokens:
            raise EngineError("min_tokens must lie between 0 and max_new_tokens.")
        if not all(self.stop):
            raise EngineError("A stop text must not be empty.")
        if self.logprobs is not None and not 0 <= self.logprobs <= MOST_LOGPROBS:
            raise EngineError(f"At most {MOST_LOGPROBS} log-probabilities are reported at each position.")

    def kept(self) -> dict[str, Any]:
        """What a stored reply keeps: all but the seed, which has its own place, and extras that were not asked for."""
        asked = asdict(self) | {"stop": list(self.stop)}
        extras = {name: asked[name] for name in EXTRAS if asked[name]}
        return {name: value for name, value in asked.items() if name not in ("seed", *EXTRAS)} | extras

    @classmethod
    def of(cls, kept: Mapping[str, Any], seed: int = 0) -> Self:
        """The settings that a stored reply keeps. Notes beside them are passed over."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in kept.items() if name in known}, seed=seed)


EXTRAS = ("stop", "min_tokens", "ignore_eos", "logprobs")
MOST_LOGPROBS = 20


@dataclass(frozen=True)
class Logprob:
    """One token of a reply and its natural log-probability under the model, before temperature and cuts."""

    token_id: int
    logprob: float
    likeliest: tuple[tuple[int, float], ...] = ()
    """(token id, log-probability), the likeliest first."""


@dataclass(frozen=True)
class Drawing:
    """How one request is drawn, and the log-probabilities of what was drawn, where they were asked for."""

    sampling: Sampling
    logprobs: list[Logprob] = field(default_factory=list)


def draw(logits: torch.Tensor, sampling: Sampling, position: int) -> torch.Tensor:
    """Scores whose argmax is a draw from the distribution that `sampling` asks for.

    `logits`: float, shape [vocabulary]. `position`: how many tokens the reply has already.
    """
    if sampling.temperature == 0.0:
        return logits
    scores = distribution(logits, sampling)
    return scores + _gumbel(scores, sampling.seed, position)


def distribution(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Scores of the distribution that is drawn from: its softmax is the probabilities. Temperature above 0.

    `logits`: float, shape [vocabulary]; the result too. A token that is ruled out has -inf.
    """
    scores = torch.log_softmax(logits.float() / sampling.temperature, dim=-1)
    if 0 < sampling.top_k < scores.numel():
        scores = scores.masked_fill(scores < scores.topk(sampling.top_k).values[-1], float("-inf"))
    if sampling.top_p < 1.0:
        ordered, order = scores.softmax(dim=-1).sort(descending=True)
        # A token goes if those likelier than it already hold top_p of the mass; the likeliest always stays.
        beyond = order[ordered.cumsum(dim=-1) - ordered >= sampling.top_p]
        scores = scores.index_fill(-1, beyond, float("-inf"))
    return scores


def _gumbel(like: torch.Tensor, seed: int, position: int) -> torch.Tensor:
    # Hashed, because generators seeded with neighbouring numbers give related streams.
    digest = hashlib.blake2b(f"{seed}/{position}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
    exponential = torch.empty(like.shape, dtype=torch.float32).exponential_(generator=generator)
    return -exponential.log().to(like.device)


class RequestSampler(ContinuousBatchingLogitsProcessor):
    """Applies `draw` to each row of a batch, with the settings of the request the row belongs to.

    The library hands arguments over as tensors; here they stay in Python, because preparing and applying
    follow each other on one thread (the engine turns asynchronous batching and CUDA graphs off).
    """

    supported_kwargs: ClassVar[dict[str, type]] = {"drawing": Drawing}
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self, ends: Sequence[int] = ()) -> None:
        """`ends`: the tokens that end a reply."""
        self._ends = list(ends)
        self._rows: list[tuple[Drawing, int]] = []

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        """Nothing is passed in the tensor."""
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
        """Remember whose rows come next. Returns a placeholder of shape [rows], int32."""
        self._rows = [
            (request.state.logit_processor_kwargs["drawing"], len(request.state.generated_tokens))
            for request in requests_with_new_token
        ]
        return torch.zeros(len(self._rows), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        """`scores`: [rows, vocabulary], maybe padded with rows of no request."""
        drawn = [self._draw(scores[row], *self._rows[row]) for row in range(len(self._rows))]
        return torch.stack([*drawn, *scores[len(drawn) :]])

    def _draw(self, logits: torch.Tensor, drawing: Drawing, position: int) -> torch.Tensor:
        allowed = logits
        if position < drawing.sampling.min_tokens and self._ends:
            allowed = logits.index_fill(-1, torch.tensor(self._ends, device=logits.device), float("-inf"))
        drawn = draw(allowed, drawing.sampling, position).to(logits.dtype)
        if drawing.sampling.logprobs is not None:
            drawing.logprobs.append(_logprob(logits, int(drawn.argmax()), drawing.sampling.logprobs))
        return drawn


def _logprob(logits: torch.Tensor, token: int, how_many: int) -> Logprob:
    under_model = logits.float().log_softmax(dim=-1)
    top = under_model.topk(how_many) if how_many else None
    likeliest = zip(top.indices.tolist(), top.values.tolist(), strict=True) if top else ()
    return Logprob(token, float(under_model[token]), tuple(likeliest))


def processors(ends: Sequence[int] = ()) -> ContinuousBatchingLogitsProcessorList:
    """The library's list with our sampler alone in it. `ends`: the tokens that end a reply."""
    made = ContinuousBatchingLogitsProcessorList([RequestSampler(ends)])
    made.tensors_required = 1
    return made
