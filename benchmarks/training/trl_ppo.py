"""Run TRL 1.12's PPOTrainer in the setting of `ppo_setting.py`. Started by `stage_speed.py` in a virtual
environment of its own, so it imports nothing of Thumbtune.

It is set up as TRL documents it for LoRA: a policy with an adapter, whose base is the reference model, and separate
value and reward models. Gradient checkpointing is off, which is faster and takes more memory, and precision is float32,
like that of our PPO on a CPU.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainerCallback,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer

from benchmarks.training import ppo_setting as setting


class Clock(TrainerCallback):
    """Records the time of each update, and the mean score that the trainer logs for it."""

    def __init__(self) -> None:
        self.marks: list[float] = []
        self.scores: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Record the start."""
        self.marks.append(time.perf_counter())

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Record the end of an update."""
        self.marks.append(time.perf_counter())

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Record the score of an update."""
        if "objective/scores" in (logs or {}):
            self.scores.append(float(logs["objective/scores"]))
            print(f"{len(self.scores)}: score {self.scores[-1]:.3f}", flush=True)


def main() -> None:
    """Run all updates; write their seconds and scores to --output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    folder: Path = options.folder
    tokenizer = AutoTokenizer.from_pretrained(folder / "base", padding_side="left")
    before = psutil.Process().memory_info().rss / 2**20

    def classifier(name: str) -> Any:
        return AutoModelForSequenceClassification.from_pretrained(
            folder / name, num_labels=1, dtype=torch.float32
        )

    rows = Dataset.from_dict({"input_ids": setting.prompts(folder)})
    clock = Clock()
    with tempfile.TemporaryDirectory() as work:
        trainer = PPOTrainer(
            args=PPOConfig(
                output_dir=work,
                per_device_train_batch_size=setting.MICRO_BATCH,
                gradient_accumulation_steps=setting.BATCH // setting.MICRO_BATCH,
                num_mini_batches=setting.MINIBATCHES,
                num_ppo_epochs=setting.EPOCHS,
                total_episodes=setting.BATCH * setting.UPDATES,
                response_length=setting.NEW_TOKENS,
                local_rollout_forward_batch_size=setting.BATCH,
                learning_rate=setting.RATE,
                kl_coef=setting.KL,
                temperature=1.0,
                stop_token="eos",
                num_sample_generations=0,
                gradient_checkpointing=False,
                bf16=False,
                use_cpu=True,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                seed=1,
            ),
            processing_class=tokenizer,
            model=AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32),
            ref_model=None,
            reward_model=classifier("judge"),
            value_model=classifier("base"),
            train_dataset=rows,
            eval_dataset=rows.select(range(setting.BATCH)),
            peft_config=LoraConfig(
                task_type="CAUSAL_LM",
                r=setting.RANK,
                lora_alpha=2 * setting.RANK,
                target_modules="all-linear",
            ),
            callbacks=[clock],
        )
        trainer.train()
    seconds = [after - mark for mark, after in zip(clock.marks, clock.marks[1:], strict=False)]
    setting.tell(options.output, before, seconds, clock.scores)


if __name__ == "__main__":
    main()
