"""Run our PPO in the setting of `ppo_setting.py`. Started by `benchmarks/training/stage_speed.py`."""

import argparse
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from alignment.data.prompts import RolloutPrompt
from alignment.ppo.shared_base import SharedBase
from alignment.ppo.trainer import PPO
from alignment.scoring.reward_functions import Source
from alignment.stages.ppo import PPORecipe
from alignment.training.parent_version import with_new_adapter
from benchmarks.training import ppo_setting as setting


def judge_version(folder: Path) -> Any:
    """The reward model in the form in which versions store one: an adapter without effect, and the head."""
    adapter_folder = folder / "judge-adapter"
    if not (adapter_folder / "ready").exists():
        core = AutoModelForSequenceClassification.from_pretrained(folder / "judge", dtype=torch.float32)
        config = LoraConfig(
            task_type="SEQ_CLS",
            r=setting.RANK,
            lora_alpha=2 * setting.RANK,
            target_modules="all-linear",
            exclude_modules=["score"],
            modules_to_save=["score"],
        )
        get_peft_model(core, config).save_pretrained(str(adapter_folder), save_embedding_layers=False)
        (adapter_folder / "ready").touch()
    return SimpleNamespace(id="judge", manifest=SimpleNamespace(stage="reward"), folder=adapter_folder)


def main() -> None:
    """Run all updates; write their seconds and scores to --output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    folder: Path = options.folder
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    before = psutil.Process().memory_info().rss / 2**20
    base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32).requires_grad_(False)
    model = with_new_adapter(base, rank=setting.RANK, alpha=2 * setting.RANK, seed=1)
    shared = SharedBase(model, False, 1.0, 1)
    shared.add_reward("reward", judge_version(folder))

    def score(rollouts: Any) -> list[float]:
        return shared.reward(
            "reward",
            [[*rollout.prompt_ids, *rollout.completion_ids] for rollout in rollouts],
            setting.MICRO_BATCH,
        )

    recipe = PPORecipe(
        updates=setting.UPDATES,
        batch_size=setting.BATCH,
        minibatches=setting.MINIBATCHES,
        epochs=setting.EPOCHS,
        learning_rate=setting.RATE,
        kl_coef=setting.KL,
        missing_end_penalty=0.0,
        max_new_tokens=setting.NEW_TOKENS,
        micro_batch_size=setting.MICRO_BATCH,
    )
    window = model.config.max_position_embeddings
    ppo = PPO(shared, tokenizer, window, [Source("reward", score, model=True)], None, recipe)
    prompts = [RolloutPrompt([], False, prompt_ids=ids) for ids in setting.prompts(folder)]
    seconds, scores = [], []
    for number in range(setting.UPDATES):
        began = time.perf_counter()
        metrics = ppo.update(prompts[number * setting.BATCH : (number + 1) * setting.BATCH])
        seconds.append(time.perf_counter() - began)
        scores.append(metrics["score"])
        print(f"{number + 1}: {seconds[-1]:.1f} s, score {scores[-1]:.3f}", flush=True)
    setting.tell(options.output, before, seconds, scores)


if __name__ == "__main__":
    main()
