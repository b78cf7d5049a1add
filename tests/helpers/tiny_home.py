"""A home whose first version is a model small enough for tests of training: two layers, with an adapter or without."""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from alignment.training.output_version import save_adapter
from assistant.bases.base import STARTER_FOLDER, Base, folder_hash
from assistant.registry.versions import Manifest, Versions, now


def tiny_home(home: Path, *, adapter: bool = True, width: int = 16) -> Path:
    """Make `home` with a released version v1: the same weights at every call, and the starter's tokenizer.

    `width`: of the hidden states; with fewer than 64, bitsandbytes has nothing to quantize.
    """
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=width,
            num_hidden_layers=2,
            intermediate_size=2 * width,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=width // 2,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    versions = Versions(home)
    model.save_pretrained(str(home / "tiny"))
    tokenizer.save_pretrained(str(home / "tiny"))
    base = Base("tiny", folder_hash(home / "tiny"))
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear")
    with versions.staging() as folder:
        if adapter:
            save_adapter(get_peft_model(model, config), base, folder)
        versions.add(Manifest("v1", base, None, "import", now(), adapter=adapter), folder)
    versions.release("v1")
    return home
