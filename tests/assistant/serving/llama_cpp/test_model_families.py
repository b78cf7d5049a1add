"""Each family of models that llama.cpp serves here, as its makers configure it, beside transformers and PEFT."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.toy_models import make
from helpers.toy_versions import with_adapter, with_other_weights

from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Version, Versions
from assistant.sampling_settings import Sampling
from assistant.serving.llama_cpp.converted_base import why_not_converted
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine

OWN_LAYERS = ("llama3.2", "gemma3", "smollm3")
KNOWN = ("smollm2", "qwen2.5", "qwen3")
"""Other tests serve these too: from GGUF files, and the starter."""
FAMILIES = [*OWN_LAYERS, *(pytest.param(family, marks=pytest.mark.slow) for family in KNOWN)]
LONG = [number % 250 for number in range(7, 150)]
"""A prompt of more tokens than Gemma's layers with a window see at once."""


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_have_the_probabilities_that_transformers_and_peft_give_them(family: str, home: Path) -> None:
    model = with_other_weights(family, home / "toy")
    base, versions = version_to_serve(home, "toy"), Versions(home)

    async def served_probabilities(version: Version) -> list[Any]:
        engine = LlamaCppEngine(versions, version, 2**24)
        sampling = Sampling(temperature=0.0, max_new_tokens=12, logprobs=1, ignore_eos=True)
        try:
            with engine.lease() as served:
                return [entry async for chunk in served.stream(LONG, sampling) for entry in chunk.logprobs]
        finally:
            engine.close()

    def check(model: Any, version: Version) -> None:
        entries = asyncio.run(served_probabilities(version))
        tokens = [entry.token_id for entry in entries]
        with torch.no_grad():
            rows = (
                model(input_ids=torch.tensor([LONG + tokens])).logits[0, len(LONG) - 1 : -1].log_softmax(-1)
            )
        assert len(entries) >= 10
        for row, entry in zip(rows, entries, strict=True):
            assert entry.logprob == pytest.approx(float(row[entry.token_id]), abs=0.05)
        assert rows.std() > 0.5, "a toy that finds all tokens alike proves nothing"

    check(model.eval(), base)
    check(*with_adapter(model, base, versions))


@pytest.mark.parametrize(
    ("family", "changed", "reason"),
    [
        ("llama3.2", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "scaled (yarn)"),
        ("qwen3", {"rope_parameters": {"rope_type": "llama3", "factor": 4.0}}, "scaled (llama3)"),
        ("qwen3", {"attention_bias": True}, "a sliding window or a bias"),
        ("gemma3", {"layer_types": ["full_attention"] * 6}, "not those that llama.cpp expects of gemma3"),
        ("gemma3", {"query_pre_attn_scalar": 8}, "not those that llama.cpp expects of gemma3"),
        ("gemma3", {"final_logit_softcapping": 30.0}, "not those that llama.cpp expects of gemma3"),
        ("smollm3", {"no_rope_layers": [1, 0, 1, 0]}, "not those that llama.cpp expects of smollm3"),
        ("phi", {}, "Phi3ForCausalLM is not among the architectures"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_left_to_transformers(
    family: str, changed: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    config = json.loads((make(family, tmp_path) / "config.json").read_text())
    assert (why_not_converted(config) is None) == (family != "phi")
    assert reason in (why_not_converted(config | changed) or "")


def test_gemma_3_is_read_as_the_hub_has_it() -> None:
    """Its makers' `config.json` is older than transformers' way to write the settings of rotary positions."""
    config = {
        "architectures": ["Gemma3ForCausalLM"],
        "attention_bias": False,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 1152,
        "num_attention_heads": 4,
        "num_hidden_layers": 26,
        "num_key_value_heads": 1,
        "query_pre_attn_scalar": 256,
        "rope_local_base_freq": 10_000,
        "rope_scaling": None,
        "rope_theta": 1_000_000,
        "sliding_window": 512,
        "sliding_window_pattern": 6,
    }
    assert why_not_converted(config) is None
    assert why_not_converted(config | {"rope_local_base_freq": 20_000}) is not None
    assert why_not_converted(config | {"sliding_window_pattern": 3}) is not None
