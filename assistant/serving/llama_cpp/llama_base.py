"""A base as llama.cpp serves it: its converted file, its tokenizer, and how much memory its replies may take."""

import math
from dataclasses import dataclass
from pathlib import Path

from assistant.bases.base import Base, FileBits
from assistant.bases.base_source import checked_file, fetched_folder, has_file
from assistant.bases.gguf_base import unpacked_folder
from assistant.bases.gguf_file import GgufFile
from assistant.bases.model_folder import configured_ends, head_sizes, read_config
from assistant.bases.safetensors_file import read_tensors
from assistant.errors import ModelError
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.llama_cpp.converted_base import base_file, why_not_converted
from assistant.serving.tokenizing.chat_template import check_template
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer

MAX_REPLIES = 64
"""Replies that are generated at once."""


@dataclass
class LlamaBase:
    """A base: what its replies need to know, and llama.cpp with the adapters that are attached now."""

    folder: Path
    cache: Path
    file: Path
    tokenizer: Tokenizer
    window: int
    ends: list[int]
    ids_by_text: dict[str, int]
    """Token ids by their texts as the converted file spells them (`token_texts.stored`)."""
    parameters: int
    capacity: int
    """Tokens of all replies together whose keys and values fit into the memory that is granted."""
    cache_bytes: int
    """Bytes of so many keys and values."""

    @classmethod
    def read(cls, base: Base, home: Path, cache_bytes: int, quantize: FileBits | None = None) -> "LlamaBase":
        """The base, converted if it is not yet. `cache_bytes`: most memory of all replies' keys and values.

        Raises ModelError if it cannot be read, or not converted.
        """
        file = checked_file(base, home) if has_file(base.name, home) else None
        # Not by `fetched_folder` where there is a file: checking it reads all of it, once is enough.
        folder = (
            unpacked_folder(file, base.revision, home, weights=False) if file else fetched_folder(base, home)
        )
        reason = why_not_served(base, folder, file)
        if reason is not None:
            raise ModelError(
                f"{base.name} cannot be served by llama.cpp: {reason}. Give --engine transformers, which needs "
                "the packages of requirements-gpu.txt."
            )
        tokenizer = ChatTokenizer.read(folder)
        check_template(tokenizer)
        ends = end_tokens(folder, tokenizer)
        cache = home / "cache" / "gguf"
        converted = base_file(folder, file, base.revision, tokenizer, ends, cache, quantize)
        size = size_of(folder, file)
        capacity = max(256, min(cache_bytes // size.cache_bytes_a_token, MAX_REPLIES * size.window))
        capacity = capacity // 256 * 256
        return cls(
            folder,
            cache,
            converted,
            tokenizer,
            size.window,
            ends,
            {text: token for token, text in enumerate(_texts_in(converted))},
            size.parameters,
            capacity,
            capacity * size.cache_bytes_a_token,
        )


def _texts_in(file: Path) -> list[str]:
    texts: list[str] = GgufFile.read(file).metadata["tokenizer.ggml.tokens"]
    return texts


def end_tokens(folder: Path, tokenizer: Tokenizer) -> list[int]:
    """Tokens that end a reply; the tokenizer's own first. Raises ModelError."""
    own = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return list(dict.fromkeys([*own, *configured_ends(folder)]))


def why_not_served(base: Base, folder: Path, file: Path | None) -> str | None:
    """Why llama.cpp cannot serve a base, in words that end a sentence; None if it can. Raises ModelError.

    `folder`: with its configuration. `file`: its weights, if they are in a GGUF file.
    """
    if base.quantize:
        return "its weights are rounded by bitsandbytes"
    if file is None and not list(folder.glob("*.safetensors")):
        return "its weights are not in safetensors"
    return why_not_converted(read_config(folder))


@dataclass(frozen=True)
class Size:
    """How large a base is."""

    window: int
    """Longest sequence in tokens."""
    parameters: int
    cache_bytes_a_token: int
    """Bytes of one token's keys and values, in float16."""


def size_of(folder: Path, file: Path | None) -> Size:
    """How large the base in `folder` is, whose weights may be in the GGUF file `file`. Raises ModelError."""
    config = read_config(folder)
    _, key_value_heads, head = head_sizes(config)
    if file is not None:
        shapes = [tensor.shape for tensor in GgufFile.read(file).tensors.values()]
    else:
        shapes = [
            tensor.values.shape for part in folder.glob("*.safetensors") for tensor in read_tensors(part)
        ]
    return Size(
        config["max_position_embeddings"],
        sum(math.prod(shape) for shape in shapes),
        config["num_hidden_layers"] * 2 * key_value_heads * head * 2,
    )
