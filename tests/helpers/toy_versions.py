"""Toys whose every weight matters, and versions with an adapter on them."""

from pathlib import Path
from typing import Any

import torch
from helpers.toy_models import make
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from alignment.training.output_version import save_adapter
from assistant.registry.versions import Manifest, Version, Versions, now


def with_other_weights(family: str, folder: Path) -> Any:
    """A toy whose every weight matters: those that it begins with hardly change what it predicts."""
    model = AutoModelForCausalLM.from_pretrained(make(family, folder), dtype=torch.float32)
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.15 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return model


def with_adapter(model: Any, base: Version, versions: Versions) -> tuple[PeftModel, Version]:
    """A version with an adapter that changes much, and PEFT's model of it."""
    peft_model = get_peft_model(
        model, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear")
    )
    for name, parameter in peft_model.named_parameters():
        if "lora_" in name:
            parameter.data = 0.2 * torch.randn_like(parameter)
    with versions.staging() as folder:
        save_adapter(peft_model, base.manifest.base, folder)
        manifest = Manifest(versions.next_id(), base.manifest.base, base.id, "sft", now())
        return peft_model.eval(), versions.add(manifest, folder)
