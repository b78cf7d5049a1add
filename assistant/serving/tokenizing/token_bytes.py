"""The bytes of one token, also where they are only a part of a character."""

import re
from functools import cache

from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
"""How SentencePiece's vocabularies name the token of one byte."""
_SPACE = "\u2581"
"""What stands for a space in their tokens."""


def token_text(tokenizer: Tokenizer, token_id: int) -> str:
    """The text of a token, with the space that it begins with; U+FFFD for a part of a character."""
    text = tokenizer.decode([token_id])
    piece = tokenizer.convert_ids_to_tokens(token_id) or ""
    # Such a tokenizer removes the first space of a text.
    spaces = len(piece) - len(piece.lstrip(_SPACE))
    return " " * spaces + text.lstrip(" ") if spaces else text


def token_bytes(tokenizer: Tokenizer, token_id: int) -> bytes:
    """The bytes of a token: those of consecutive tokens together are the UTF-8 of their text."""
    piece = tokenizer.convert_ids_to_tokens(token_id) or ""
    if match := _BYTE.fullmatch(piece):
        return bytes([int(match[1], 16)])
    text = token_text(tokenizer, token_id)
    if "\ufffd" in text and piece and all(letter in _bytes_of_letters() for letter in piece):
        return bytes(_bytes_of_letters()[letter] for letter in piece)
    return text.encode()


def bytes_as_letters(content: bytes) -> str:
    """Bytes as byte-level vocabularies spell them."""
    return "".join(_letters_of_bytes()[byte] for byte in content)


@cache
def _letters_of_bytes() -> dict[int, str]:
    return {byte: letter for letter, byte in _bytes_of_letters().items()}


@cache
def _bytes_of_letters() -> dict[str, int]:
    """The byte that each letter stands for in byte-level vocabularies (GPT-2's encoder.py, `bytes_to_unicode`).

    A printable byte of Latin-1 is its own letter; the others are the letters from 256 on, in order.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + place): byte for place, byte in enumerate(others)
    }
