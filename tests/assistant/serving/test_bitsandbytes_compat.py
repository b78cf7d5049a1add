"""Canaries: each fails with the installed version if an internal of bitsandbytes goes away."""

import importlib.util

import pytest
import torch
from helpers.canary import gone, internal

from assistant.serving.bitsandbytes_compat import keep_trainable

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"
)


def test_a_layer_in_4_bits_can_be_told_not_to_repack_itself() -> None:
    layer = internal("bitsandbytes", "bitsandbytes.nn", "Linear4bit")(64, 64)
    if not hasattr(layer, "support_avx512bf16_for_cpu"):
        gone("bitsandbytes", "Linear4bit.support_avx512bf16_for_cpu")
    layer.support_avx512bf16_for_cpu = True
    assert not keep_trainable(torch.nn.Sequential(layer))[0].support_avx512bf16_for_cpu


def test_a_weight_in_8_bits_holds_its_bytes_under_a_second_name() -> None:
    weight = internal("bitsandbytes", "bitsandbytes.nn", "Int8Params")(torch.randn(8, 8), requires_grad=False)
    if not hasattr(weight, "CB"):
        gone("bitsandbytes", "Int8Params.CB")
