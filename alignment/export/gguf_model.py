"""A version as a GGUF file that llama.cpp, Ollama and LM Studio read: its adapter merged into the base."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import quantize as in_blocks

from alignment.errors import ExportError
from alignment.export.gguf_vocabulary import add_vocabulary
from alignment.export.k_quants import in_k_blocks, q4_k_m_kind
from alignment.export.merged_weights import NumberType, in_type, merged_weights
from assistant.bases.gguf_layout import added_tensors, is_tied, norm_weights, rotated, tensor_names
from assistant.bases.model_folder import read_config
from assistant.bases.safetensors_file import read_tensors
from assistant.registry.versions import Version
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.llama_cpp.converted_base import why_not_converted
from assistant.serving.llama_cpp.converted_file import begin_model
from assistant.serving.llama_cpp.llama_base import end_tokens

Rounding = Literal["q8_0", "q5_1", "q5_0", "q4_k_m", "q4_1", "q4_0"]
"""Roundings that can be made here: 8.5, 6, 5.5, about 4.9, 5 and 4.5 bits a weight."""
_PLAIN = {"f32": GGMLQuantizationType.F32, "f16": GGMLQuantizationType.F16, "bf16": GGMLQuantizationType.BF16}
# What llama.cpp takes instead for a row that is no whole number of 256 weights.
_INSTEAD = {
    GGMLQuantizationType.Q4_K: GGMLQuantizationType.Q5_0,
    GGMLQuantizationType.Q6_K: GGMLQuantizationType.Q8_0,
}


def write_gguf(
    version: Version, base_folder: Path, path: Path, name: str, bits: NumberType | Rounding
) -> None:
    """Write the version to `path`. `name`: of the model, as programs show it.

    Raises ExportError if llama.cpp has no such model or tokenizer, as far as they are written here; OSError.
    """
    config = read_config(base_folder)
    reason = why_not_converted(config)
    if reason is not None:
        raise ExportError(
            f"{version.id} cannot be written as GGUF: {reason}. Give --format merged, and convert that folder with "
            "llama.cpp's convert_hf_to_gguf.py."
        )
    writer = begin_model(path, config)
    try:
        writer.add_name(name)
        writer.add_file_type(LlamaFileType["ALL_F32" if bits == "f32" else f"MOSTLY_{bits.upper()}"])
        ends = end_tokens(base_folder, ChatTokenizer.read(base_folder))
        add_vocabulary(writer, base_folder, config["vocab_size"], ends)
        # What the file lists first is known before any weight is computed, so that one at a time is in memory.
        kinds = dict(_announce(writer, base_folder, config, bits))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for weight, values in merged_weights(version, base_folder):
            if weight in kinds:
                values = np.ascontiguousarray(rotated(weight, values, config))
                if values.ndim == 1:
                    values = norm_weights(weight, values, config)
                writer.write_tensor_data(np.ascontiguousarray(_encoded(weight, values, kinds[weight])))
        for values in added_tensors(config).values():
            writer.write_tensor_data(values)
    finally:
        writer.close()


def _encoded(weight: str, values: Any, kind: GGMLQuantizationType) -> Any:
    if kind == GGMLQuantizationType.F16:
        return in_type(weight, values, "f16")
    return in_k_blocks(values, kind) if kind in _INSTEAD else in_blocks(values, kind)


def _announce(
    writer: GGUFWriter, base_folder: Path, config: dict[str, Any], bits: NumberType | Rounding
) -> Iterator[tuple[str, GGMLQuantizationType]]:
    """Announce each weight to `writer`; its name in the base, and the number type in which it is to be written."""
    names, tied = tensor_names(config), is_tied(config)
    for path in sorted(base_folder.glob("*.safetensors")):
        for tensor in read_tensors(path):
            if tensor.name == "lm_head.weight" and tied:
                continue
            if tensor.name not in names:
                raise ExportError(
                    f"The base holds {tensor.name}, which llama.cpp does not know. Give --format merged."
                )
            name, shape = names[tensor.name], tensor.values.shape
            kind = _kind_of(name, shape, bits, config["num_hidden_layers"], not tied)
            block, size = GGML_QUANT_SIZES[kind]
            writer.add_tensor_info(name, shape, np.dtype(np.float32), math.prod(shape) // block * size, kind)
            yield tensor.name, kind
    for name, values in added_tensors(config).items():
        writer.add_tensor_info(name, values.shape, values.dtype, values.nbytes)


def _kind_of(
    name: str, shape: tuple[int, ...], bits: NumberType | Rounding, blocks: int, has_output: bool
) -> GGMLQuantizationType:
    if len(shape) == 1:
        return GGMLQuantizationType.F32  # llama.cpp wants norms and biases so
    if bits in _PLAIN:
        return _PLAIN[bits]
    if bits == "q4_k_m":
        kind = q4_k_m_kind(name, blocks, has_output)
    elif name in ("token_embd.weight", "output.weight"):
        # Embeddings of small models suffer most from rounding: they are large, looked up, and often the output too.
        kind = GGMLQuantizationType.Q8_0
    else:
        kind = GGMLQuantizationType[bits.upper()]
    if shape[-1] % GGML_QUANT_SIZES[kind][0]:
        kind = _INSTEAD.get(kind, GGMLQuantizationType.F16)
    return GGMLQuantizationType.F16 if shape[-1] % GGML_QUANT_SIZES[kind][0] else kind
