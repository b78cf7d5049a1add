"""Norms in one call give the bits of the library's own, and those that would not are left alone."""

from pathlib import Path

import pytest
import torch
from tiny import tiny_home
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from assistant.model import load_base, load_for_serving
from assistant.norms import fuse_norms
from assistant.versions import Versions


@pytest.mark.parametrize("kind", [Qwen3RMSNorm, LlamaRMSNorm])
@pytest.mark.parametrize("size", [1, 64, 576])
def test_a_norm_of_one_call_gives_the_same_bits_whatever_its_weight_becomes(kind: type, size: int) -> None:
    rng = torch.Generator().manual_seed(size)
    plain, fused = kind(size), kind(size)
    assert fuse_norms(fused) == 1
    for scale in (1e-3, 1.0, 1e3):
        weight = torch.nn.Parameter(torch.randn(size, generator=rng))
        plain.weight = fused.weight = weight
        given = scale * torch.randn(2, 5, size, generator=rng)
        assert torch.equal(plain(given), fused(given))


def test_a_norm_that_scales_otherwise_is_left_alone() -> None:
    norm = Gemma3RMSNorm(16)
    norm.variance_epsilon = norm.eps
    torch.nn.init.normal_(norm.weight)
    given = torch.randn(3, 16)
    before = norm(given)
    assert fuse_norms(norm) == 0
    assert torch.equal(norm(given), before)


def test_a_served_version_answers_with_the_logits_of_its_base_as_the_library_computes_them(
    tmp_path: Path,
) -> None:
    home = tiny_home(tmp_path)
    version = Versions(home).open("v1")
    served = load_for_serving(version, home).model
    assert any("forward" in vars(module) for module in served.modules())
    ids = torch.arange(12)[None]
    plain = load_base(version.manifest.base, home, dtype=torch.float32, device="cpu").model.eval()
    plain.load_state_dict(served.state_dict())
    with torch.no_grad():
        assert torch.equal(served(ids).logits, plain(ids).logits)
