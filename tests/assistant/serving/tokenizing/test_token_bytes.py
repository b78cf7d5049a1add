"""Bytes of tokens: together they are the text, whatever the tokenizer makes of each alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.tokenizer_folders import gemma3, llama2, qwen3

from assistant.bases.base import STARTER_FOLDER
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.tokenizing.token_bytes import token_bytes, token_text


def starter(_: Path) -> Path:
    return STARTER_FOLDER / "base"


@pytest.mark.parametrize("folder", [starter, qwen3, llama2, gemma3])
@pytest.mark.parametrize("text", ["Hello world, it's", "😀 é 漢字かな", "\ufffd!", "two\n\n  lines\t"])
def test_the_bytes_of_tokens_together_are_the_text(
    folder: Callable[[Path], Path], text: str, tmp_path: Path
) -> None:
    tokenizer = ChatTokenizer.read(folder(tmp_path / "model"))
    ids = tokenizer(text, add_special_tokens=False).input_ids
    joined = b"".join(token_bytes(tokenizer, number) for number in ids)
    # SentencePiece puts a space before the first word.
    assert joined.decode().removeprefix(" ") == text.removeprefix(" ")


def test_a_token_that_begins_with_a_space_says_so(tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.read(llama2(tmp_path / "model"))
    ids = tokenizer("the dog and the fox", add_special_tokens=False).input_ids
    assert "".join(token_text(tokenizer, number) for number in ids) == " the dog and the fox"
