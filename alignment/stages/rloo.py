"""RLOO: the model answers each prompt several times, and answers that score above the others become likelier.

    python -m alignment rloo --reward v3 --home DIR                                  # a reward model scores the answers
    python -m alignment rloo --suite word_two_step --reward_functions unit --home DIR    # a checker does, on tasks

recipe → data → model → trainer → save. The loss is REINFORCE's with the mean of the other answers to the same prompt
as its baseline (Ahmadian et al. 2024, eq. 7), on rewards less the KL to the reference; the optimiser is AdamW; the set
of candidate functions is the parent's LoRA adapter, and its frozen copy is the reference model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset
from transformers import TrainerCallback
from trl import RLOOConfig

from alignment.data import prompts as prompt_data
from alignment.data.json_lines import rows_hash
from alignment.data.prompts import Prompts, RolloutPrompt
from alignment.data.stage_snapshot import with_snapshot
from alignment.errors import TrainingError
from alignment.ppo.rollout import draw_answers
from alignment.scoring import reward_functions, reward_model
from alignment.scoring.reward_functions import Rollout, Source
from alignment.scoring.sources import as_trl_reward, sources_of
from alignment.training import dry_run
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint, not_finite
from alignment.training.flags import LoraRecipe, RunOptions, StageLocation, flag, parse_flags
from alignment.training.held_out_curves import evaluation_arguments, run_trainer
from alignment.training.memory import plan_for
from alignment.training.output_version import work_folder, write_version
from alignment.training.parent_version import OpenedParent, open_parent, trainable_model
from alignment.training.processes import autocast, fast_bfloat16, on_cpu, rows_per_process, say
from alignment.training.sizes import for_parent
from alignment.training.trl_compat import TokenRLOOTrainer, in_float32
from assistant.bases.base import Bits
from assistant.serving.loading import end_tokens
from assistant.serving.peft_compat import temporarily_merged

ENOUGH_TIES = 5
"""Updates in which all answers tie, after which it is no coincidence."""
TIED_SHARE = "frac_reward_zero_std"
"""TRL's name of the share of prompts whose answers all scored the same."""


@dataclass
class RLOORecipe(LoraRecipe):
    """How to learn from a reward, without a value model."""

    reward: str | None = flag(None, "version of a reward model")
    reward_functions: list[str] = field(
        default_factory=list,
        metadata={"help": "checker, unit, ends, or module:function; summed with the reward"},
    )
    prompts: Path | None = flag(None, "JSON Lines of prompts; the store's, if left out")
    suite: str = flag("", "draw tasks of these kinds instead, with commas")
    thinking: Literal["on", "off", "both"] = flag(
        "both", "mode of prompts that name none: those of --suite and of plain files"
    )
    updates: int = flag(60, "number of updates")
    batch_size: int = flag(8, "prompts in an update")
    answers: int = flag(4, "answers to each prompt")
    """Three of them make the fourth answer's baseline: the paper's best k (section 4)."""
    learning_rate: float = flag(
        None, "peak learning rate; it then falls to 0 on a cosine; by the model's size if left out"
    )
    beta: float = flag(0.05, "price of a nat of KL to the reference")
    """The trainer's default, after the paper's 0.03 to 0.1."""
    missing_end_penalty: float = flag(
        1.0, "subtracted from the score of an answer that does not end by itself"
    )
    max_new_tokens: int = flag(128, "most tokens of an answer")
    temperature: float = flag(1.0, "temperature at which answers are drawn")
    """Below 1 the policy would learn from other probabilities than it is served with."""
    preflight_prompts: int = flag(
        32, "prompts answered before training, to see whether anything can be learned"
    )
    preflight_samples: int = flag(4, "answers to each of these prompts")
    """If one answer in 40 is right, 128 answers contain no right one with a probability of 4 %."""
    generate_at_once: int = flag(64, "answers drawn in one batch before training: bounds memory")
    warmup: float = flag(0.05, "share of all updates in which the learning rate rises")
    held_out: int = flag(0, "most held-out prompts to load")
    """RLOO uses none; `evaluate` measures them."""
    quantize: Bits | None = flag(
        None, "hold the frozen base in so many bits; the new version is served so too"
    )
    """QLoRA (Dettmers et al. 2023)."""
    seed: int = flag(1, "seed of every draw; the same one gives the same weights on a CPU")


def load_data(parent: OpenedParent, location: StageLocation, recipe: RLOORecipe) -> Prompts:
    """Prompts to answer: drawn tasks, those of the recipe's file, or the store's."""
    tokenizer, window = parent.loaded.tokenizer, parent.loaded.window
    return prompt_data.choose(recipe, location.home, tokenizer, window, location.snapshot)


def load_model(parent: OpenedParent, recipe: RLOORecipe) -> Any:
    """The parent's model; TRL copies its adapter as the reference."""
    return trainable_model(parent, recipe, full=False, needs_reference=True)[0]


def load_sources(parent: OpenedParent, recipe: RLOORecipe) -> list[Source]:
    """What answers are scored by. Raises DataError if nothing scores them."""

    def open_reward_model(version_id: str) -> Source:
        version = parent.versions.open(version_id)
        reward_model.check_same_tokens(parent, version)
        scorer = reward_model.load(version, parent.versions.home)

        def score(answers: Sequence[Rollout]) -> list[float]:
            return scorer([[*answer.prompt_ids, *answer.completion_ids] for answer in answers])

        return Source("reward", score, model=True)

    return sources_of(recipe, open_reward_model)


def preflight(
    parent: OpenedParent,
    model: Any,
    training: Sequence[RolloutPrompt],
    sources: Sequence[Source],
    recipe: RLOORecipe,
) -> dict[str, float]:
    """Look at the parent's answers to some prompts before training; see `reward_functions.preflight`.

    Sets the zero and the unit of the reward model. A continued run does the same again, with the same answers.
    """
    prompts = prompt_data.drawn(training, 0, recipe.preflight_prompts, recipe.seed)
    repeated = [item for item in prompts for _ in range(recipe.preflight_samples)]
    tokenizer, window = parent.loaded.tokenizer, parent.loaded.window
    with temporarily_merged(model, "default"), autocast(model.device):
        answers = draw_answers(model, tokenizer, window, repeated, "preflight", recipe)
    return reward_functions.preflight(sources, answers, recipe.preflight_samples)


def missing_end(answers: Sequence[Rollout]) -> list[float]:
    """-1 for an answer that does not end by itself, else 0 (Huang et al. 2024, "EOS trick")."""
    return [-float(not answer.ended) for answer in answers]


class StopWhereAllTie(TrainerCallback):
    """End training if in the first updates all answers to each prompt scored the same: nothing can be learned."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Raises TrainingError, after `ENOUGH_TIES` updates or at the end of a shorter run."""
        tied = [entry[TIED_SHARE] for entry in state.log_history if TIED_SHARE in entry]
        if len(tied) == min(ENOUGH_TIES, state.max_steps) and min(tied) == 1.0:
            raise TrainingError(
                f"All answers to each prompt of the first {len(tied)} updates have the same score: there is nothing to "
                "learn from their difference. Choose harder prompts, another reward, or show the model good answers "
                "first with `python -m alignment sft`. No version was written."
            )


def train(
    model: Any,
    tokenizer: Any,
    training: Sequence[RolloutPrompt],
    sources: Sequence[Source],
    recipe: RLOORecipe,
    folder: Path,
    run: RunOptions | None = None,
) -> dict[str, float]:
    """Train the adapter "default" of a PEFT `model`, continuing a checkpoint in `folder`. Returns metrics."""
    run = run or RunOptions()
    checkpoint = last_checkpoint(folder)
    prompts = [item.rendered(tokenizer) for item in training]
    plan = plan_for(model, [len(ids) + recipe.max_new_tokens for ids in prompts], run.memory)
    ends = end_tokens(model, tokenizer)
    with in_float32(model):
        trainer = TokenRLOOTrainer(
            model=model,
            reward_funcs=[as_trl_reward(source, training, tokenizer, ends) for source in sources],
            args=RLOOConfig(
                output_dir=str(folder),
                per_device_train_batch_size=rows_per_process(recipe.batch_size * recipe.answers),
                num_generations=recipe.answers,
                max_completion_length=recipe.max_new_tokens,
                temperature=recipe.temperature,
                max_steps=recipe.updates,
                learning_rate=recipe.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=recipe.warmup,
                weight_decay=0.0,
                beta=recipe.beta,
                reward_weights=[source.weight for source in sources],
                activation_checkpointing=plan.checkpointing,
                bf16=fast_bfloat16(),
                use_cpu=on_cpu(),
                seed=recipe.seed,
                logging_steps=1,
                # No rows are held out: the curve of the reward, and `evaluate`, show how training does.
                **evaluation_arguments(run, recipe.updates, 0, checkpoint),
            ),
            train_dataset=Dataset.from_dict(
                {
                    "prompt": prompts,
                    "row": list(range(len(training))),
                }
            ),
            processing_class=tokenizer,
            tokens_at_once=plan.tokens_at_once,
            callbacks=[StopOnBadLoss(), StopWhereAllTie()],
        )
    try:
        metrics = run_trainer(trainer, checkpoint)
    except RuntimeError as error:
        # torch's error for drawing from probabilities that are not numbers.
        if "probability tensor" not in str(error):
            raise
        raise not_finite("policy's distribution", trainer.state.global_step + 1, folder) from error
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    tenth = max(1, len(logged) // 10)
    return {
        **metrics,
        "reward_before": _mean(logged[:tenth], "reward"),
        "reward": _mean(logged[-tenth:], "reward"),
        "kl": _mean(logged[-tenth:], "kl"),
        "steps": float(trainer.state.global_step),
    }


def _mean(entries: Sequence[dict[str, float]], key: str) -> float:
    values = [entry[key] for entry in entries if key in entry]
    return sum(values) / len(values) if values else math.nan


def main(arguments: list[str]) -> str | None:
    """Train the parent's adapter on a reward. Returns the new version's id; None for a dry run."""
    location, run, recipe = parse_flags(arguments, RLOORecipe)
    parent = open_parent(location, recipe.quantize)
    recipe = for_parent(recipe, "rloo", parent)
    location = with_snapshot(location, run, recipe, "prompt")
    tokenizer = parent.loaded.tokenizer
    data = load_data(parent, location, recipe)
    model = load_model(parent, recipe)
    sources = load_sources(parent, recipe)
    names = " + ".join(source.name for source in sources)
    say(
        f"model: LoRA of {parent.version.id}; loss: REINFORCE, leave-one-out, KL price {recipe.beta}, on {names}; "
        "optimiser: AdamW",
        f"prompts: {len(data.training)}; {data.left_out()}; "
        f"{recipe.updates} updates of {recipe.batch_size} prompts, {recipe.answers} answers each",
    )
    if run.dry_run:
        # The answers do not exist yet: answers of the greatest length show what an update may cost.
        filler = [tokenizer.eos_token_id] * recipe.max_new_tokens
        dry_run.report(
            model,
            tokenizer,
            [(item.rendered(tokenizer), filler) for item in data.training],
            updates=recipe.updates,
            rows_an_update=recipe.batch_size * recipe.answers,
            reference=True,
            memory=run.memory,
        )
        return None

    data_hash = prompt_data.prompts_hash(data.training)
    judge = parent.versions.open(recipe.reward).manifest.files if recipe.reward else {}
    fingerprint = rows_hash([{"prompts": data_hash, "judge": judge}])
    work = work_folder(parent, location, "rloo", recipe, run, fingerprint)
    before = preflight(parent, model, data.training, sources, recipe)
    say("before: " + ", ".join(f"{name} {value:.3g}" for name, value in before.items()))
    if recipe.missing_end_penalty:
        sources.append(Source("missing_end", missing_end, recipe.missing_end_penalty))
    metrics = train(model, tokenizer, data.training, sources, recipe, work, run)
    return write_version(
        parent,
        location,
        model,
        stage="rloo",
        recipe=recipe,
        data={
            "hash": data_hash,
            "prompts": len(data.training),
            "too_long": data.too_long,
            "repeated": data.repeated,
        },
        metrics={**before, **metrics},
        work=work,
    )
