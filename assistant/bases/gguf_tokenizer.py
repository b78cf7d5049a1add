"""The tokenizer in a GGUF file's metadata, as the files of a model folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from assistant.errors import ModelError

_NORMAL, _UNKNOWN, _CONTROL, _OWN = 1, 2, 3, 4
"""GGUF's types of tokens: text, what stands for text that has none, control tokens such as END, and texts that were
added to the vocabulary."""
SPACE = "▁"
"""How vocabularies made by SentencePiece write a space."""

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
    "smaug-bpe": _by_words(r"\p{N}{1,3}"),
}
"""How a text is split before it is tokenized, by GGUF's name of it (llama.cpp's `llm_tokenizer_bpe`). Files of SmolLM3,
which has Llama 3's tokenizer, say smaug-bpe (https://github.com/mattn/tensai/pull/57)."""
_WHOLE_WORDS = ("llama-bpe", "smaug-bpe")
"""A word that is one token is never made of others in these."""


def write_tokenizer(metadata: Mapping[str, Any], folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json to `folder`.

    Raises ModelError if the tokenizer is neither byte-level BPE nor Gemma's, splits texts in an unknown way, or is
    damaged.
    """
    model, split = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    # Where a space is put before a text, what comes after a control token is split otherwise than transformers does.
    by_scores = model == "llama" and metadata.get("tokenizer.ggml.add_space_prefix") is False
    if not by_scores and (model != "gpt2" or split not in PRE_TOKENIZERS):
        raise ModelError(
            f"The file's tokenizer is of the kind {model}, {split}. Of GGUF's kinds gpt2 with "
            f"{', '.join(PRE_TOKENIZERS)} is read, and llama without a space before the text, as Gemma 3 has it. Give "
            "the model's safetensors folder or Hub id."
        )
    try:
        tokens: list[str] = metadata["tokenizer.ggml.tokens"]
        kinds = metadata.get("tokenizer.ggml.token_type") or [_NORMAL] * len(tokens)
        named = _named_tokens(metadata, tokens)
        tokenizer = (
            _by_scores(tokens, metadata["tokenizer.ggml.scores"], kinds, named.get("unk_token"))
            if by_scores
            else _by_bytes(
                tokens, [_halves(merge) for merge in metadata.get("tokenizer.ggml.merges", [])], split
            )
        )
    except Exception as error:  # tokenizers raises nothing more specific
        raise ModelError(
            f"The file's tokenizer cannot be read: {error!r}. Download the file again."
        ) from error
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
            AddedToken(token, special=kind != _OWN, normalized=False)
            for token, kind in zip(tokens, kinds, strict=True)
            if kind in (_UNKNOWN, _CONTROL, _OWN)
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


def _by_bytes(tokens: list[str], merges: list[tuple[str, str]], split: str | None) -> Tokenizer:
    vocabulary = {token: number for number, token in enumerate(tokens)}
    # llama.cpp wants some merges, and passes over those that make no token: a vocabulary without any has such a one.
    made = [merge for merge in merges if "".join(merge) in vocabulary]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=made, ignore_merges=split in _WHOLE_WORDS))
    tokenizer.normalizer = normalizers.NFC() if split == "qwen2" else None
    tokenizer.pre_tokenizer = PRE_TOKENIZERS[str(split)]
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _by_scores(tokens: list[str], scores: list[float], kinds: list[int], unknown: str | None) -> Tokenizer:
    """BPE as SentencePiece has it: of two tokens that can be joined, those whose whole has the highest score are."""
    ordinary = {
        token: number
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind == _NORMAL
    }
    merges = [
        (scores[number], token[:place], token[place:])
        for token, number in ordinary.items()
        for place in range(1, len(token))
        if token[:place] in ordinary and token[place:] in ordinary
    ]
    merges.sort(key=lambda merge: -merge[0])
    tokenizer = Tokenizer(
        models.BPE(
            vocab={token: number for number, token in enumerate(tokens)},
            merges=[(left, right) for _, left, right in merges],
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


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
