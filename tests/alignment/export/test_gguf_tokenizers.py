"""Tokenizers of exported GGUF files split texts as transformers does, in llama.cpp and as this project reads them."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.llama_cpp_alone import llama_cpp_alone
from helpers.tokenizer_folders import gemma3, llama3, qwen3
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3TextConfig, LlamaConfig, Qwen3Config

from alignment.__main__ import main
from assistant.bases.gguf_base import unpacked_folder
from assistant.registry.first_version import version_to_serve
from assistant.serving.chat_tokenizer import ChatTokenizer

TEXTS = (
    "Hello, world!  Two  spaces",
    "def f(x):\n    return x    \n",
    "<start_of_turn>user\nHi   there\n\n\nx<end_of_turn>\n",
    "<|im_start|>user\nHi<|im_end|>\n",
    "今天天气很好，我们去公园散步吧。你好",
    "naïve café ½ 👍🏽\t12 or 345 times",
    " leading",
    "▁odd a▁b <0x41> <unk>",
)
SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
}
CONFIGS = {gemma3: Gemma3TextConfig, llama3: LlamaConfig, qwen3: Qwen3Config}


@pytest.mark.parametrize("write", [gemma3, llama3, qwen3])
def test_texts_are_split_as_transformers_splits_them(write: Callable[[Path], Path], home: Path) -> None:
    folder = write(home / "toy")
    expected = AutoTokenizer.from_pretrained(folder)
    options = SHAPE | ({"query_pre_attn_scalar": 16} if write is gemma3 else {})
    model = AutoModelForCausalLM.from_config(CONFIGS[write](**options, vocab_size=len(expected)))
    model.config.eos_token_id = model.generation_config.eos_token_id = expected.eos_token_id
    model.save_pretrained(folder)
    version_to_serve(home, "toy")
    assert main(["export", "v1", "--home", str(home), "--format", "gguf", "--out", str(home / "out")]) == 0
    (file,) = (home / "out").glob("*.gguf")
    ours = ChatTokenizer.read(unpacked_folder(file, "0" * 64, home, weights=False))
    with llama_cpp_alone(file) as alone:
        for text in TEXTS:
            ids = expected(text).input_ids
            assert ours(text).input_ids == ids, text
            assert ours.decode(ids, skip_special_tokens=True) == expected.decode(
                ids, skip_special_tokens=True
            )
            assert _tokenized(alone.server.listening_address, text) == ids, text


def _tokenized(address: str, text: str) -> list[int]:
    body = json.dumps({"content": text, "add_special": True, "parse_special": True}).encode()
    request = urllib.request.Request(f"{address}/tokenize", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        ids: list[int] = json.load(answer)["tokens"]
        return ids
