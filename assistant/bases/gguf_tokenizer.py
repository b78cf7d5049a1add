"""The tokenizer in a GGUF file's metadata, as the files of a model folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from assistant.errors import ModelError

_NORMAL, _CONTROL, _OWN = 1, 3, 4
"""GGUF's types of tokens: text, control tokens such as END, and texts that were added to the vocabulary."""

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|%s| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _by_words(numbers: str) -> Any:
    split = pre_tokenizers.Split(Regex(_WORDS % numbers), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


_GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
PRE_TOKENIZERS = {
    "gpt-2": _GPT2,
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _GPT2]),
    "qwen2": _by_words(r"\p{N}"),
    "llama-bpe": _by_words(r"\p{N}{1,3}"),
}
"""How a text is split before it is tokenized, by GGUF's name of it (llama.cpp's `llm_tokenizer_bpe`)."""


def write_tokenizer(metadata: Mapping[str, Any], folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json to `folder`.

    Raises ModelError if the tokenizer is of another kind than byte-level BPE, splits texts in an unknown way, or is
    damaged.
    """
    model, split = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if model != "gpt2" or split not in PRE_TOKENIZERS:
        raise ModelError(
            f"The file's tokenizer is of the kind {model}, {split}, and of GGUF's kinds gpt2 with "
            f"{', '.join(PRE_TOKENIZERS)} are read. Give the model's safetensors folder or Hub id."
        )
    try:
        tokens: list[str] = metadata["tokenizer.ggml.tokens"]
        merges = [_halves(merge) for merge in metadata.get("tokenizer.ggml.merges", [])]
        kinds = metadata.get("tokenizer.ggml.token_type") or [_NORMAL] * len(tokens)
        tokenizer = Tokenizer(
            models.BPE(
                vocab={token: number for number, token in enumerate(tokens)},
                merges=merges,
                ignore_merges=split == "llama-bpe",
            )
        )
        named = _named_tokens(metadata, tokens)
    except Exception as error:  # tokenizers raises nothing more specific
        raise ModelError(
            f"The file's tokenizer cannot be read: {error!r}. Download the file again."
        ) from error
    tokenizer.normalizer = normalizers.NFC() if split == "qwen2" else None
    tokenizer.pre_tokenizer = PRE_TOKENIZERS[split]
    tokenizer.decoder = decoders.ByteLevel()
    begins = metadata.get("tokenizer.ggml.add_bos_token") and "bos_token" in named
    tokenizer.post_processor = (
        processors.TemplateProcessing(
            single=f"{named['bos_token']} $A",
            special_tokens=[(named["bos_token"], metadata["tokenizer.ggml.bos_token_id"])],
        )
        if begins
        else processors.ByteLevel(trim_offsets=False)
    )
    tokenizer.add_tokens(
        [
            AddedToken(token, special=kind == _CONTROL, normalized=False)
            for token, kind in zip(tokens, kinds, strict=True)
            if kind in (_CONTROL, _OWN)
        ]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "chat_template": metadata.get("tokenizer.chat_template"),
        **named,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, ensure_ascii=False, indent=1), "utf-8")


def named_token_ids(metadata: Mapping[str, Any]) -> dict[str, int]:
    """Ids of the tokens that have a name, such as `eos_token`."""
    keys = {
        "bos_token": "bos_token_id",
        "eos_token": "eos_token_id",
        "pad_token": "padding_token_id",
        "unk_token": "unknown_token_id",
    }
    ids = {name: metadata.get(f"tokenizer.ggml.{key}") for name, key in keys.items()}
    return {name: number for name, number in ids.items() if number is not None}


def _named_tokens(metadata: Mapping[str, Any], tokens: list[str]) -> dict[str, str]:
    return {name: tokens[number] for name, number in named_token_ids(metadata).items()}


def _halves(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    return left, right
