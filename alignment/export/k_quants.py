"""Roundings of llama.cpp's family K, which the package `gguf` reads and does not make: Q4_K and Q6_K.

256 weights of a row share two scales in float16; parts of them share finer ones, which are rounded themselves. The
finer scales are searched so that the error is least, weighted by the size of the weights. The same search and layout as
llama.cpp's: https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c, `quantize_row_q4_K_ref` and
`quantize_row_q6_K_ref`.
"""

from typing import Any

import numpy as np
from gguf import GGMLQuantizationType

BLOCK = 256
"""Weights of a row that share a scale."""
_AT_ONCE = 4096
"""Blocks that are rounded together: bounds memory."""


def q4_k_m_kind(name: str, blocks: int, has_output: bool) -> GGMLQuantizationType:
    """The rounding of a matrix in a file of the kind Q4_K_M, by its name in GGUF.

    `blocks`: of the model. `has_output`: whether it has an output layer apart from its embeddings. Values and
    down-projections of some blocks, and the output layer, get more bits, as llama.cpp gives them
    (`llama_tensor_get_type`).
    """
    if name == "output.weight" or (name == "token_embd.weight" and not has_output):
        return GGMLQuantizationType.Q6_K
    if name.endswith(("attn_v.weight", "ffn_down.weight")):
        block = int(name.split(".")[1])
        if block < blocks // 8 or block >= 7 * blocks // 8 or (block - blocks // 8) % 3 == 2:
            return GGMLQuantizationType.Q6_K
    return GGMLQuantizationType.Q4_K


def in_k_blocks(values: Any, kind: GGMLQuantizationType) -> Any:
    """Float32 `values` [rows, width] as the bytes [rows, bytes of a row] of Q4_K or Q6_K. BLOCK divides the width."""
    blocks = values.reshape(-1, BLOCK)
    encode = _q4_k if kind == GGMLQuantizationType.Q4_K else _q6_k
    parts = [encode(blocks[start : start + _AT_ONCE]) for start in range(0, len(blocks), _AT_ONCE)]
    return np.concatenate(parts).reshape(values.shape[0], -1)


def _q4_k(blocks: Any) -> Any:
    """[blocks, 256] → [blocks, 144]: each part of 32 weights is scale · q - minimum, q of 4 bits."""
    parts = blocks.reshape(-1, 8, 32)
    scales, minima = _scales_and_minima(parts, 15)
    d, rounded_scales = _six_bits(scales)
    d_minimum, rounded_minima = _six_bits(minima)
    scale = d.astype(np.float32)[:, None] * rounded_scales
    minimum = d_minimum.astype(np.float32)[:, None] * rounded_minima
    quotient = _divided(parts + minimum[..., None], scale[..., None])
    q = np.clip(np.rint(quotient), 0, 15).astype(np.uint8)
    s, m = rounded_scales.astype(np.uint8), rounded_minima.astype(np.uint8)
    # The last four of each have their two high bits in the first four's bytes.
    packed = np.concatenate(
        [
            s[:, :4] | (s[:, 4:] >> 4 << 6),
            m[:, :4] | (m[:, 4:] >> 4 << 6),
            (s[:, 4:] & 15) | (m[:, 4:] & 15) << 4,
        ],
        axis=1,
    )
    pairs = q.reshape(-1, 4, 2, 32)
    nibbles = (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(-1, 128)
    return np.concatenate([_bytes(d), _bytes(d_minimum), packed, nibbles], axis=1)


def _q6_k(blocks: Any) -> Any:
    """[blocks, 256] → [blocks, 210]: each part of 16 weights is scale · q, q of 6 bits with a sign."""
    parts = blocks.reshape(-1, 16, 16)
    scales = _symmetric_scales(parts, 32)
    largest = np.take_along_axis(scales, np.abs(scales).argmax(axis=1)[:, None], axis=1)
    inverse = _divided(np.float32(-128), largest)
    d = _divided(np.float32(1), inverse).astype(np.float16)
    rounded_scales = np.clip(np.rint(inverse * scales), -128, 127).astype(np.int8)
    scale = d.astype(np.float32) * rounded_scales
    q = (np.clip(np.rint(_divided(parts, scale[..., None])), -32, 31) + 32).astype(np.uint8)
    q[scale == 0] = 32
    halves = q.reshape(-1, 2, 4, 32)
    low, high = halves & 15, halves >> 4
    ql = np.stack([low[:, :, 0] | low[:, :, 2] << 4, low[:, :, 1] | low[:, :, 3] << 4], axis=2)
    qh = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    return np.concatenate(
        [ql.reshape(-1, 128), qh.reshape(-1, 64), rounded_scales.view(np.uint8), _bytes(d[:, 0])], axis=1
    )


def _scales_and_minima(parts: Any, most: int) -> tuple[Any, Any]:
    """Scale and minimum of each part [..., weights], so that weights are near scale · q - minimum for q of 0 to `most`.

    llama.cpp's `make_qkx2_quants`: of 21 ranges the one with the least squared error, fitted by least squares.
    """
    weight = np.sqrt((parts**2).mean(axis=-1, keepdims=True)) + np.abs(parts)
    low, high = np.minimum(parts.min(axis=-1), 0), parts.max(axis=-1)
    span = high - low
    sum_w, sum_x = weight.sum(axis=-1), (weight * parts).sum(axis=-1)

    def quantized(numerator: float) -> Any:
        inverse = _divided(np.float32(numerator), span)[..., None]
        return np.clip(np.rint(inverse * (parts - low[..., None])), 0, most)

    def error(scale: Any, minimum: Any, q: Any) -> Any:
        return (weight * (scale[..., None] * q + minimum[..., None] - parts) ** 2).sum(axis=-1)

    scale, minimum = span / most, low
    least = error(scale, minimum, quantized(most))
    for step in range(21):
        q = quantized(most - 1 + 0.1 * step)
        sum_l, sum_l2 = (weight * q).sum(axis=-1), (weight * q * q).sum(axis=-1)
        sum_xl = (weight * q * parts).sum(axis=-1)
        determinant = sum_w * sum_l2 - sum_l * sum_l
        new_scale = _divided(sum_w * sum_xl - sum_x * sum_l, determinant)
        new_minimum = _divided(sum_l2 * sum_x - sum_l * sum_xl, determinant)
        # A part's minimum is at most 0.
        above = new_minimum > 0
        new_scale = np.where(above, _divided(sum_xl, sum_l2), new_scale)
        new_minimum = np.where(above, 0, new_minimum)
        new_error = error(new_scale, new_minimum, q)
        better = (determinant > 0) & (new_error < least)
        scale, minimum = np.where(better, new_scale, scale), np.where(better, new_minimum, minimum)
        least = np.where(better, new_error, least)
    return np.maximum(scale, 0), -minimum


def _symmetric_scales(parts: Any, most: int) -> Any:
    """Scale of each part [..., weights], so that weights are near scale · q for q of -`most` to `most` - 1.

    llama.cpp's `make_qx_quants`: of 19 scales the one with the least squared error, weighted by the squared weights.
    """
    largest = np.take_along_axis(parts, np.abs(parts).argmax(axis=-1)[..., None], axis=-1)
    weight = parts**2
    scale, best = np.zeros(parts.shape[:-1], np.float32), np.zeros(parts.shape[:-1], np.float32)
    for step in (0, *range(-9, 0), *range(1, 10)):
        q = np.clip(np.rint(_divided(np.float32(-(most + 0.1 * step)), largest) * parts), -most, most - 1)
        sum_lx, sum_l2 = (weight * parts * q).sum(axis=-1), (weight * q * q).sum(axis=-1)
        gain = _divided(sum_lx * sum_lx, sum_l2)
        better = gain > best
        scale, best = np.where(better, _divided(sum_lx, sum_l2), scale), np.where(better, gain, best)
    return scale


def _six_bits(scales: Any) -> tuple[Any, Any]:
    """[blocks, parts] as float16 [blocks] times whole numbers of 0 to 63."""
    largest = scales.max(axis=1)
    whole = np.clip(np.rint(_divided(np.float32(63), largest)[:, None] * scales), 0, 63)
    return (largest / 63).astype(np.float16), whole


def _divided(numerator: Any, denominator: Any) -> Any:
    """The quotient in float32; 0 where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    return np.divide(numerator, denominator, out=np.zeros(shape, np.float32), where=denominator != 0)


def _bytes(values: Any) -> Any:
    """float16 [blocks] as bytes [blocks, 2]."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(-1, 2)
