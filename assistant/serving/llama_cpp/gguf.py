"""Bases and adapters as GGUF files, which llama.cpp reads: a cache in the home that may be deleted at any time.

The vocabulary of a converted base holds each token's number instead of its text: "17," for token 17. Prompts go in and
completions come out as token ids, so that the text is of no use here, and llama.cpp's own stream of texts then names
every token exactly, also those that are only part of a character. Such a file is of no use to other programs;
`python -m alignment export` writes files that are.
"""

import hashlib
import json
import os
import re
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import (
    MODEL_ARCH,
    MODEL_ARCH_NAMES,
    GGMLQuantizationType,
    GGUFWriter,
    TokenType,
    get_tensor_name_map,
)

from assistant.bases.base import folder_hash
from assistant.errors import ModelError, VersionError
from assistant.registry.versions import Version
from feedback_store.hashing import sha256_file

FORMAT = 1
"""Raised when converted files change, so that files of an earlier release are not read."""
ARCHITECTURES = {
    "LlamaForCausalLM": MODEL_ARCH.LLAMA,
    "MistralForCausalLM": MODEL_ARCH.LLAMA,
    "Qwen2ForCausalLM": MODEL_ARCH.QWEN2,
    "Qwen3ForCausalLM": MODEL_ARCH.QWEN3,
}
"""Names of transformers' model classes, and llama.cpp's architecture for each."""
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Layers that an adapter may change."""

_TYPES = {
    "BF16": (np.uint16, GGMLQuantizationType.BF16),
    "F16": (np.float16, GGMLQuantizationType.F16),
    "F32": (np.float32, GGMLQuantizationType.F32),
}
_ADAPTER_KEY = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
_converting = threading.Lock()


@dataclass(frozen=True)
class Tensor:
    """A tensor of a safetensors file, its bytes mapped into memory."""

    name: str
    dtype: str
    """"BF16", "F16" or "F32"."""
    values: Any
    """The values, shaped; bfloat16 as uint16, because NumPy has no such type."""

    def as_float32(self) -> Any:
        """The values in float32."""
        if self.dtype == "BF16":
            return (self.values.astype(np.uint32) << 16).view(np.float32)
        return self.values.astype(np.float32)


def why_not_converted(folder: Path) -> str | None:
    """Why the base in `folder` cannot be converted, in words that end a sentence; None if it can."""
    config = read_config(folder)
    name = (config.get("architectures") or ["?"])[0]
    if name not in ARCHITECTURES:
        return f"{name} is not among the architectures that are converted here"
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        return f"its rotary positions are scaled ({kind})"
    if config.get("use_sliding_window") or (config.get("attention_bias") and name == "LlamaForCausalLM"):
        return "its attention has a sliding window or a bias"
    if config.get("quantization_config"):
        return "its weights are quantized"
    if not list(folder.glob("*.safetensors")):
        return "its weights are not in safetensors"
    return None


@dataclass(frozen=True)
class Size:
    """How large a base is."""

    window: int
    """Longest sequence in tokens."""
    parameters: int
    cache_bytes_a_token: int
    """Bytes of one token's keys and values, in float16."""


def size_of(folder: Path) -> Size:
    """How large the base in `folder` is. Raises ModelError."""
    config = read_config(folder)
    _, key_value_heads, head = _heads(config)
    tensors = [tensor for file in folder.glob("*.safetensors") for tensor in read_tensors(file)]
    return Size(
        config["max_position_embeddings"],
        sum(tensor.values.size for tensor in tensors),
        config["num_hidden_layers"] * 2 * key_value_heads * head * 2,
    )


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a base. Raises ModelError if it cannot be read."""
    return read_json(folder / "config.json")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a model folder. Raises ModelError if it cannot be read."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"The model's configuration {path} cannot be read: {error}.") from error
    return content


def base_file(folder: Path, revision: str, ends: list[int], cache: Path) -> Path:
    """The base of a model folder as a GGUF file in `cache`, converted if it is not there yet.

    The weights keep their number type: what is served equals what is trained. `revision`: of the weights, as the
    version records it; if it is empty they are hashed. `ends`: the tokens that end a reply. Raises ModelError if the
    base cannot be converted or written.
    """
    parts = [revision or folder_hash(folder), sha256_file(folder / "config.json"), str(ends[:1])]
    name = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32]
    path = cache / f"base-{FORMAT}-{name}.gguf"
    return _made_once(path, lambda new: _write_base(folder, sorted(folder.glob("*.safetensors")), ends, new))


def adapter_file(version: Version, base_folder: Path, cache: Path) -> Path:
    """A version's adapter as a GGUF file in `cache`, converted if it is not there yet.

    Raises VersionError, naming the tensor, if the adapter has unknown or missing tensors, shapes that do not fit the
    base, or values that are not finite.
    """
    source = version.folder / "adapter_model.safetensors"
    path = cache / f"adapter-{FORMAT}-{sha256_file(source)[:32]}.gguf"
    return _made_once(path, lambda new: _write_adapter(version, base_folder, new))


def read_tensors(path: Path) -> Iterator[Tensor]:
    """The tensors of a safetensors file, in its order. Raises ModelError if the file is damaged.

    Format: https://github.com/huggingface/safetensors#format
    """
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(size))
        mapped = np.memmap(path, np.uint8, "r")
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = entry["data_offsets"]
                kind = _TYPES[entry["dtype"]][0]
                raw = mapped[8 + size + start : 8 + size + end]
                yield Tensor(name, entry["dtype"], raw.view(kind).reshape(entry["shape"]))
    except KeyError as error:
        raise ModelError(f"{path} holds weights of a type that cannot be converted: {error}.") from error
    except (OSError, ValueError, struct.error) as error:
        raise ModelError(f"The weights {path} are damaged: {error}. Download or restore them.") from error


def _made_once(path: Path, write: Any) -> Path:
    with _converting:
        if not path.exists():
            new = path.with_suffix(f".{os.getpid()}.new")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write(new)
                new.replace(path)
            except OSError as error:
                raise ModelError(
                    f"The converted model {path} cannot be written ({error.strerror}). "
                    "Make room on the disk, or correct the folder's permissions."
                ) from error
            finally:
                new.unlink(missing_ok=True)
    return path


def _write_base(folder: Path, weights: list[Path], ends: list[int], path: Path) -> None:
    config = read_config(folder)
    architecture = ARCHITECTURES[config["architectures"][0]]
    heads, key_value_heads, head = _heads(config)
    writer = GGUFWriter(str(path), MODEL_ARCH_NAMES[architecture])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    rope = config.get("rope_parameters") or {}
    writer.add_rope_freq_base(rope.get("rope_theta", config.get("rope_theta", 10_000.0)))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    _write_vocabulary(writer, config["vocab_size"], ends)
    names = get_tensor_name_map(architecture, config["num_hidden_layers"])
    for file in weights:
        for tensor in read_tensors(file):
            if tensor.name == "lm_head.weight" and config.get("tie_word_embeddings"):
                continue
            name = names.get_name(tensor.name, (".weight", ".bias"))
            if name is None:
                raise ModelError(f"{file.name} holds {tensor.name}, which llama.cpp does not know.")
            values = _rotated(tensor.name, tensor.values, architecture, heads, key_value_heads)
            if values.ndim == 1:
                # llama.cpp wants norms and biases in float32.
                writer.add_tensor(name, Tensor(tensor.name, tensor.dtype, values).as_float32())
            elif tensor.dtype == "BF16":
                writer.add_tensor(
                    name, np.ascontiguousarray(values).view(np.uint8), raw_dtype=GGMLQuantizationType.BF16
                )
            else:
                writer.add_tensor(name, np.ascontiguousarray(values))
    _finish(writer)


def _write_vocabulary(writer: GGUFWriter, size: int, ends: list[int]) -> None:
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([f"{token}," for token in range(size)])
    writer.add_token_types([TokenType.NORMAL] * size)
    writer.add_token_merges(["1 2"])  # there must be some, and nothing is ever split into tokens by them
    if ends:
        writer.add_eos_token_id(ends[0])


def _write_adapter(version: Version, base_folder: Path, path: Path) -> None:
    config = read_config(base_folder)
    settings = json.loads((version.folder / "adapter_config.json").read_text(encoding="utf-8"))
    architecture = ARCHITECTURES[config["architectures"][0]]
    heads, key_value_heads, _ = _heads(config)
    shapes = _linear_shapes(config)
    writer = GGUFWriter(str(path), MODEL_ARCH_NAMES[architecture])
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    rank = settings["r"]
    # llama.cpp multiplies by alpha / rank; rank-stabilised LoRA (Kalajdzievski, 2023) by alpha / √rank.
    writer.add_float32(
        "adapter.lora.alpha", settings["lora_alpha"] * (rank**0.5 if settings.get("use_rslora") else 1)
    )
    names = get_tensor_name_map(architecture, config["num_hidden_layers"])
    seen: dict[str, set[str]] = {}
    for tensor in read_tensors(version.folder / "adapter_model.safetensors"):
        matched = _ADAPTER_KEY.fullmatch(tensor.name)
        if matched is None or matched[1] not in shapes:
            raise VersionError(
                f"The adapter of {version.id} holds {tensor.name}, which its base does not have."
            )
        layer, side = matched[1], matched[2]
        values = tensor.as_float32()
        rows, columns = shapes[layer]
        expected = (rank, columns) if side == "A" else (rows, rank)
        if values.shape != expected:
            raise VersionError(
                f"{tensor.name} of {version.id} has the shape {values.shape}, and its base needs {expected}."
            )
        if not np.isfinite(values).all():
            raise VersionError(f"{tensor.name} of {version.id} holds values that are not finite numbers.")
        if side == "B":
            values = _rotated(f"{layer}.weight", values, architecture, heads, key_value_heads)
        name = names.get_name(f"{layer}.weight", (".weight",))
        writer.add_tensor(f"{name}.lora_{side.lower()}", np.ascontiguousarray(values))
        seen.setdefault(layer, set()).add(side)
    half = [layer for layer, sides in seen.items() if len(sides) < 2]
    targets = settings.get("target_modules") or []
    absent = sorted(layer for layer in shapes if layer.rpartition(".")[2] in targets and layer not in seen)
    if not seen or half or absent:
        raise VersionError(
            f"The adapter of {version.id} lacks weights of {(half or absent or ['every layer'])[0]}."
        )
    _finish(writer)


def _finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _heads(config: dict[str, Any]) -> tuple[int, int, int]:
    """Number of attention heads, number of key-value heads, width of a head."""
    heads = config["num_attention_heads"]
    return (
        heads,
        config.get("num_key_value_heads") or heads,
        config.get("head_dim") or config["hidden_size"] // heads,
    )


def _linear_shapes(config: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """(rows, columns) of each linear layer of a base."""
    heads, key_value_heads, head = _heads(config)
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
        f"model.layers.{layer}.{name}": shape
        for layer in range(config["num_hidden_layers"])
        for name, shape in shapes.items()
    }


def _rotated(name: str, values: Any, architecture: Any, heads: int, key_value_heads: int) -> Any:
    """The rows of a query or key projection in the order in which llama.cpp's `llama` architecture rotates them.

    transformers rotates the first half of a head with the second, llama.cpp neighbours
    (https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py, `LlamaModel.permute`).
    """
    if architecture != MODEL_ARCH.LLAMA or not name.endswith(("q_proj.weight", "k_proj.weight")):
        return values
    count = heads if name.endswith("q_proj.weight") else key_value_heads
    rows = values.shape[0]
    return (
        values.reshape(count, 2, rows // count // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
    )
