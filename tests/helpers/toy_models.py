"""Families of models at toy size: real configurations, and templates that behave like the real ones."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    Phi3Config,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

SIZE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "attention_dropout": 0.0,
}

_EACH_TURN = (
    "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n{% endfor %}"
)
_ASK = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
_SWITCH = (
    "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% endif %}"
)
_HEADERS = (
    "{{ bos_token }}{% for turn in messages %}<|start|>{{ turn.role }}<|header|>{{ turn.content }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant<|header|>{% endif %}"
)
# Refuses a system message, and two messages of one role in a row.
_STRICT = (
    "{{ bos_token }}{% for turn in messages %}"
    "{% if turn.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% if (turn.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if turn.role == 'assistant' else turn.role }}\n{{ turn.content }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
_TAGS = (
    "{% for turn in messages %}<|{{ turn.role }}|>{{ turn.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """The differences between families: configuration, template, special tokens."""

    config: type
    template: str | None
    specials: tuple[str, ...]
    end: str
    """The token that ends a turn."""
    bos: str | None = None
    pad: str | None = None
    eos: str | None = None
    """The tokenizer's END where it is another than the turn's."""
    plain_added: tuple[str, ...] = ()
    """Added tokens that are ordinary text, or tags."""
    extras: dict[str, Any] = field(default_factory=dict)


IM = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
PHI = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>")
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
FAMILIES = {
    "qwen3": Family(
        Qwen3Config,
        _EACH_TURN + _ASK + _SWITCH,
        IM,
        "<|im_end|>",
        pad="<|endoftext|>",
        plain_added=("<think>", "</think>"),
        extras={"head_dim": 16},
    ),
    "qwen2.5": Family(Qwen2Config, _EACH_TURN + _ASK, IM, "<|im_end|>", pad="<|endoftext|>"),
    "smollm2": Family(LlamaConfig, _EACH_TURN + _ASK, IM, "<|im_end|>", bos="<|im_start|>"),
    "smollm3": Family(
        SmolLM3Config,
        _EACH_TURN + _ASK + _SWITCH,
        IM,
        "<|im_end|>",
        plain_added=("<think>", "</think>"),
        extras={"num_hidden_layers": 4},
    ),
    "llama3.2": Family(
        LlamaConfig,
        _HEADERS,
        ("<|begin|>", "<|start|>", "<|header|>", "<|eot_id|>", "<|end_of_text|>"),
        "<|eot_id|>",
        bos="<|begin|>",
        extras={"rope_parameters": LLAMA3_ROPE},
    ),
    "gemma3": Family(
        Gemma3TextConfig,
        _STRICT,
        ("<bos>", "<eos>", "<pad>", "<start_of_turn>", "<end_of_turn>"),
        "<end_of_turn>",
        bos="<bos>",
        pad="<pad>",
        eos="<eos>",
        plain_added=("\n\n", "    "),
        extras={
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "num_hidden_layers": 6,
            "sliding_window": 64,
        },
    ),
    "phi": Family(Phi3Config, _TAGS, PHI, "<|end|>", pad="<|endoftext|>", eos="<|endoftext|>"),
    "base": Family(LlamaConfig, None, ("<s>", "</s>"), "</s>", bos="<s>"),
}


def make(name: str, folder: Path, **sizes: int) -> Path:
    """Write a toy of this family to `folder`; `sizes` override its own. The weights are random, the same each time."""
    family = FAMILIES[name]
    tokenizer = _tokenizer(family)
    numbers = {token: tokenizer.convert_tokens_to_ids(token) for token in family.specials}
    ends = sorted({numbers[family.end], numbers[family.eos or family.end]})
    options = {**SIZE, **family.extras, **sizes, "vocab_size": len(tokenizer), "eos_token_id": ends}
    config = family.config(
        **options,
        bos_token_id=numbers[family.bos] if family.bos else None,
        pad_token_id=numbers[family.pad] if family.pad else None,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    model.generation_config.eos_token_id = ends
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(family: Family) -> Any:
    # A token a byte: every text is spelt, and nothing has to be trained.
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(list(family.specials))
    raw.add_tokens(list(family.plain_added))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token=family.bos,
        eos_token=family.eos or family.end,
        pad_token=family.pad,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = family.template
    return tokenizer
