"""Drawing the next token, reproducibly: temperature, top-k, top-p and a seed for each request.

The library samples all requests from one global generator, so a reply would depend on who else is chatting. Here
the n-th token of a reply is where a number between 0 and 1 falls among the probabilities laid end to end (inverse
transform sampling; Devroye 1986, III.2), and that number depends on (seed, n) alone. The rows of a batch are drawn
together.
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

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: where the library starts a reply again, it goes on with the same draws and the same list."""
        return self


def draw(logits: torch.Tensor, samplings: Sequence[Sampling], positions: Sequence[int]) -> torch.Tensor:
    """The next token of each reply, int64, shape [rows].

    `logits`: shape [rows, vocabulary], a row a reply. `positions`: how many tokens each reply has already.
    """
    tokens = logits.argmax(dim=-1)
    drawn = [row for row, sampling in enumerate(samplings) if sampling.temperature > 0.0]
    if drawn:
        shares = probabilities(logits[drawn], [samplings[row] for row in drawn])
        # Apple's GPUs have no float64, and sums of many small shares want it.
        sums = (shares.cpu() if shares.device.type == "mps" else shares).double().cumsum(dim=-1)
        places = [_number(samplings[row].seed, positions[row]) for row in drawn]
        wanted = torch.tensor(places, dtype=torch.float64, device=sums.device)[:, None] * sums[:, -1:]
        # The first token whose sum lies beyond: never one of no probability.
        tokens[drawn] = torch.searchsorted(sums, wanted, right=True)[:, 0].to(tokens.device)
    return tokens


def probabilities(logits: torch.Tensor, samplings: Sequence[Sampling]) -> torch.Tensor:
    """What each row is drawn from, float32, shape [rows, vocabulary]; a token that is ruled out has 0.

    `logits`: shape [rows, vocabulary]. The temperatures must be above 0.
    """
    temperatures = torch.tensor([sampling.temperature for sampling in samplings], device=logits.device)
    shares = (logits.float() / temperatures[:, None]).softmax(dim=-1)
    cut = [row for row, sampling in enumerate(samplings) if sampling.top_k > 0 or sampling.top_p < 1.0]
    if cut:
        shares[cut] = _without_the_unlikely(shares[cut], [samplings[row] for row in cut])
    return shares


def _without_the_unlikely(shares: torch.Tensor, samplings: Sequence[Sampling]) -> torch.Tensor:
    """Top-k, then top-p of what that leaves."""
    vocabulary = shares.shape[-1]
    ordered, order = shares.sort(dim=-1, descending=True)
    most = torch.tensor([min(one.top_k or vocabulary, vocabulary) for one in samplings], device=shares.device)
    kept = ordered.masked_fill(ordered < ordered.gather(-1, most[:, None] - 1), 0.0)
    # Without top-p nothing is to go, whatever rounding makes of the last sums.
    mass = torch.tensor([one.top_p if one.top_p < 1.0 else 2.0 for one in samplings], device=shares.device)
    # A token goes if those likelier than it already hold top_p of the mass; the likeliest always stays.
    before = kept.cumsum(dim=-1) - kept
    kept = kept.masked_fill(before >= mass[:, None] * kept.sum(dim=-1, keepdim=True), 0.0)
    kept = kept / kept.sum(dim=-1, keepdim=True)
    return torch.zeros_like(shares).scatter(-1, order, kept)


def _number(seed: int, position: int) -> float:
    """At least 0 and below 1, the same for the same seed and position; 52 bits."""
    # Hashed, because generators seeded with neighbouring numbers give related streams.
    digest = hashlib.blake2b(f"{seed}/{position}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 12) / 2**52


class RequestSampler(ContinuousBatchingLogitsProcessor):
    """Applies `draw` to the rows of a batch, each with the settings of the request that it belongs to.

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
            (request.state.logit_processor_kwargs["drawing"], _tokens_so_far(request.state))
            for request in requests_with_new_token
        ]
        return torch.zeros(len(self._rows), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        """Scores whose largest is the token that was drawn; `scores`: [rows, vocabulary].

        There may be rows of padding after those of the requests.
        """
        rows = len(self._rows)
        early = [row for row, (one, position) in enumerate(self._rows) if position < one.sampling.min_tokens]
        allowed = scores[:rows]
        if early and self._ends:
            allowed = allowed.clone()
            allowed[torch.tensor(early)[:, None], torch.tensor(self._ends)] = float("-inf")
        samplings = [drawing.sampling for drawing, _ in self._rows]
        tokens = draw(allowed, samplings, [position for _, position in self._rows])
        for row, (drawing, _) in enumerate(self._rows):
            if drawing.sampling.logprobs is not None:
                drawing.logprobs.append(_logprob(scores[row], int(tokens[row]), drawing.sampling.logprobs))
        chosen = torch.zeros_like(scores)
        chosen[:rows].scatter_(-1, tokens[:, None], 1.0)
        return chosen


def _tokens_so_far(state: Any) -> int:
    # Where the cache was too full, a reply starts again with what it had as part of its prompt.
    again = len(state.initial_tokens) - state._true_initial_tokens if state._true_initial_tokens else 0
    return int(again + len(state.generated_tokens))


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
