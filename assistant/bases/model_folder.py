"""The files of a model folder as transformers writes them: what its configuration says, and its usual layers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assistant.errors import ModelError

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Names of the linear layers of a base with the usual layout."""
USUAL_LAYOUT = (
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "Gemma3ForCausalLM",
    "SmolLM3ForCausalLM",
)
"""transformers' model classes whose blocks hold those layers, in `self_attn` and `mlp`, and no others."""


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a model folder. Raises ModelError if it cannot be read."""
    return read_json(folder / "config.json")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a model folder. Raises ModelError if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
    except (OSError, ValueError) as error:
        raise ModelError(f"The model's configuration {path} cannot be read: {error}.") from error
    return content


def configured_ends(folder: Path) -> list[int]:
    """Tokens that end a reply, as the folder's generation or model configuration lists them. Raises ModelError."""
    path = folder / "generation_config.json"
    configured = read_json(path).get("eos_token_id") if path.exists() else None
    if configured is None:
        configured = read_config(folder).get("eos_token_id")
    ends = configured if isinstance(configured, list) else [configured]
    return [end for end in ends if end is not None]


def linear_layers(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of each linear layer of a base's blocks; empty if its class has another layout."""
    if (config.get("architectures") or ["?"])[0] not in USUAL_LAYOUT:
        return {}
    heads, key_value_heads, head = head_sizes(config)
    width, inner = config["hidden_size"], config["intermediate_size"]
    shapes = {
        "self_attn.q_proj": (heads * head, width),
        "self_attn.k_proj": (key_value_heads * head, width),
        "self_attn.v_proj": (key_value_heads * head, width),
        "self_attn.o_proj": (width, heads * head),
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner),
    }
    return {
        f"model.layers.{block}.{name}": shape
        for block in range(config["num_hidden_layers"])
        for name, shape in shapes.items()
    }


def head_sizes(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """Number of attention heads, number of key-value heads, width of a head."""
    heads = config["num_attention_heads"]
    return (
        heads,
        config.get("num_key_value_heads") or heads,
        config.get("head_dim") or config["hidden_size"] // heads,
    )
