"""Rotary positions that are slowed for longer windows as in Llama 3: as transformers and as GGUF describe it.

transformers' configuration has four numbers; a GGUF file has what follows from them, a factor for each frequency.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from assistant.bases.model_folder import head_sizes
from assistant.errors import ModelError

FACTORS = "rope_freqs.weight"
"""GGUF's name of the tensor of factors."""
_LLAMA3 = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
"""What Llama 3.1, 3.2 and 3.3 have in common; their `factor` differs."""


def rotary_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of rotary positions, where each kind of layer has its own those of full attention.

    `rope_theta` is the base of the frequencies, `rope_type` "default" if nothing is scaled.
    """
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope = rope.get("full_attention", rope)
    return {
        "rope_theta": float(config.get("rope_theta") or 10_000.0),
        **rope,
        "rope_type": rope.get("rope_type", rope.get("type", "default")),
    }


def factors_of(config: Mapping[str, Any]) -> Any:
    """By how much each frequency is slowed: [half a head], float32. The scaling must be of the type "llama3".

    A frequency that turns often within the window that was pretrained on stays; one that turns less than once is slowed
    by the whole factor; those between are blended (https://github.com/huggingface/transformers/blob/main/src/transformers/
    modeling_rope_utils.py, `_compute_llama3_parameters`).
    """
    rope, head = rotary_settings(config), head_sizes(config)[2]
    frequencies = rope["rope_theta"] ** (-np.arange(0, head, 2) / head)
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * np.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    kept = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / (kept + (1 - kept) / rope["factor"])).astype(np.float32)


def scaling_of(factors: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """transformers' settings from which a GGUF file's factors follow. Raises ModelError if there are none known here.

    `config`: of the model, without them.
    """
    scaling = _LLAMA3 | {"factor": round(float(factors.max()), 3)}
    expected = factors_of({**config, "rope_scaling": scaling})
    if expected.shape != factors.shape or not np.allclose(expected, factors, rtol=1e-4):
        raise ModelError(
            "The model's rotary positions are scaled by factors that are not Llama 3's, which is not read from GGUF. "
            "Give its safetensors folder or Hub id."
        )
    return scaling
