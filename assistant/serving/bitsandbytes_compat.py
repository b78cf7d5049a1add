"""Weights in 4 or 8 bits through bitsandbytes, on a GPU and on a CPU, and everything that uses its internals."""

import importlib.util
import logging
from typing import Any

import torch

from assistant.bases.base import Bits
from assistant.errors import QuantizeError


def quantization(bits: Bits, dtype: Any, skip: list[str] | None = None) -> Any:
    """The configuration that `from_pretrained` takes; `dtype` is the `torch.dtype` to compute in.

    `skip` names layers to leave unquantized; by default that is the output layer. 4 bits are NF4 with doubly quantized
    scales (Dettmers et al. 2023, arXiv:2305.14314), 8 bits are LLM.int8() (Dettmers et al. 2022, arXiv:2208.07339).
    Raises QuantizeError if bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise QuantizeError(
            f"--quantize {bits} needs bitsandbytes, and it is not installed. "
            "Run: pip install -r requirements-gpu.txt"
        )
    from transformers import BitsAndBytesConfig

    quiet_bitsandbytes()
    if bits == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skip)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=skip,
    )


def quiet_bitsandbytes() -> None:
    """Turn off its notices: in 8 bits it reports each product's number type, in 4 bits that it has no faster kernel."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def keep_trainable(model: Any) -> Any:
    """Return `model` with its 4-bit layers told never to repack themselves for the CPU's bfloat16 kernel.

    They do so at the first pass in evaluation mode (bitsandbytes 0.50), and no gradient passes through them from then
    on: an evaluation on held-out rows would silently end what training learns below the last layer.
    """
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    return model


def share_memory(weight: torch.Tensor, same: torch.Tensor) -> None:
    """Let `weight` use the memory of `same`, which has equal content."""
    weight.data = same.data
    if getattr(weight, "CB", None) is not None:
        # In 8 bits the same bytes are held a second time, under this name.
        weight.CB = weight.data  # type: ignore[attr-defined]
