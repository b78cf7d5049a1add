"""The tokenizer of a model folder as a GGUF file's metadata: its texts, merges, special tokens and chat template."""

import json
import re
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType
from tokenizers import Tokenizer

from alignment.errors import ExportError
from assistant.bases.gguf_tokenizer import PRE_TOKENIZERS, SPACE
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.prompt import THINK_CLOSE, THINK_OPEN

_SAMPLE = (
    "Don't we'll I'M 3.14 12345 + 67\tx  =\n\n  y\r\n\r\nnaïve e\u0301tude ÆØÅ Привет 什么是，你好！ こんにちは "
    "👍🏽 ½ ١٢٣ _under_score <tag/> $5,000.00 'quoted' a\u00a0b   \n end "
)
"""A text that llama.cpp's ways to split a text before it is tokenized split differently."""


def add_vocabulary(writer: GGUFWriter, folder: Path, size: int, ends: list[int]) -> None:
    """Add the tokenizer of the model folder to `writer`.

    `size`: number of tokens that the model's embeddings have. `ends`: the tokens that end a reply. Raises ExportError
    if llama.cpp has no such tokenizer, as far as it is written here.
    """
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer, backend = ChatTokenizer.read(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    by_scores = _is_by_scores(content)
    writer.add_tokenizer_model("llama" if by_scores else "gpt2")
    writer.add_tokenizer_pre("default" if by_scores else _kind_of(content, backend))
    added = tokenizer.added_tokens_decoder
    tokens, kinds = [], []
    for number in range(size):
        text = tokenizer.convert_ids_to_tokens(number)
        tokens.append(f"[PAD{number}]" if text is None else text)
        if text is None:
            kinds.append(TokenType.UNUSED)
        elif number not in added:
            is_byte = by_scores and re.fullmatch(r"<0x[0-9A-F]{2}>", text)
            kinds.append(TokenType.BYTE if is_byte else TokenType.NORMAL)
        elif by_scores and text == content["model"].get("unk_token"):
            kinds.append(TokenType.UNKNOWN)
        else:
            # llama.cpp writes no control token, and programs find a thought by its tags.
            control = added[number].special and text not in (THINK_OPEN, THINK_CLOSE)
            kinds.append(TokenType.CONTROL if control else TokenType.USER_DEFINED)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in content["model"]["merges"]]
    if by_scores:
        places: dict[str, int] = {}
        for place, pair in enumerate(merges):
            places.setdefault("".join(pair), place)
        # llama.cpp joins the two tokens whose whole has the highest score, transformers those that are listed first.
        writer.add_token_scores([-float(places.get(token, len(merges))) for token in tokens])
        writer.add_add_space_prefix(False)
    else:
        # llama.cpp wants some; these two tokens are never neighbours that it could merge.
        writer.add_token_merges([" ".join(pair) for pair in merges] or [f"{tokens[0]} {tokens[0]}"])
    _add_special_tokens(writer, tokenizer, backend, ends)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _is_by_scores(content: dict[str, Any]) -> bool:
    """Whether a tokenizer joins pieces as SentencePiece does, with no space before the text, as Gemma's does."""
    model, normalizer = content["model"], content.get("normalizer") or {}
    replaces_spaces = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    return model["type"] == "BPE" and bool(model.get("byte_fallback")) and normalizer == replaces_spaces


def _kind_of(content: dict[str, Any], backend: Tokenizer) -> str:
    """GGUF's name of how a tokenizer splits a text. Raises ExportError if it is not among those that are known here."""
    model, normalizer = content["model"], content.get("normalizer") or {}
    if (
        model["type"] == "BPE"
        and not model.get("byte_fallback")
        and normalizer.get("type") in (None, "NFC")
        and backend.pre_tokenizer is not None
    ):
        pieces = backend.pre_tokenizer.pre_tokenize_str(_SAMPLE)
        for name, known in PRE_TOKENIZERS.items():
            if known.pre_tokenize_str(_SAMPLE) == pieces:
                return name
    raise ExportError(
        f"The model's tokenizer is none that is written to GGUF here ({', '.join(PRE_TOKENIZERS)}). Give --format "
        "merged, and convert that folder with llama.cpp's convert_hf_to_gguf.py."
    )


def _add_special_tokens(
    writer: GGUFWriter, tokenizer: ChatTokenizer, backend: Tokenizer, ends: list[int]
) -> None:
    begins = backend.encode("").ids
    if begins:
        writer.add_bos_token_id(begins[0])
    writer.add_add_bos_token(bool(begins))
    writer.add_add_eos_token(False)
    if ends:
        writer.add_eos_token_id(ends[0])
    if len(ends) > 1:
        writer.add_eot_token_id(ends[1])
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
