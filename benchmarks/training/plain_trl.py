"""Train one stage with plain TRL in the setting of `stage_speed.py`, written like TRL's own examples.

    python -m benchmarks.training.plain_trl STAGE --rows rows.jsonl --output results.json

Model (the starter, whose adapter is trained further; all weights for `pretrain`), rows, batch, updates, learning rate,
precision and optimiser are those that `stage_speed.py` gives our stage. Prompts are rendered beforehand, because TRL's
trainers take text; everything else is TRL's.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from trl import (
    DPOConfig,
    DPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    RLOOConfig,
    RLOOTrainer,
    SFTConfig,
    SFTTrainer,
)

from alignment.training.processes import fast_bfloat16
from assistant.bases.base import STARTER_FOLDER
from benchmarks.training.speed_setting import (
    BATCH,
    BLOCK,
    NEW_TOKENS,
    RATE,
    TEMPERATURE,
    UPDATES,
    blocks_an_update,
    evens_of,
    read,
)

BASE, ADAPTER = STARTER_FOLDER / "base", STARTER_FOLDER / "adapter"


def policy() -> Any:
    """The starter with its adapter, which is trained further."""
    base = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    return PeftModel.from_pretrained(base, str(ADAPTER), is_trainable=True)


def judge() -> Any:
    """A classifier with one label and a new adapter of the same rank."""
    base = AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=1, dtype=torch.float32)
    rank = LoraConfig.from_pretrained(str(ADAPTER)).r
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        modules_to_save=["score"],
    )
    return get_peft_model(base, config)


def settings(folder: str, bf16: bool) -> dict[str, Any]:
    """The arguments that all trainers share; `bf16` depends on the stage."""
    return {
        "output_dir": folder,
        "per_device_train_batch_size": BATCH,
        "max_steps": UPDATES,
        "learning_rate": RATE,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
        "weight_decay": 0.0,
        "use_cpu": True,
        "bf16": bf16,
        "activation_checkpointing": False,
        "report_to": "none",
        "logging_steps": 5,
        "seed": 1,
    }


def trainer(stage: str, rows: list[dict[str, Any]], folder: str) -> Any:
    """TRL's trainer for the stage."""
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    options_of_stage = settings(folder, bf16=stage in ("pretrain", "sft") and fast_bfloat16())

    def columns(*names: str) -> Dataset:
        return Dataset.from_list([{name: row[name] for name in names} for row in rows])

    shared = {"processing_class": tokenizer}
    if stage == "pretrain":
        model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
        options_of_stage |= {"per_device_train_batch_size": blocks_an_update(), "adam_beta2": 0.95}
        args = SFTConfig(**options_of_stage, packing=True, packing_strategy="wrapped", max_length=BLOCK)
        return SFTTrainer(model=model, args=args, train_dataset=columns("text"), **shared)
    if stage == "sft":
        args = SFTConfig(**options_of_stage, max_length=None)
        return SFTTrainer(model=policy(), args=args, train_dataset=columns("prompt", "completion"), **shared)
    if stage == "dpo":
        args = DPOConfig(**options_of_stage, max_length=None)
        data = columns("prompt", "chosen", "rejected")
        return DPOTrainer(model=policy(), args=args, train_dataset=data, **shared)
    if stage == "kto":
        args = KTOConfig(**options_of_stage, max_length=None)
        data = columns("prompt", "completion", "label")
        return KTOTrainer(model=policy(), args=args, train_dataset=data, **shared)
    if stage == "reward":
        args = RewardConfig(**options_of_stage, max_length=None)
        data = columns("prompt", "chosen", "rejected")
        return RewardTrainer(model=judge(), args=args, train_dataset=data, **shared)
    options_of_stage |= {"num_generations": 4, "max_completion_length": NEW_TOKENS, "beta": 0.05}
    options_of_stage["temperature"] = TEMPERATURE

    def score(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [evens_of(ids) for ids in completion_ids]

    data = columns("prompt")
    return RLOOTrainer(
        model=policy(), reward_funcs=score, args=RLOOConfig(**options_of_stage), train_dataset=data, **shared
    )


def main() -> None:
    """Train once; write the seconds of the training itself to --output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("pretrain", "sft", "reward", "dpo", "kto", "rloo"))
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = trainer(options.stage, read(options.rows), folder).train()
    options.output.write_text(json.dumps({"seconds": result.metrics["train_runtime"]}), encoding="utf-8")


if __name__ == "__main__":
    main()
