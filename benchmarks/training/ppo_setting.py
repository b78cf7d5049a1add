"""The setting of both PPO runs in `stage_speed.py`. TRL 1.12's environment imports it too, so it imports little."""

import json
from pathlib import Path
from typing import Any

BATCH, UPDATES, EPOCHS, MINIBATCHES, NEW_TOKENS = 32, 12, 2, 2, 48
MICRO_BATCH = 16
RATE, KL, RANK = 2e-4, 0.05, 16


def write(folder: Path) -> None:
    """Write a base of 60 million random weights, a reward model and prompts, unless the folder has them already.

    The reward model is the base with a random head on the last token. Its reward can be learned, because it reads the
    same hidden states from which the policy generates.
    """
    if (folder / "ready").exists():
        return
    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM, Qwen3ForSequenceClassification

    from alignment.starter.corpus import task
    from assistant.bases.base import STARTER_FOLDER
    from assistant.serving import prompt

    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=640,
        intermediate_size=2048,
        num_hidden_layers=11,
        num_attention_heads=10,
        num_key_value_heads=5,
        head_dim=64,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen3ForCausalLM(config)
    config.num_labels = 1
    judge = Qwen3ForSequenceClassification(config)
    judge.model.load_state_dict(model.model.state_dict())
    # Hidden states have a mean square of 1 here, so scores have a standard deviation of about 1.
    torch.nn.init.normal_(judge.score.weight, std=config.hidden_size**-0.5)
    import random

    rng = random.Random("ppo")
    tasks = [task(rng, "en", "word_two_step", "train") for _ in range(BATCH * UPDATES)]
    prompts = [
        prompt.render(tokenizer, [dict(message) for message in task_.messages], think=False)
        for task_ in tasks
    ]
    model.save_pretrained(str(folder / "base"))
    judge.save_pretrained(str(folder / "judge"))
    for name in ("base", "judge"):
        tokenizer.save_pretrained(str(folder / name))
    (folder / "prompts.json").write_text(json.dumps(prompts), encoding="utf-8")
    (folder / "ready").touch()


def prompts(folder: Path) -> list[list[int]]:
    """Token ids of the prompts, one prompt per episode."""
    prompt_ids: list[list[int]] = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
    return prompt_ids


def tell(path: Path, before: float, seconds: list[float], scores: list[float]) -> None:
    """Write the measurements of a side: MiB before any model was loaded, seconds and mean score of each update."""
    results: dict[str, Any] = {
        "before": before,
        "batch": BATCH,
        "episodes": BATCH * len(seconds),
        "seconds": sum(seconds),
        "scores": scores,
        "each": seconds,
    }
    path.write_text(json.dumps(results), encoding="utf-8")
