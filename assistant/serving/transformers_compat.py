"""Everything that uses internals of transformers: its batch loop, its paged cache, and a few private attributes.

`tests/assistant/serving/test_transformers_compat.py` fails with the installed version if one of them goes away.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from transformers import AttentionInterface, ContinuousBatchingConfig, GenerationConfig
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.continuous_api import OutputRouter
from transformers.generation.continuous_batching.requests import GenerationOutput

from assistant.serving.attention import AttentionPlan, attend_alone, attend_groups, plan
from assistant.serving.sampling import Drawing, draw_next

PER_REPLY_ATTENTION = "per_reply"
"""The name under which transformers finds `attend`."""
BATCH_LOGGER = "ContinuousBatchingLogger"
"""The logger of the batch loop: it warns about settings that are chosen on purpose here."""


@dataclass(frozen=True)
class Progress:
    """A request as far as it has been generated."""

    request_id: str
    tokens: list[int]
    """All tokens so far."""
    finished: bool
    error: str | None


class ProgressRouter(OutputRouter):
    """Hands on the progress of all requests of one step in one call, on the thread of the batch loop."""

    def __init__(self, deliver: Callable[[list[Progress]], None]) -> None:
        super().__init__()
        self._deliver = deliver

    def deliver(self, output: GenerationOutput) -> None:
        """Hand on the progress of one request."""
        self.deliver_batch([output])

    def deliver_batch(self, outputs: list[GenerationOutput]) -> None:
        """Hand on the progress of several requests."""
        self._deliver(
            [
                Progress(output.request_id, output.generated_tokens, output.is_finished(), output.error)
                for output in outputs
            ]
        )


class RequestSampler(ContinuousBatchingLogitsProcessor):
    """Draws each row of a batch with the settings of its own request.

    The library passes arguments as tensors; these stay in Python, because preparing and applying follow each other on
    one thread (asynchronous batching and CUDA graphs are off).
    """

    supported_kwargs: ClassVar[dict[str, type]] = {"drawing": Drawing}
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self, ends: Sequence[int] = ()) -> None:
        """`ends`: the tokens that end a reply."""
        self._ends = list(ends)
        self._drawings: list[Drawing] = []
        self._positions: list[int] = []

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        """Clear the tensor: no arguments travel in it."""
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
        """Remember whose rows come next. Returns a placeholder of shape [rows], int32."""
        states = [request.state for request in requests_with_new_token]
        self._drawings = [state.logit_processor_kwargs["drawing"] for state in states]
        self._positions = [_generated_so_far(state) for state in states]
        return torch.zeros(len(states), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        """Scores whose largest is the drawn token; `scores`: [rows, vocabulary], maybe with rows of padding after."""
        rows = len(self._drawings)
        tokens = draw_next(scores[:rows], self._drawings, self._positions, self._ends)
        chosen = torch.zeros_like(scores)
        chosen[:rows].scatter_(-1, tokens[:, None], 1.0)
        return chosen


def _generated_so_far(state: Any) -> int:
    # If the cache is too full, a reply starts again with the tokens it had as part of its prompt.
    restarted = len(state.initial_tokens) - state._true_initial_tokens if state._true_initial_tokens else 0
    return int(restarted + len(state.generated_tokens))


def start_batch_loop(
    model: Any,
    ends: list[int],
    max_requests: int,
    page_tokens: int,
    pages: int,
    deliver: Callable[[list[Progress]], None],
) -> Any:
    """A running `ContinuousBatchingManager` over `model` that draws by `RequestSampler` and attends by `attend`.

    `max_requests`: how many replies are generated at once. The cache has `pages` pages of `page_tokens` tokens.
    """
    if model.config._attn_implementation == PER_REPLY_ATTENTION:
        # A manager refuses attention that it does not know.
        model.set_attn_implementation("sdpa")
    manager = model.init_continuous_batching(
        generation_config=GenerationConfig(do_sample=False, eos_token_id=ends, pad_token_id=0),
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=page_tokens,
            num_blocks=pages,
            max_batch_tokens=max(512, max_requests),
            max_requests_per_batch=max_requests,
            use_async_batching=False,
            use_cuda_graph=False,
            per_request_processors=True,
        ),
    )
    processors = ContinuousBatchingLogitsProcessorList([RequestSampler(ends)])
    processors.tensors_required = 1
    manager.logit_processor = processors
    manager.output_router = ProgressRouter(deliver)
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(PER_REPLY_ATTENTION)
    manager.start()
    return manager


def accepts_requests(manager: Any) -> bool:
    """Whether a batch loop takes new requests. After a fatal error it runs on for a moment and takes none."""
    return bool(manager.is_running()) and manager.background_thread_status.can_accept_new_requests() is None


def can_read_directly(model: Any) -> bool:
    """Whether a model of a batch loop also reads one sequence by itself: its eager paged attention has no mask."""
    return bool(model.config._attn_implementation != "paged|eager")


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    cache: Any = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface; `query`: [1, heads, tokens, head size], `key` and `value` likewise.

    `cache`: the batch loop's paged cache; None if one sequence is read by itself. Returns
    [1, tokens, heads, head size]. Raises ValueError for several sequences outside a batch loop.
    """
    if cache is None:
        if query.shape[0] != 1:
            raise ValueError("Outside its batch loop this model reads one sequence at a time.")
        window = kwargs.get("sliding_window")
        return attend_alone(query[0], key[0], value[0], scaling, window)[None], None
    step = _plan_of_step(module, cache, kwargs)
    index = cache.layer_to_allocator[module.layer_idx].index
    read_index = [
        step.read_index if position == index else other for position, other in enumerate(kwargs["read_index"])
    ]
    key, value = cache.update(
        key_states=key,
        value_states=value,
        layer_idx=module.layer_idx,
        kwargs={**kwargs, "read_index": read_index},
    )
    return attend_groups(step.groups, query[0], key[0], value[0], scaling)[None], None


_steps = threading.local()


def _plan_of_step(module: Any, cache: Any, kwargs: dict[str, Any]) -> AttentionPlan:
    # Each batch loop has its own thread, and each step its own list: while it is held here, no other has its id.
    if getattr(_steps, "read_index", None) is not kwargs["read_index"]:
        _steps.read_index, _steps.plans = kwargs["read_index"], {}
    allocator = cache.layer_to_allocator[module.layer_idx]
    if allocator.index not in _steps.plans:
        _steps.plans[allocator.index] = plan(
            kwargs["cu_seq_lens_q"].tolist(),
            kwargs["cu_seq_lens_k"][allocator.layer_type].tolist(),
            kwargs["read_index"][allocator.index],
            allocator.read_trash_index,
            getattr(allocator, "sliding_window", None),
        )
    return _steps.plans[allocator.index]


def quiet_batch_loop() -> None:
    """Turn off the batch loop's warnings."""
    logging.getLogger(BATCH_LOGGER).setLevel(logging.ERROR)


AttentionInterface.register(PER_REPLY_ATTENTION, attend)
