"""Memory: what is planned for a stage, and what a process may take."""

from typing import Any

import psutil
import pytest
import torch
from helpers.tiny_ppo import tiny_config
from transformers import Qwen3ForCausalLM

from alignment.errors import TrainingError
from alignment.huge_pages import on_glibc
from alignment.training.memory import MemoryNeeds, free_memory, give_back_freed, measure, plan
from alignment.training.parent_version import with_new_adapter

GIB = 2**30
NEEDS = MemoryNeeds(fixed=GIB, token=2**20, checkpointed_token=2**17)


def test_rows_share_a_pass_as_far_as_the_room_for_them_goes() -> None:
    planned = plan(longest=100, needs=NEEDS, free=16 * GIB, roomy=GIB)
    assert (planned.tokens_at_once, planned.checkpointing) == (1024, False)
    assert planned.bytes_needed == 2 * GIB


def test_a_long_row_may_take_what_is_free() -> None:
    planned = plan(longest=3000, needs=NEEDS, free=16 * GIB, roomy=GIB)
    assert (planned.tokens_at_once, planned.checkpointing) == (3000, False)


def test_layers_are_computed_again_only_where_the_longest_row_does_not_fit() -> None:
    planned = plan(longest=3000, needs=NEEDS, free=3 * GIB, roomy=GIB)
    assert planned.checkpointing
    assert planned.tokens_at_once >= 3000
    assert planned.bytes_needed <= 3 * GIB


def test_a_row_that_does_not_fit_is_refused_with_the_figure_and_what_helps() -> None:
    with pytest.raises(
        TrainingError, match=r"takes about 1\.4 GiB for its longest row of 3000 tokens.*--max_length"
    ):
        plan(longest=3000, needs=NEEDS, free=GIB)


def model_of(layers: int) -> Any:
    config = tiny_config()
    config.num_hidden_layers, config.layer_types = layers, ["full_attention"] * layers
    return with_new_adapter(Qwen3ForCausalLM(config), rank=4, alpha=8, seed=1)


def test_a_token_takes_more_in_a_larger_model_and_less_if_its_layers_are_computed_again() -> None:
    small, large = (measure(model_of(layers)) for layers in (2, 8))
    assert small.token < large.token
    assert large.checkpointed_token < large.token


def test_measuring_moves_no_weight_and_leaves_no_gradient() -> None:
    model = model_of(2)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    measure(model)
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    assert all(weight.grad is None for weight in model.parameters())


def test_a_setting_bounds_what_the_process_may_take() -> None:
    assert free_memory(0.001) < 0 < free_memory(None)


@pytest.mark.skipif(not on_glibc(), reason="only glibc is asked to give memory back")
def test_freed_blocks_between_others_are_given_back() -> None:
    blocks = [torch.ones(2**18) for _ in range(100)]
    full = psutil.Process().memory_info().rss
    del blocks[:-1]
    give_back_freed()
    assert psutil.Process().memory_info().rss < full - 80 * 2**20
