"""RLOO: the model answers each prompt several times, and what scored above its siblings becomes likelier.

    python -m alignment rloo --reward v3 --home DIR                                  # a reward model scores the answers
    python -m alignment rloo --suite word_two_step --reward_functions unit --home DIR    # a checker does, on tasks

recipe → data → model → trainer → save. The loss is REINFORCE's with the mean of the other answers to the same prompt
as its baseline (Ahmadian et al. 2024, eq. 7), on rewards less the KL to the reference; the optimiser is AdamW; the set
of candidate functions is the parent's LoRA adapter, and the parent's frozen copy of it is the reference model.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset
from transformers import TrainerCallback
from trl import RLOOConfig, RLOOTrainer, TrlParser

from alignment.data import prompts as asked
from alignment.data.dataset import rows_hash
from alignment.data.prompts import Asked
from alignment.errors import DataError, TrainingError
from alignment.scoring import reward_functions as rewards
from alignment.scoring import reward_model
from alignment.scoring.reward_functions import Said, Source
from alignment.training import dry_run, held_out_curves
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint, no_number
from alignment.training.held_out_curves import Run
from alignment.training.stage import (
    Opened,
    Place,
    on_cpu,
    open_parent,
    outcome,
    per_process,
    say,
    trainable,
    work_folder,
    write_child,
)
from alignment.training.weights import in_float32
from assistant.registry.versions import Version
from assistant.serving import prompt
from assistant.serving.loading import load_tokenizer
from assistant.serving.quantization import Bits


@dataclass
class RLOORecipe:
    """How to learn from a reward, without a value model."""

    reward: str | None = field(default=None, metadata={"help": "version of a reward model"})
    reward_functions: list[str] = field(
        default_factory=list,
        metadata={"help": "checker, unit, ends, or module:function; summed with the reward"},
    )
    prompts: Path | None = field(
        default=None, metadata={"help": "JSON Lines of prompts; the store's, if left out"}
    )
    suite: str = field(default="", metadata={"help": "draw tasks of these kinds instead, with commas"})
    thinking: Literal["on", "off", "both"] = field(
        default="both", metadata={"help": "of prompts that do not say"}
    )
    updates: int = 60
    batch_size: int = 8
    """Prompts an update."""
    answers: int = 4
    """To each prompt, of which three make the fourth one's baseline: the paper's best k (section 4)."""
    learning_rate: float = 2e-4
    """For LoRA on the starter. For 0.5B to 2B models see configs/rloo-2b.yaml."""
    beta: float = 0.05
    """Price of a nat of KL to the reference; the trainer's default, after the paper's 0.03 to 0.1."""
    max_new_tokens: int = 128
    temperature: float = 1.0
    """Below 1 the reward would be learned for other odds than are served by the policy's own softmax."""
    warmup: float = 0.05
    held_out: int = 0
    """Prompts that are never trained on: left to `evaluate`."""
    quantize: Bits | None = None
    """Hold the frozen base in fewer bits (QLoRA, Dettmers et al. 2023); the new version is then served so too."""
    seed: int = 1


ENOUGH_TIES = 5
"""Updates without any difference after which it is no accident."""
_TIED = "frac_reward_zero_std"


class TokenRLOOTrainer(RLOOTrainer):
    """TRL's trainer on prompts that are rendered as they are served: a prompt travels as JSON of itself."""

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        found = [json.loads(one) for one in prompts]
        ids = [prompt.render(self.processing_class, one["messages"], one["think"]) for one in found]
        return ids, None, {}


def as_trl(source: Source, prompts: Sequence[Asked], tokenizer: Any) -> Callable[..., list[float]]:
    """A reward as TRL calls it: with parallel lists, of which `row` says which prompt each answer belongs to."""

    def score(completion_ids: list[list[int]], row: list[int], **_: Any) -> list[float]:
        said = []
        for number, ids in zip(row, completion_ids, strict=True):
            one = prompts[number]
            parsed = prompt.parse(prompt.decode(tokenizer, ids), one.think)
            said.append(
                Said(
                    messages=one.messages,
                    think=one.think,
                    task=one.task,
                    prompt_ids=prompt.render(tokenizer, one.messages, one.think),
                    completion_ids=ids,
                    thought=parsed.thought,
                    answer=parsed.answer,
                    ended=bool(ids) and ids[-1] == tokenizer.eos_token_id,
                )
            )
        return source(said)

    score.__name__ = source.name
    return score


def train(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Asked],
    sources: Sequence[Source],
    recipe: RLOORecipe,
    folder: Path,
    run: Run | None = None,
) -> dict[str, float]:
    """Train the "default" adapter of a PEFT `model`; resumes from a checkpoint in `folder`. Returns metrics."""
    run = run or Run()
    checkpoint = last_checkpoint(folder)
    with in_float32(model):
        trainer = TokenRLOOTrainer(
            model=model,
            reward_funcs=[as_trl(source, prompts, tokenizer) for source in sources],
            args=RLOOConfig(
                output_dir=str(folder),
                per_device_train_batch_size=per_process(recipe.batch_size * recipe.answers),
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
                activation_checkpointing=False,
                bf16=not on_cpu(),
                use_cpu=on_cpu(),
                seed=recipe.seed,
                logging_steps=1,
                # No row is held out from a reward: its own curve, and `evaluate`, say how it goes.
                **held_out_curves.arguments(run, recipe.updates, 0, checkpoint is not None),
            ),
            train_dataset=Dataset.from_dict(
                {
                    "prompt": [json.dumps({"messages": one.messages, "think": one.think}) for one in prompts],
                    "row": list(range(len(prompts))),
                }
            ),
            processing_class=tokenizer,
            callbacks=[StopOnBadLoss(), StopWhereAllTie()],
        )
    try:
        result = trainer.train(resume_from_checkpoint=checkpoint)
    except RuntimeError as error:
        # What torch says when it should draw from probabilities that are no numbers.
        if "probability tensor" not in str(error):
            raise
        raise no_number("policy's distribution", trainer.state.global_step + 1, folder) from error
    trainer.save_state()
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    tenth = max(1, len(logged) // 10)
    return {
        **outcome(trainer, result),
        "reward_before": _mean(logged[:tenth], "reward"),
        "reward": _mean(logged[-tenth:], "reward"),
        "kl": _mean(logged[-tenth:], "kl"),
        "steps": float(trainer.state.global_step),
    }


class StopWhereAllTie(TrainerCallback):
    """End training where the first updates' answers all scored as their siblings did: nothing can be learned."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Raises TrainingError, after `ENOUGH_TIES` updates or at the end of a shorter run."""
        tied = [entry[_TIED] for entry in state.log_history if _TIED in entry]
        if len(tied) == min(ENOUGH_TIES, state.max_steps) and min(tied) == 1.0:
            raise TrainingError(
                f"All answers to each prompt of the first {len(tied)} updates have the same score: there is nothing to "
                "learn from their difference. Choose harder prompts, another reward, or show the model good answers "
                "first with `python -m alignment sft`. No version was written."
            )


def _mean(entries: Sequence[dict[str, float]], key: str) -> float:
    values = [entry[key] for entry in entries if key in entry]
    return sum(values) / len(values) if values else math.nan


def main(arguments: list[str]) -> str | None:
    """Continue the parent's adapter on a reward. Returns the new version's id; None for a dry run."""
    place, run, recipe = TrlParser((Place, Run, RLOORecipe), allow_abbrev=False).parse_args_and_config(
        arguments
    )
    opened = open_parent(place, recipe.quantize)
    loaded = opened.loaded
    sources = _sources(opened, recipe)
    found = asked.choose(recipe, place.home, loaded.tokenizer, loaded.window, place.snapshot)
    model, _ = trainable(opened, full=False, needs_reference=True)
    names = " + ".join(source.name for source in sources)
    say(
        f"model: LoRA of {opened.parent.id}; loss: REINFORCE, leave-one-out, KL price {recipe.beta}, on {names}; "
        "optimiser: AdamW",
        f"prompts: {len(found.training)}; {found.too_long} too long, {found.repeated} repeated; "
        f"{recipe.updates} updates of {recipe.batch_size} prompts, {recipe.answers} answers each",
    )
    if run.dry_run:
        # What is supervised is not written yet; as much of it as the limit allows is what an update may cost.
        filler = [loaded.tokenizer.eos_token_id] * recipe.max_new_tokens
        prompts = [prompt.render(loaded.tokenizer, one.messages, one.think) for one in found.training]
        dry_run.report(
            model,
            loaded.tokenizer,
            [(ids, filler) for ids in prompts],
            updates=recipe.updates,
            rows_an_update=recipe.batch_size * recipe.answers,
            reference=True,
        )
        return None

    data_hash = rows_hash({"messages": one.messages, "think": one.think} for one in found.training)
    judge = opened.versions.open(recipe.reward).manifest.files if recipe.reward else {}
    work = work_folder(
        opened, place, "rloo", recipe, run, rows_hash([{"prompts": data_hash, "judge": judge}])
    )
    metrics = train(model, loaded.tokenizer, found.training, sources, recipe, work, run)
    return write_child(
        opened,
        place,
        model,
        stage="rloo",
        recipe=recipe,
        seed=recipe.seed,
        data={
            "hash": data_hash,
            "prompts": len(found.training),
            "too_long": found.too_long,
            "repeated": found.repeated,
        },
        metrics=metrics,
        work=work,
    ).id


def _sources(opened: Opened, recipe: RLOORecipe) -> list[Source]:
    found = [Source(name, rewards.find(name)) for name in recipe.reward_functions]
    if recipe.reward is not None:
        judge = opened.versions.open(recipe.reward)
        _check_tokens(opened, judge)
        scorer = reward_model.load(judge, opened.versions.home)
        found.append(
            Source(
                "reward",
                lambda said: scorer([[*one.prompt_ids, *one.completion_ids] for one in said]),
                model=True,
            )
        )
    if not found:
        raise DataError(
            "Nothing scores the answers. Name a reward model with --reward, or --reward_functions."
        )
    return found


def _check_tokens(opened: Opened, judge: Version) -> None:
    """Raises DataError where the judge reads other tokens than the policy writes."""
    theirs = load_tokenizer(judge.manifest.base, opened.versions.home)
    if theirs.get_vocab() != opened.loaded.tokenizer.get_vocab():
        raise DataError(
            f"The reward model {judge.id} stands on {judge.manifest.base.name}, whose tokens are others than those of "
            f"{opened.parent.id}. Train one with `python -m alignment reward --parent {opened.parent.id}`."
        )
