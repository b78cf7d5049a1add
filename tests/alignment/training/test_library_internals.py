"""Library internals that training relies on. Each test names the library and its version if an internal has changed."""

import inspect
from importlib.metadata import version
from typing import Any

import pytest
import torch
from helpers.tiny_ppo import tiny_model
from peft.tuners.lora import LoraLayer
from transformers import Trainer
from transformers.trainer_pt_utils import get_length_grouped_indices
from trl import DPOTrainer, KTOTrainer, RLOOTrainer, SFTTrainer
from trl.kernels import chunked_logprob
from trl.trainer import utils

from alignment.training.batching.trainer_compat import LengthGroupedTrainer
from alignment.training.processes import on_cpu
from alignment.training.torch_compat import cpu_multiplies_bfloat16
from alignment.training.trl_compat import (
    HEAD_TOKENS,
    HEAD_VOCABULARY,
    TokenDPOTrainer,
    TokenKTOTrainer,
    TokenRLOOTrainer,
)


def changed(library: str, internal: str) -> str:
    """What a failing test says."""
    return f"{library} {version(library)} has changed {internal}: see the module of alignment/training that uses it"


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("trainer", "override", "method", "expected", "caller"),
    [
        (
            DPOTrainer,
            TokenDPOTrainer,
            "_prepare_dataset",
            ["self", "dataset", "processing_class", "args", "dataset_name"],
            "__init__",
        ),
        (
            KTOTrainer,
            TokenKTOTrainer,
            "_prepare_dataset",
            ["self", "dataset", "processing_class", "args", "dataset_name"],
            "__init__",
        ),
        (RLOOTrainer, TokenRLOOTrainer, "_tokenize_prompts", ["self", "prompts"], "_generate"),
        (
            RLOOTrainer,
            TokenRLOOTrainer,
            "_generate_single_turn",
            ["self", "prompt_ids", "images", "multimodal_fields"],
            "_generate",
        ),
        (RLOOTrainer, TokenRLOOTrainer, "_compute_loss", ["self", "model", "inputs"], "compute_loss"),
    ],
)
def test_trl_still_calls_the_methods_that_are_overridden(
    trainer: type, override: type, method: str, expected: list[str], caller: str
) -> None:
    failure = changed("trl", f"{trainer.__name__}.{method}")
    assert parameters(getattr(trainer, method, None) or (lambda: None)) == expected, failure
    assert parameters(getattr(override, method)) == expected, failure
    assert f"self.{method}(" in inspect.getsource(getattr(trainer, caller)), failure


def test_trl_still_computes_logits_of_supervised_positions_where_it_has_triton() -> None:
    failure = changed("trl", "its fused output layer")
    assert "compact = _use_triton(hidden_states.device)" in inspect.getsource(utils.add_fused_lm_head), (
        failure
    )
    assert utils._use_triton(torch.device("cpu")) or not on_cpu()
    assert chunked_logprob.TOKEN_CHUNK_SIZE == HEAD_TOKENS or not on_cpu(), failure
    assert utils._CHUNKED_LOGPROB_CHUNK_SIZE == HEAD_VOCABULARY, failure
    source = inspect.getsource(chunked_logprob.ChunkedLogProbFunction.forward)
    assert "range(0, N, TOKEN_CHUNK_SIZE)" in source, failure


@pytest.mark.parametrize("trainer", [DPOTrainer, KTOTrainer])
def test_trl_still_computes_the_loss_of_a_part_of_a_batch_from_what_it_is_given(trainer: type) -> None:
    failure = changed("trl", f"how {trainer.__name__} computes its loss")
    assert parameters(trainer.compute_ref_log_probs) == ["self", "model", "inputs"], failure  # type: ignore[attr-defined]
    source = inspect.getsource(trainer._compute_loss)  # type: ignore[attr-defined]
    assert "if self.precompute_ref_logps:" in source, failure
    if trainer is KTOTrainer:
        assert "kl = (KL_logps - ref_KL_logps).mean().detach()" in source, failure
        assert 'ref_KL_logps = batch["ref_KL_logps"]' in source, failure
        assert parameters(KTOTrainer._compute_kl_logps) == ["self", "model", "batch"], failure


def test_transformers_still_passes_each_batch_to_the_methods_that_micro_batches_replace() -> None:
    failure = changed("transformers", "Trainer.training_step or prediction_step")
    assert parameters(Trainer.training_step) == ["self", "model", "inputs", "num_items_in_batch"], failure
    expected = ["self", "model", "inputs", "prediction_loss_only", "ignore_keys"]
    assert parameters(Trainer.prediction_step) == expected, failure
    assert callable(Trainer._prepare_inputs), failure


def test_trl_still_returns_prompt_ids_images_and_fields_from_tokenize_prompts() -> None:
    source = inspect.getsource(RLOOTrainer._generate)
    assert "prompt_ids, images, multimodal_fields = self._tokenize_prompts(prompts)" in source, changed(
        "trl", "what RLOOTrainer._tokenize_prompts returns"
    )
    source = inspect.getsource(RLOOTrainer._compute_loss)
    assert 'inputs["prompt_ids"], inputs["prompt_mask"]' in source, changed(
        "trl", "the inputs of RLOOTrainer.compute_loss"
    )


@pytest.mark.parametrize("trainer", [SFTTrainer, DPOTrainer, KTOTrainer, RLOOTrainer])
def test_trl_still_rounds_adapters_on_quantized_bases(trainer: type) -> None:
    # Once it does not, `in_float32` can go.
    assert "param.data.to(torch.bfloat16)" in inspect.getsource(trainer.__init__), changed(  # type: ignore[misc]
        "trl", f"how {trainer.__name__} rounds an adapter"
    )


def test_transformers_still_asks_for_the_sampler_and_groups_rows_by_length() -> None:
    failure = changed("transformers", "Trainer._get_train_sampler")
    assert parameters(Trainer._get_train_sampler) == ["self", "train_dataset"], failure
    assert parameters(LengthGroupedTrainer._get_train_sampler) == ["self", "train_dataset"], failure
    assert "self._get_train_sampler" in inspect.getsource(Trainer.get_train_dataloader), failure
    assert "_get_train_sampler" not in vars(SFTTrainer), changed("trl", "SFTTrainer._get_train_sampler")
    generator = torch.Generator().manual_seed(1)
    order = get_length_grouped_indices([1, 9, 1, 9], 2, generator=generator)
    assert sorted(order) == [0, 1, 2, 3] and {order[0], order[1]} == {1, 3}, changed(
        "transformers", "get_length_grouped_indices"
    )


def test_torch_still_says_whether_the_cpu_multiplies_bfloat16() -> None:
    assert hasattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported"), changed(
        "torch", "torch.ops.mkldnn._is_mkldnn_bf16_supported"
    )
    assert cpu_multiplies_bfloat16() in (True, False)


def test_peft_still_has_what_a_temporary_merge_uses() -> None:
    layers = [module for module in tiny_model().modules() if isinstance(module, LoraLayer)]
    assert layers, changed("peft", "LoraLayer")
    for layer in layers:
        assert "default" in layer.lora_A and not layer.use_dora["default"], changed("peft", "LoraLayer")
        delta = layer.get_delta_weight("default")
        assert delta.shape == layer.get_base_layer().weight.shape, changed(
            "peft", "LoraLayer.get_delta_weight"
        )
