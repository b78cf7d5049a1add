"""A model small enough to learn in seconds, and rewards for it, for tests of PPO."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from alignment.data.prompts import RolloutPrompt
from alignment.ppo.shared_base import SharedBase
from alignment.ppo.trainer import PPO
from alignment.scoring.reward_functions import Rollout, Source
from alignment.stages.ppo import PPORecipe
from assistant.bases.base import STARTER_FOLDER

TOKENIZER = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")
QUESTIONS = [RolloutPrompt([{"role": "user", "content": f"Word {n}?"}], n % 2 == 0) for n in range(16)]


def tiny_config() -> Qwen3Config:
    """Two narrow layers with the starter's vocabulary."""
    return Qwen3Config(
        vocab_size=4096,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=128,
        pad_token_id=0,
        eos_token_id=TOKENIZER.eos_token_id,
        initializer_range=0.2,
        tie_word_embeddings=True,
    )


def tiny_base() -> Qwen3ForCausalLM:
    """A model with the same weights at every call. Its first embedding dimension separates halves of the vocabulary."""
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(tiny_config()).float().requires_grad_(False)
    model.get_input_embeddings().weight[:, 0] = torch.where(torch.arange(4096) < 2048, 0.5, -0.5)
    return model


def tiny_model(moved: bool = True) -> Any:
    """A PEFT model on the tiny base. With `moved` its adapter changes the output, as a parent's does."""
    model = get_peft_model(
        tiny_base(), LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear")
    )
    if moved:
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight.normal_(std=0.05)
    return model


def tiny_ppo(recipe: PPORecipe, *sources: Source, watch: Source | None = None) -> PPO:
    """A run on the tiny model."""
    shared = SharedBase(tiny_model(), True, recipe.temperature, recipe.seed)
    return PPO(shared, TOKENIZER, 128, list(sources), watch, recipe)


def starts_high(answers: Sequence[Rollout]) -> list[float]:
    """1 for an answer whose first token is in the upper half of the vocabulary, else 0."""
    return [float(answer.completion_ids[0] >= 2048) for answer in answers]


def evens(answers: Sequence[Rollout]) -> list[float]:
    """The share of even token ids, so that answers score differently."""
    return [
        sum(token % 2 == 0 for token in answer.completion_ids) / len(answer.completion_ids)
        for answer in answers
    ]


def breaks(answers: Sequence[Rollout]) -> list[float]:
    """Scores that are not numbers."""
    return [float("nan") for _ in answers]


def never(answers: Sequence[Rollout]) -> list[float]:
    """0 for every answer."""
    return [0.0 for _ in answers]


def quick(folder: Path, *arguments: str) -> list[str]:
    """The command of a short PPO run in the home `folder`, with more `arguments`."""
    return [
        *("ppo", "--home", str(folder), "--suite", "addition", "--thinking", "both"),
        *(
            "--updates",
            "2",
            "--batch_size",
            "6",
            "--max_new_tokens",
            "6",
            "--minibatches",
            "2",
            "--epochs",
            "1",
        ),
        *("--preflight_prompts", "3", "--preflight_samples", "3", "--held_out", "2", "--evaluations", "2"),
        *("--missing_end_penalty", "0", "--learning_rate", "1e-3"),
        *arguments,
    ]
