"""Train `kto` or `dpo` on SmolLM2 with plain TRL in the setting of `smollm2_speed.py`, written like TRL's own examples.

    python -m benchmarks.training.smollm2_trl STAGE --folder FOLDER --output results.json

Rows, base, LoRA, batch, updates, learning rate and precision are those of our stage. Prompts are rendered beforehand,
because TRL's trainers take text; everything else, activation checkpointing too, is TRL's default.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from alignment.training.processes import fast_bfloat16
from benchmarks.training.smollm2_speed import BATCH, RANK, RATE, SEED, STAGES, updates
from benchmarks.training.speed_setting import read

COLUMNS = {"kto": ("prompt", "completion", "label"), "dpo": ("prompt", "chosen", "rejected")}


def trainer(stage: str, folder: Path, output_folder: str) -> Any:
    """TRL's trainer for the stage."""
    rows = {name: read(folder / f"{name}.jsonl") for name in ("training", "held_out")}
    base = (folder / "base.txt").read_text(encoding="utf-8")
    settings: dict[str, Any] = {
        "output_dir": output_folder,
        "per_device_train_batch_size": BATCH,
        "per_device_eval_batch_size": BATCH,
        "max_steps": updates(len(rows["training"])),
        "learning_rate": RATE,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
        "weight_decay": 0.0,
        "use_cpu": True,
        "bf16": fast_bfloat16(),
        "max_length": None,
        "report_to": "none",
        "seed": SEED,
    }
    data = {
        name: Dataset.from_list([{column: row[column] for column in COLUMNS[stage]} for row in part])
        for name, part in rows.items()
    }
    make, config = {"kto": (KTOTrainer, KTOConfig), "dpo": (DPOTrainer, DPOConfig)}[stage]
    return make(
        model=AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        args=config(**settings),
        train_dataset=data["training"],
        eval_dataset=data["held_out"],
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(
            task_type="CAUSAL_LM", r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"
        ),
    )


def main() -> None:
    """Train once; write the seconds of training and evaluating, and the held-out loss, to --output.

    Our stage's seconds hold the reading of the reference and the held-out rows too.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as output_folder:
        made = trainer(options.stage, options.folder, output_folder)
        began = time.monotonic()
        made.train()
        loss = made.evaluate()["eval_loss"]
        seconds = time.monotonic() - began
    options.output.write_text(json.dumps({"seconds": seconds, "held_out_loss": loss}), encoding="utf-8")


if __name__ == "__main__":
    main()
