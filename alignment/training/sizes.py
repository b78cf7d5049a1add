"""Defaults that follow from a model's size: learning rates, passes, and the rank of a new adapter.

A recipe's field that is None is filled in from the table below. LoRA wants about ten times the learning rate of full
fine-tuning, whatever the size (Schulman 2025, "LoRA Without Regret"); so where a source gives the rate for all weights,
ten times that stands here. Small models want higher rates. The columns are:

- up to 20M parameters: measured on the starter (4.9M). Of 300 thumbs with one in ten wrong, `kto` at 1e-4 taught
  most: 5e-5 taught less, and 2e-4 broke what was right before. Its `beta` is 1. With the paper's 0.1, 500 and 2,000
  thumbs taught less than 50: a disliked row went on being pushed away, and what it shares with liked ones with it.
  With 1, more thumbs teach more, and 50 as much as before (`python -m benchmarks.loop.noisy_thumbs --stages kto
  "kto --beta=0.1"` compares them). `dpo` at 2e-4 made liked answers that it had not seen much less likely in its second
  round, and at 1e-4 broke more on fifty noisy pairs than at 7e-5.
- up to 0.5B: `sft` at 3e-4 is measured on SmolLM2 (135M): ten corrections of one wording are learned in 10 updates,
  in other wordings too. So is `kto` at 2e-4 on SmolLM2: from 200 thumbs, most of them down and many of them wrong, two
  passes taught it short answers (6 of 96 liked before, 42 after) and cost 2 of 60 facts; with a third pass the guard
  for general texts rejected it, and 7e-5 with a `beta` of 1 taught next to nothing
  (`python -m benchmarks.loop.taste` gives such thumbs). And `rloo`: of ten updates of 32 answers, rewarded where they
  end within 64 tokens (`--reward_functions ends --updates 10 --max_new_tokens 64`), 5 % ended in the first three; in
  the last four 57 % did at 4e-4, 14 % at 2e-4 and 7 % at 5e-5, all of them within 0.1 nats of KL. The other rates lie
  between those of the columns beside it, on a logarithmic scale; they are not measured. `beta` here and above: 0.1,
  the paper's.
- up to 2B: `sft` as for 7B; `kto` ten times the 5e-6 of Ethayarajh et al. (2024); `dpo` ten times the 1e-6 of Rafailov
  et al. (2023); `reward` ten times the 9e-6 of Ouyang et al. (2022, appendix C.2); `ppo` ten times the 3e-6 of Huang et
  al. (2024) for 1B; `rloo` ten times the 1e-6 that TRL's trainer defaults to.
- larger: `sft` 2e-4 (Dettmers et al. 2023, "QLoRA", table 9, 7B and 13B), `dpo` ten times the 5e-7 of Tunstall et al.
  (2023, "Zephyr", 7B), `kto` ten times the 5e-7 that Ethayarajh et al. took for 7B models; the others half of those
  before.

Few rows of a small model want more passes; larger ones learn rows by heart sooner, and the held-out loss decides which
pass is kept. Rank 16 is enough for a few thousand rows (Schulman 2025) and takes half the memory of 32.
"""

from dataclasses import replace
from typing import Any, TypeVar

from peft import LoraModel

from alignment.errors import DataError
from alignment.training.memory import base_model_of
from alignment.training.parent_version import OpenedParent
from alignment.training.processes import say

Recipe = TypeVar("Recipe")

UP_TO = (20e6, 0.5e9, 2e9, float("inf"))
"""Most parameters of each column."""
BY_SIZE: dict[str, dict[str, tuple[float, float, float, float]]] = {
    "sft": {"learning_rate": (1.5e-3, 3e-4, 2e-4, 2e-4), "epochs": (1, 2, 2, 2)},
    "correct": {"learning_rate": (1e-3, 3e-4, 2e-4, 1e-4)},
    "reward": {"learning_rate": (3e-4, 2e-4, 1e-4, 5e-5), "epochs": (3, 3, 2, 2)},
    "dpo": {"learning_rate": (7e-5, 3e-5, 1e-5, 5e-6), "epochs": (3, 3, 2, 2)},
    "kto": {
        "learning_rate": (1e-4, 2e-4, 5e-5, 5e-6),
        "epochs": (4, 2, 2, 2),
        "beta": (1.0, 0.1, 0.1, 0.1),
    },
    "rloo": {"learning_rate": (2e-4, 4e-4, 1e-5, 5e-6)},
    "ppo": {"learning_rate": (2e-4, 8e-5, 3e-5, 1.5e-5)},
}
RANK = (32, 16, 16, 16)
"""LoRA rank of a new adapter; its alpha is twice that."""
REWARD_RANK = 16
"""LoRA rank of a new reward model, at every size."""
MANY_PASSES = 8
"""Twice what still teaches almost as much as new rows do (Muennighoff et al. 2023, section 6)."""
FILLED = ("learning_rate", "epochs", "beta", "lora_r", "lora_alpha")
LORA = ("lora_r", "lora_alpha", "lora_dropout", "lora_target_modules")


def few_rows(count: int, updates: int, batch_size: int) -> list[str]:
    """A line for a run that passes over its `count` rows so often that a model learns them by heart; else none."""
    passes = updates * min(batch_size, count) / count
    if passes <= MANY_PASSES:
        return []
    return [
        f"few rows: each is passed over {passes:.0f} times, so that the model may learn them by heart. Collect more, "
        "or give a smaller --min_steps"
    ]


def for_parent(recipe: Recipe, stage: str, parent: OpenedParent) -> Recipe:
    """`recipe` with its None fields filled in for the parent's size; what they became is printed.

    Raises DataError if it describes a new adapter and there will be none.
    """
    parameters = base_parameters(parent.loaded.model)
    full = getattr(recipe, "full", False)
    new_adapter = not parent.version.manifest.adapter and not full
    given = [f"--{name}" for name in LORA if getattr(recipe, name, None)]
    if given and not new_adapter:
        reason = "--full trains all weights" if full else f"{parent.version.id} has one, which is continued"
        raise DataError(f"{', '.join(given)} would shape a new adapter, but {reason}. Leave it out.")
    sized = for_size(recipe, stage, parameters, new_adapter)
    filled = [
        name for name in FILLED if getattr(recipe, name, 0) is None and getattr(sized, name) is not None
    ]
    values = ", ".join(f"{name} {getattr(sized, name):g}" for name in filled)
    if filled:
        say(f"by the model's size ({parameters / 1e6:,.0f}M parameters): {values}")
    return sized


def base_parameters(model: Any) -> int:
    """Number of parameters without those of adapters, so that a version falls into the same column as its parent."""
    base = base_model_of(model)
    added = sum(values.numel() for name, values in base.named_parameters() if LoraModel.prefix in name)
    return int(base.num_parameters()) - added


def for_size(recipe: Recipe, stage: str, parameters: float, new_adapter: bool = True) -> Recipe:
    """`recipe` with its None fields filled in for a model of so many parameters."""
    column = next(number for number, most in enumerate(UP_TO) if parameters <= most)
    values: dict[str, Any] = {name: row[column] for name, row in BY_SIZE[stage].items()}
    if new_adapter:
        rank = getattr(recipe, "lora_r", None) or (REWARD_RANK if stage == "reward" else RANK[column])
        values |= {"lora_r": rank, "lora_alpha": 2 * rank}
    missing = {name: value for name, value in values.items() if getattr(recipe, name) is None}
    return replace(recipe, **missing)  # type: ignore[type-var]
