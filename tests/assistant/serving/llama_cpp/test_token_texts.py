"""The texts by which llama.cpp knows tokens: all differ, all are whole characters, and together they are the text."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.tokenizer_folders import llama2, qwen3

from assistant.bases.base import STARTER_FOLDER
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.llama_cpp.token_texts import shown, stored, token_texts


def starter(_: Path) -> Path:
    return STARTER_FOLDER / "base"


@pytest.mark.parametrize("folder", [starter, qwen3, llama2])
def test_each_token_has_a_text_of_its_own(folder: Callable[[Path], Path], tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.read(folder(tmp_path / "model"))
    # More than the tokenizer knows: bases have rows that no token uses.
    texts = token_texts(tokenizer, tokenizer.vocab_size + 40)
    assert len({text for text, _ in texts}) == len(texts)
    assert all(text.encode() for text, _ in texts)
    assert texts[-1] == (f"<|{len(texts) - 1}|>", True)
    assert tokenizer.eos_token_id is not None
    assert texts[tokenizer.eos_token_id][1]
    for text, named in texts:
        assert not named or stored(text) == text
    for said in ("Hello, it's 12\n\n", "漢字 😀"):
        ids = tokenizer(said, add_special_tokens=False).input_ids
        written = "".join(texts[token][0] for token in ids).removeprefix(" ")
        whole = "".join(letter if letter in written else shown_bytes(letter) for letter in said)
        assert written == whole


def shown_bytes(letter: str) -> str:
    return "".join(shown(bytes([byte])) for byte in letter.encode())


def test_a_byte_that_is_no_character_is_shown_as_one() -> None:
    assert shown("é".encode()) == "é"
    assert shown("é".encode()[:1]) == "\ue0c3"
    assert shown("中文".encode()[:4]) == "中\ue0e6"
    # The characters that stand for bytes are no exception.
    assert shown("\ue0c3".encode()) == "\ue0ee\ue083\ue083"
