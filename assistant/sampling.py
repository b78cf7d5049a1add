"""Drawing the next token, reproducibly: temperature, top-k, top-p and a seed for each request.

The library samples all requests from one global generator, so a reply would depend on who else is
chatting. Here each request draws its own noise: adding Gumbel(0, 1) noise to log-probabilities and
taking the largest is an exact draw from their softmax (Gumbel-max trick; Maddison et al. 2014), and the noise of
the n-th token depends on (seed, n) alone. The library's batch then only takes the argmax.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar

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

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature <= 5.0:
            raise EngineError(f"The temperature must lie between 0 and 5, not {self.temperature}.")
        if not 0.0 < self.top_p <= 1.0:
            raise EngineError(f"top_p must be above 0 and at most 1, not {self.top_p}.")
        if self.top_k < 0 or self.max_new_tokens < 1:
            raise EngineError("top_k must be 0 or more, and max_new_tokens 1 or more.")


def draw(logits: torch.Tensor, sampling: Sampling, position: int) -> torch.Tensor:
    """Scores whose argmax is a draw from the distribution that `sampling` asks for.

    `logits`: float, shape [vocabulary]. `position`: how many tokens the reply has already.
    """
    if sampling.temperature == 0.0:
        return logits
    scores = torch.log_softmax(logits.float() / sampling.temperature, dim=-1)
    if 0 < sampling.top_k < scores.numel():
        scores = scores.masked_fill(scores < scores.topk(sampling.top_k).values[-1], float("-inf"))
    if sampling.top_p < 1.0:
        ordered, order = scores.softmax(dim=-1).sort(descending=True)
        # A token goes if those likelier than it already hold top_p of the mass; the likeliest always stays.
        beyond = order[ordered.cumsum(dim=-1) - ordered >= sampling.top_p]
        scores = scores.index_fill(-1, beyond, float("-inf"))
    return scores + _gumbel(scores, sampling.seed, position)


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

    supported_kwargs: ClassVar[dict[str, type]] = {"sampling": Sampling}
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._rows: list[tuple[Sampling, int]] = []

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        """Nothing is passed in the tensor."""
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
        """Remember whose rows come next. Returns a placeholder of shape [rows], int32."""
        self._rows = [
            (request.state.logit_processor_kwargs["sampling"], len(request.state.generated_tokens))
            for request in requests_with_new_token
        ]
        return torch.zeros(len(self._rows), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        """`scores`: [rows, vocabulary], maybe padded with rows of no request."""
        drawn = [draw(scores[row], *self._rows[row]).to(scores.dtype) for row in range(len(self._rows))]
        return torch.stack([*drawn, *scores[len(drawn) :]])


def processors() -> ContinuousBatchingLogitsProcessorList:
    """The library's list with our sampler alone in it."""
    made = ContinuousBatchingLogitsProcessorList([RequestSampler()])
    made.tensors_required = 1
    return made
