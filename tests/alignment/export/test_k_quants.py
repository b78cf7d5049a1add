"""Roundings of llama.cpp's family K: what is written is read as nearly the same numbers."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

from alignment.export.k_quants import in_k_blocks, q4_k_m_kind

Q4_K, Q6_K = GGMLQuantizationType.Q4_K, GGMLQuantizationType.Q6_K


def error(values: np.ndarray, kind: GGMLQuantizationType) -> float:
    """Root of the mean squared error, as a share of the values' own size."""
    encoded = in_k_blocks(values, kind) if kind in (Q4_K, Q6_K) else quants.quantize(values, kind)
    read = quants.dequantize(np.ascontiguousarray(encoded), kind)
    return float(np.sqrt(((read - values) ** 2).mean() / (values**2).mean()))


@pytest.mark.parametrize(
    ("kind", "better", "worse", "lowest"),
    [
        (Q4_K, GGMLQuantizationType.Q5_0, GGMLQuantizationType.Q4_0, -1.0),
        (Q4_K, GGMLQuantizationType.Q5_1, GGMLQuantizationType.Q4_0, 0.01),
        (Q6_K, GGMLQuantizationType.Q8_0, GGMLQuantizationType.Q5_1, -1.0),
    ],
)
def test_the_error_lies_between_those_of_the_roundings_beside_it(
    kind: GGMLQuantizationType, better: GGMLQuantizationType, worse: GGMLQuantizationType, lowest: float
) -> None:
    values = np.random.default_rng(0).normal(scale=0.02, size=(40, 512)).astype(np.float32)
    values = np.maximum(values, lowest)
    assert error(values, better) < error(values, kind) < error(values, worse)


@pytest.mark.parametrize("kind", [Q4_K, Q6_K])
def test_zeros_and_lone_values_are_exact(kind: GGMLQuantizationType) -> None:
    values = np.zeros((3, 256), np.float32)
    values[1, 17] = -1.0
    values[2, 200] = 1.0
    read = quants.dequantize(np.ascontiguousarray(in_k_blocks(values, kind)), kind)
    assert np.abs(read - values).max() < 0.01
    assert not read[0].any()


def test_some_blocks_and_the_output_get_more_bits() -> None:
    kinds = [q4_k_m_kind(f"blk.{block}.ffn_down.weight", 16, False) for block in range(16)]
    assert [block for block in range(16) if kinds[block] == Q6_K] == [0, 1, 4, 7, 10, 13, 14, 15]
    assert q4_k_m_kind("blk.0.ffn_up.weight", 16, False) == Q4_K
    assert q4_k_m_kind("token_embd.weight", 16, False) == Q6_K
    assert q4_k_m_kind("token_embd.weight", 16, True) == Q4_K
