"""How GGUF names the parts of a model: architectures, tensors, configuration, and the rows of query and key."""

from collections.abc import Mapping
from typing import Any

from assistant.bases.model_folder import head_sizes
from assistant.bases.rotary_scaling import FACTORS, factors_of, rotary_settings, scaling_of
from assistant.errors import ModelError

ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Gemma3ForCausalLM": "gemma3",
    "SmolLM3ForCausalLM": "smollm3",
}
"""Names of transformers' model classes, and llama.cpp's architecture for each."""

_CLASSES = {
    "llama": ("LlamaForCausalLM", "llama"),
    "qwen2": ("Qwen2ForCausalLM", "qwen2"),
    "qwen3": ("Qwen3ForCausalLM", "qwen3"),
    "gemma3": ("Gemma3ForCausalLM", "gemma3_text"),
    "smollm3": ("SmolLM3ForCausalLM", "smollm3"),
}
"""transformers' class and model type by llama.cpp's architecture, for models that are read from GGUF. Mistral's blocks
are Llama's."""

_LAYERS = {
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "self_attn.q_proj.bias": "attn_q.bias",
    "self_attn.k_proj.bias": "attn_k.bias",
    "self_attn.v_proj.bias": "attn_v.bias",
    "self_attn.q_norm.weight": "attn_q_norm.weight",
    "self_attn.k_norm.weight": "attn_k_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
}
_GEMMA_LAYERS = _LAYERS | {
    "post_attention_layernorm.weight": "post_attention_norm.weight",
    "pre_feedforward_layernorm.weight": "ffn_norm.weight",
    "post_feedforward_layernorm.weight": "post_ffw_norm.weight",
}
_OUTSIDE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def architecture_of(config: Mapping[str, Any]) -> str:
    """llama.cpp's architecture for a configuration whose model class is among ARCHITECTURES."""
    return ARCHITECTURES[config["architectures"][0]]


def tensor_names(config: Mapping[str, Any]) -> dict[str, str]:
    """GGUF's name of each tensor that a base with this configuration may hold, by transformers' name."""
    layers = _GEMMA_LAYERS if architecture_of(config) == "gemma3" else _LAYERS
    return _OUTSIDE | {
        f"model.layers.{block}.{name}": f"blk.{block}.{other}"
        for block in range(config["num_hidden_layers"])
        for name, other in layers.items()
    }


def metadata_of(config: Mapping[str, Any]) -> dict[str, int | float]:
    """The configuration as llama.cpp reads it: values by key without the architecture's name before it."""
    heads, key_value_heads, head = head_sizes(config)
    metadata = {
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"],
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": heads,
        "attention.head_count_kv": key_value_heads,
        "attention.key_length": head,
        "attention.value_length": head,
        "rope.dimension_count": head,
        "rope.freq_base": float(rotary_settings(config)["rope_theta"]),
        "attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        "vocab_size": config["vocab_size"],
    }
    if architecture_of(config) == "gemma3":
        # Which of the layers see no more than this window, llama.cpp knows by itself.
        metadata["attention.sliding_window"] = config["sliding_window"]
    return metadata


def added_tensors(config: Mapping[str, Any]) -> dict[str, Any]:
    """Float32 tensors that a GGUF file has and transformers computes, by GGUF's names."""
    return {FACTORS: factors_of(config)} if rotary_settings(config)["rope_type"] == "llama3" else {}


def is_tied(config: Mapping[str, Any]) -> bool:
    """Whether the embeddings are the output layer too, where the configuration does not say so by itself as well."""
    return bool(config.get("tie_word_embeddings", architecture_of(config) in ("gemma3", "smollm3")))


def config_of(
    metadata: Mapping[str, Any], names: set[str], vocabulary: int, rotary_factors: Any = None
) -> dict[str, Any]:
    """transformers' configuration of a model in a GGUF file.

    `names`: of its tensors. `vocabulary`: number of its tokens. `rotary_factors`: the values of FACTORS, if it is one
    of them. Raises ModelError if the model cannot be trained here:
    its architecture is another, or a part of it has no place in the configuration.
    """
    architecture = metadata.get("general.architecture")
    if architecture not in _CLASSES:
        raise ModelError(
            f"The file holds a model of the architecture {architecture}, and {', '.join(_CLASSES)} are read. "
            "Choose another model, or give its safetensors folder or Hub id."
        )

    def value(key: str, default: Any = None) -> Any:
        found = metadata.get(f"{architecture}.{key}", default)
        if found is None:
            raise ModelError(f"The file lacks {architecture}.{key}. Download it again, or choose another.")
        return found

    scaling = metadata.get(f"{architecture}.rope.scaling.type", "none")
    if scaling != "none":
        raise ModelError(
            f"The model's rotary positions are scaled ({scaling}), which is not read from GGUF. "
            "Give its safetensors folder or Hub id."
        )
    heads, width, blocks = value("attention.head_count"), value("embedding_length"), value("block_count")
    if not all(isinstance(number, int) and 0 < number < 2**20 for number in (heads, width, blocks)):
        raise ModelError(
            f"The file is damaged: its model has {blocks} blocks, {heads} heads and the width {width}."
        )
    model_class, model_type = _CLASSES[architecture]
    config = {
        "architectures": [model_class],
        "model_type": model_type,
        "hidden_act": "silu",
        "hidden_size": width,
        "intermediate_size": value("feed_forward_length"),
        "num_hidden_layers": blocks,
        "num_attention_heads": heads,
        "num_key_value_heads": value("attention.head_count_kv", heads),
        "head_dim": value("attention.key_length", width // heads),
        "max_position_embeddings": value("context_length"),
        "rms_norm_eps": value("attention.layer_norm_rms_epsilon"),
        "rope_theta": value("rope.freq_base", 10_000.0),
        "tie_word_embeddings": "output.weight" not in names,
        "vocab_size": vocabulary,
    }
    if architecture == "gemma3":
        # llama.cpp has the rest built in: which layers see a window of the text, and how those turn positions.
        del config["hidden_act"]
        config |= {
            "hidden_activation": "gelu_pytorch_tanh",
            "query_pre_attn_scalar": config["head_dim"],
            "sliding_window": value("attention.sliding_window"),
            "rope_local_base_freq": 10_000.0,
        }
    if rotary_factors is not None:
        config["rope_scaling"] = scaling_of(rotary_factors, config)
    unknown = names - set(tensor_names(config).values()) - {FACTORS}
    if unknown or (architecture == "llama" and any(name.endswith("attn_q.bias") for name in names)):
        raise ModelError(
            f"The file holds {min(unknown, default='biases of the attention')}, which is not read here. "
            "Give the model's safetensors folder or Hub id."
        )
    return config


def rotated(name: str, values: Any, config: Mapping[str, Any]) -> Any:
    """A tensor of transformers with the rows in llama.cpp's order: [rows, …] each. `name` is transformers'.

    transformers rotates the first half of a head with the second; some of llama.cpp's architectures rotate neighbours
    (https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py, `LlamaModel.permute`).
    """
    heads = _rotating_heads(name, config)
    return values if heads is None else _swapped(values, heads, 2, values.shape[0] // heads // 2)


def unrotated(name: str, values: Any, config: Mapping[str, Any]) -> Any:
    """The reverse of `rotated`: a tensor of a GGUF file with the rows in transformers' order."""
    heads = _rotating_heads(name, config)
    return values if heads is None else _swapped(values, heads, values.shape[0] // heads // 2, 2)


def norm_weights(name: str, values: Any, config: Mapping[str, Any]) -> Any:
    """The float32 weights of a norm or bias, [width], as llama.cpp reads them.

    Gemma multiplies by 1 + weight, and llama.cpp by what the file holds
    (https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py, `Gemma3Model.norm_shift`).
    """
    return values + 1 if architecture_of(config) == "gemma3" and name.endswith("norm.weight") else values


def base_norm_weights(name: str, values: Any, config: Mapping[str, Any]) -> Any:
    """The reverse of `norm_weights`: of a GGUF file's tensor, as transformers has it."""
    return values - 1 if architecture_of(config) == "gemma3" and name.endswith("norm.weight") else values


def _rotating_heads(name: str, config: Mapping[str, Any]) -> int | None:
    if architecture_of(config) not in ("llama", "smollm3"):
        return None
    heads, key_value_heads, _ = head_sizes(config)
    if name.endswith("q_proj.weight"):
        return heads
    return key_value_heads if name.endswith("k_proj.weight") else None


def _swapped(values: Any, heads: int, outer: int, inner: int) -> Any:
    return values.reshape(heads, outer, inner, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
