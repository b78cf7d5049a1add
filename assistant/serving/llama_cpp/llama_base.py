"""A base as llama.cpp serves it: its converted file, its tokenizer, and how much memory its replies may take."""

from dataclasses import dataclass
from pathlib import Path

from assistant.bases.base import Base
from assistant.bases.base_source import fetched_folder, read_config, read_json
from assistant.errors import ModelError
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.llama_cpp import gguf
from assistant.serving.prompt import Tokenizer

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
    parameters: int
    capacity: int
    """Tokens of all replies together whose keys and values fit into the memory that is granted."""

    @classmethod
    def read(cls, base: Base, home: Path, cache_bytes: int) -> "LlamaBase":
        folder = fetched_folder(base, home)
        reason = (
            "its weights are rounded by bitsandbytes" if base.quantize else gguf.why_not_converted(folder)
        )
        if reason is not None:
            raise ModelError(
                f"{base.name} cannot be served by llama.cpp: {reason}. Give --engine transformers."
            )
        tokenizer = ChatTokenizer.read(folder)
        ends = _end_tokens(folder, tokenizer)
        cache = home / "cache" / "gguf"
        file = gguf.base_file(folder, base.revision, ends, cache)
        size = gguf.size_of(folder)
        capacity = max(256, min(cache_bytes // size.cache_bytes_a_token, MAX_REPLIES * size.window))
        return cls(folder, cache, file, tokenizer, size.window, ends, size.parameters, capacity // 256 * 256)


def _end_tokens(folder: Path, tokenizer: Tokenizer) -> list[int]:
    """Tokens that end a reply; the tokenizer's own first."""
    path = folder / "generation_config.json"
    configured = read_json(path).get("eos_token_id") if path.exists() else None
    if configured is None:
        configured = read_config(folder).get("eos_token_id")
    ends = configured if isinstance(configured, list) else [configured]
    return list(dict.fromkeys(end for end in [tokenizer.eos_token_id, *ends] if end is not None))
