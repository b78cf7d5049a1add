"""Raw text becomes blocks of token ids."""

from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from alignment.data.raw_text import Blocks, join_documents
from assistant.bases.base import STARTER_FOLDER


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")


def test_joined_documents_are_cut_into_whole_blocks(tokenizer: Any) -> None:
    ids = join_documents(["one", "two"], tokenizer, end=0)
    assert (ids == 0).sum() == 2
    blocks = Blocks(join_documents(["word " * 100] * 3, tokenizer, end=0), length=16)
    assert len(blocks) == len(blocks.ids)
    assert blocks[0]["input_ids"].shape == (16,)
    assert torch.equal(blocks[0]["labels"], blocks[0]["input_ids"])
