"""Canaries: each fails with the installed version if an internal of transformers goes away that serving relies on."""

import asyncio
from collections.abc import Iterator
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.canary import gone, internal, source_mentions, takes
from helpers.engines import GREEDY, collect

from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving import transformers_compat
from assistant.serving.sampling import Drawing
from assistant.serving.transformers_compat import RequestSampler
from assistant.serving.transformers_engine import TransformersEngine

BATCHING = "transformers.generation.continuous_batching"


@pytest.fixture(scope="module")
def served_manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A batch loop that has run a step."""
    home = tmp_path_factory.mktemp("compat")
    engine = TransformersEngine(Versions(home), version_to_serve(home, "starter"))
    with engine.lease() as served:
        asyncio.run(collect(served, [5, 6], GREEDY))
        yield served._manager
    engine.close()


def test_the_router_hands_over_one_output_or_a_whole_step() -> None:
    router = internal("transformers", f"{BATCHING}.continuous_api", "OutputRouter")
    for method in ("deliver", "deliver_batch"):
        internal("transformers", router.__module__, "OutputRouter", method)
    output = internal("transformers", f"{BATCHING}.requests", "GenerationOutput")
    names = {field.name for field in fields(output)}
    for name in ("request_id", "generated_tokens", "error"):
        if name not in names:
            gone("transformers", f"GenerationOutput.{name}")
    internal("transformers", f"{BATCHING}.requests", "GenerationOutput", "is_finished")


def test_a_request_knows_how_often_it_was_started() -> None:
    state = internal("transformers", f"{BATCHING}.requests", "RequestState")
    names = {field.name for field in fields(state)}
    for name in ("initial_tokens", "generated_tokens", "_true_initial_tokens", "logit_processor_kwargs"):
        if name not in names:
            gone("transformers", f"RequestState.{name}")


def test_a_manager_takes_a_processor_and_a_router_of_ours() -> None:
    manager = internal("transformers", f"{BATCHING}.continuous_api", "ContinuousBatchingManager")
    source_mentions(
        "transformers",
        manager,
        ("self.logit_processor", "self.output_router", "self.background_thread_status"),
    )
    status = internal("transformers", f"{BATCHING}.continuous_api", "BackgroundThreadStatus")
    if not hasattr(status, "can_accept_new_requests"):
        gone("transformers", "BackgroundThreadStatus.can_accept_new_requests")
    takes("transformers", manager.add_request, ("request_id", "max_new_tokens", "streaming", "eos_token_id"))
    takes("transformers", manager.stop, ("block", "hard_stop"))
    for name in ("cancel_request", "is_running", "start"):
        internal("transformers", manager.__module__, "ContinuousBatchingManager", name)


def test_a_batch_is_configured_by_these_names() -> None:
    names = {
        field.name for field in fields(internal("transformers", "transformers", "ContinuousBatchingConfig"))
    }
    for name in (
        "page_size",
        "num_blocks",
        "max_batch_tokens",
        "max_requests_per_batch",
        "use_async_batching",
        "use_cuda_graph",
        "per_request_processors",
    ):
        if name not in names:
            gone("transformers", f"ContinuousBatchingConfig.{name}")


def test_logits_processors_of_a_batch_have_these_methods() -> None:
    module = f"{BATCHING}.cb_logits_processors"
    for method in ("fill_defaults", "prepare_tensor_args", "__call__"):
        internal("transformers", module, "ContinuousBatchingLogitsProcessor", method)
    source_mentions(
        "transformers",
        internal("transformers", module, "ContinuousBatchingLogitsProcessorList"),
        ("tensors_required", "supported_kwargs"),
    )


def test_attention_gets_the_cache_and_where_each_reply_ends() -> None:
    cache = internal("transformers", f"{BATCHING}.cache", "PagedAttentionCache")
    source_mentions("transformers", cache, ("self.layer_to_allocator", "read_index"))
    takes("transformers", cache.update, ("key_states", "value_states", "layer_idx", "kwargs"))
    arguments = internal("transformers", f"{BATCHING}.input_outputs", "PagedAttentionArgs")
    for name in ("cu_seq_lens_q", "cu_seq_lens_k", "read_index"):
        if name not in arguments.__annotations__:
            gone("transformers", f"PagedAttentionArgs.{name}")


def test_an_allocator_says_where_its_keys_are(served_manager: Any) -> None:
    cache = served_manager.batch_processor.cache
    allocator = cache.layer_to_allocator[0]
    for name in ("index", "layer_type", "read_trash_index"):
        if not hasattr(allocator, name):
            gone("transformers", f"{name} of {type(allocator).__name__}")
    sliding = internal("transformers", f"{BATCHING}.cache_allocators", "SlidingAttentionCacheAllocator")
    source_mentions("transformers", sliding, ("self.sliding_window",))


def test_an_unknown_attention_gets_no_mask() -> None:
    # `attend` makes its own. With a mask from the library, the work of a step would be squared again.
    masks = internal("transformers", "transformers.masking_utils", "ALL_MASK_ATTENTION_FUNCTIONS")
    assert transformers_compat.PER_REPLY_ATTENTION not in masks
    source_mentions(
        "transformers",
        internal("transformers", "transformers.masking_utils", "_preprocess_mask_arguments"),
        ("not in ALL_MASK_ATTENTION_FUNCTIONS._global_mapping",),
    )


def test_the_logger_of_the_batch_loop_has_this_name() -> None:
    logger = internal("transformers", f"{BATCHING}.utils", "logger")
    if logger.name != transformers_compat.BATCH_LOGGER:
        gone("transformers", f"logger {transformers_compat.BATCH_LOGGER}")


def test_the_sampler_counts_the_tokens_of_a_request_that_was_started_again() -> None:
    sampler = RequestSampler(ends=[3])
    drawing = Drawing(Sampling(temperature=0.0, min_tokens=4))

    def request(initial: int, true_initial: int, generated: int) -> SimpleNamespace:
        state = SimpleNamespace(
            initial_tokens=[0] * initial,
            _true_initial_tokens=true_initial,
            generated_tokens=[0] * generated,
            logit_processor_kwargs={"drawing": drawing},
        )
        return SimpleNamespace(state=state)

    # 3 tokens so far: END may not come yet. 2 of an earlier start and 2 since: it may.
    sampler.prepare_tensor_args([request(5, 0, 3), request(7, 5, 2)])
    scores = torch.tensor([[0.0, 1.0, 0.0, 9.0]] * 2)
    chosen = sampler(scores, torch.zeros(2, dtype=torch.int32))
    assert chosen.argmax(dim=-1).tolist() == [1, 3]


def test_a_canary_names_the_library_and_its_version() -> None:
    with pytest.raises(
        pytest.fail.Exception, match=r"transformers \d+\.\d+\S* has no transformers\.NoSuchName"
    ):
        internal("transformers", "transformers", "NoSuchName")
