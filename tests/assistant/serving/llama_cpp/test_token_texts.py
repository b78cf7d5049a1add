"""The texts by which llama.cpp knows tokens: all differ, and together they are the text, byte by byte."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.tokenizer_folders import gemma3, llama2, qwen3

from assistant.bases.base import STARTER_FOLDER
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.llama_cpp.token_texts import shown, stored, token_texts


def starter(_: Path) -> Path:
    return STARTER_FOLDER / "base"


@pytest.mark.parametrize("folder", [starter, qwen3, llama2, gemma3])
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
        assert written == shown(said.encode())


def test_a_byte_beyond_ascii_is_a_character() -> None:
    assert shown(b"a\n") == "a\n"
    assert shown("é".encode()) == "\ue0c3\ue0a9"
    assert shown("中".encode()[:2]) == "\ue0e4\ue0b8"
