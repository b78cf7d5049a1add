"""A toy model as a GGUF file, written with the names and the metadata that llama.cpp's converter writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from gguf import (
    MODEL_ARCH,
    GGMLQuantizationType,
    GGUFWriter,
    TokenType,
    get_tensor_name_map,
    quants,
)
from safetensors.numpy import load_file
from transformers import AutoConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

ARCHITECTURES = {
    "llama": MODEL_ARCH.LLAMA,
    "qwen2": MODEL_ARCH.QWEN2,
    "qwen3": MODEL_ARCH.QWEN3,
    "gemma3": MODEL_ARCH.GEMMA3,
    "smollm3": MODEL_ARCH.SMOLLM3,
}


def write_gguf(
    folder: Path,
    path: Path,
    bits: GGMLQuantizationType = GGMLQuantizationType.F32,
    **changed: Any,
) -> Path:
    """Write the toy in `folder` to `path`, matrices in `bits`. `changed`: metadata of other values, such as `pre`."""
    config = json.loads((folder / "config.json").read_text())
    kind = config["model_type"].removesuffix("_text")
    rope = config["rope_parameters"].get("full_attention", config["rope_parameters"])
    architecture = ARCHITECTURES[kind]
    writer = GGUFWriter(str(path), changed.get("architecture", kind))
    heads, key_value_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer.add_name("Toy")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_value_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope["rope_theta"])
    if config.get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])
    if config.get("head_dim"):
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    if "scaling" in changed:
        writer.add_string(f"{kind}.rope.scaling.type", changed["scaling"])
    _write_tokenizer(writer, folder, changed.get("pre", "gpt-2"))
    if rope["rope_type"] == "llama3":
        # transformers' inverse frequencies, and those that would be without the scaling.
        scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](AutoConfig.from_pretrained(folder), "cpu")
        width = 2 * len(scaled)
        plain = rope["rope_theta"] ** -(np.arange(0, width, 2) / width)
        writer.add_tensor("rope_freqs.weight", (plain / scaled.numpy()).astype(np.float32))
    names = get_tensor_name_map(architecture, config["num_hidden_layers"])
    for name, values in load_file(folder / "model.safetensors").items():
        rotating = {"q_proj.weight": heads, "k_proj.weight": key_value_heads}.get(
            ".".join(name.split(".")[-2:])
        )
        if kind in ("llama", "smollm3") and rotating:
            # The two halves of a head, row by row.
            values = np.concatenate(
                [
                    np.stack(np.split(head, 2), axis=1).reshape(head.shape)
                    for head in np.split(values, rotating)
                ]
            )
        stored = names.get_name(name, (".weight", ".bias"))
        if values.ndim == 1:
            shift = 1 if kind == "gemma3" and name.endswith("norm.weight") else 0
            writer.add_tensor(stored, values + np.float32(shift))
        else:
            writer.add_tensor(stored, quants.quantize(values, bits), raw_dtype=bits)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_tokenizer(writer: GGUFWriter, folder: Path, pre: str) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    ids = {
        **content["model"]["vocab"],
        **{entry["content"]: entry["id"] for entry in content["added_tokens"]},
    }
    added = {entry["content"]: entry["special"] for entry in content["added_tokens"]}
    tokens = sorted(ids, key=lambda token: ids[token])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(
        [
            TokenType.NORMAL
            if token not in added
            else TokenType.CONTROL
            if added[token]
            else TokenType.USER_DEFINED
            for token in tokens
        ]
    )
    if content["model"]["merges"]:
        writer.add_token_merges([" ".join(pair) for pair in content["model"]["merges"]])
    for name, add in (
        ("bos_token", writer.add_bos_token_id),
        ("eos_token", writer.add_eos_token_id),
        ("pad_token", writer.add_pad_token_id),
    ):
        if settings.get(name):
            add(ids[settings[name]])
    template = folder / "chat_template.jinja"
    if template.exists():
        writer.add_chat_template(template.read_text())
