"""PPO's loop: draw answers, score them, estimate advantages, update.

An update is a function of seed and update number, so that a killed run continues exactly: every draw comes from a
generator seeded for its purpose, and no random state is carried over. What is carried over is the adapter, the value
head, the optimiser's moments and the history, in one file (`run_state`).
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from alignment.data.prompts import RolloutPrompt
from alignment.errors import TrainingError
from alignment.generation import seed_for
from alignment.ppo import losses
from alignment.ppo.rollout import by_length, chunks, draw_answers
from alignment.ppo.shared_base import POLICY, SharedBase, batch_episodes
from alignment.scoring import reward_functions
from alignment.scoring.reward_functions import Rollout, Source
from alignment.training.processes import gather_shares, own_share, sum_over_processes
from assistant.serving.peft_compat import temporarily_merged


@dataclass(frozen=True)
class Experience:
    """Drawn answers as the policy and the value function saw them then; all tensors [episodes, longest completion]."""

    mask: Tensor
    logps: Tensor
    values: Tensor
    advantages: Tensor
    """Whitened over the whole batch."""
    returns: Tensor


class PPO:
    """One run of PPO: its models, rewards and optimiser, and how far it has come."""

    def __init__(
        self,
        shared: SharedBase,
        tokenizer: Any,
        window: int,
        sources: Sequence[Source],
        watch: Source | None,
        recipe: Any,
    ) -> None:
        """`recipe`: a PPORecipe. Nothing is trained on the scores of `watch`; they are only observed."""
        self.shared, self.tokenizer, self.window, self.recipe = shared, tokenizer, window, recipe
        self.sources, self.watch = sources, watch
        self.device = shared.model.device
        self.policy = shared.policy_weights()
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(self.policy.values()), "rate": recipe.learning_rate},
                {"params": list(shared.value_head.parameters()), "rate": recipe.value_learning_rate},
            ],
            # Adam's epsilon as the original code had it (Huang et al. 2024, detail on Adam).
            eps=1e-5,
            weight_decay=0.0,
        )
        self.coefficient = losses.KLCoefficient(recipe.kl_coef, recipe.target_kl, recipe.kl_horizon)
        self.done = 0
        """Number of finished updates."""
        self.history: list[dict[str, float]] = []
        """Metrics of updates and of evaluations, in order."""
        self.before: dict[str, float] = {}
        """Metrics of the parent, from the pre-flight."""
        self.best: dict[str, Tensor] = {}
        """Weights of the policy at the best evaluation."""

    def answer(self, prompts: Sequence[RolloutPrompt], *purpose: object) -> list[Rollout]:
        """Draw one answer of the policy to each prompt; see `draw_answers`."""
        named = "/".join(map(str, purpose))
        with temporarily_merged(self.shared.model, POLICY), self._precision():
            return draw_answers(self.shared.model, self.tokenizer, self.window, prompts, named, self.recipe)

    def preflight(self, prompts: Sequence[RolloutPrompt], samples: int) -> None:
        """Raises TrainingError if there is nothing to reinforce; see `reward_functions.preflight`."""
        answers = self.answer([item for item in prompts for _ in range(samples)], "preflight")
        self.before = reward_functions.preflight(self.sources, answers, samples)
        if self.watch is not None:
            reward_functions.preflight([self.watch], answers, samples)

    def update(self, prompts: Sequence[RolloutPrompt]) -> dict[str, float]:
        """Answer each prompt once and learn from the answers. Returns the update's metrics."""
        recipe, number = self.recipe, self.done
        answers = self.answer(prompts, "rollout", number)
        parts = {source.name: self._score(source, answers) for source in self.sources}
        scores = reward_functions.total(self.sources, parts)
        # An answer that never ends is no answer, whatever its score (Huang et al. 2024, "EOS trick").
        penalised = [
            score - recipe.missing_end_penalty * (not answer.ended)
            for score, answer in zip(scores, answers, strict=True)
        ]
        experience, metrics = self._gather_experience(answers, torch.tensor(penalised, device=self.device))
        metrics |= self._learn(answers, experience, number)
        self.coefficient.update(metrics["kl"], len(answers))
        self.done += 1
        metrics = {
            "step": float(self.done),
            "score": fmean(scores),
            **{f"score_{name}": fmean(part) for name, part in parts.items() if len(parts) > 1},
            **({"watch": fmean(self._score(self.watch, answers))} if self.watch else {}),
            "ended": fmean(float(answer.ended) for answer in answers),
            "length": fmean(len(answer.completion_ids) for answer in answers),
            **metrics,
            "kl_coef": self.coefficient.value,
        }
        # Explained variance is not a number if all returns are equal.
        self.history.append({name: value for name, value in metrics.items() if math.isfinite(value)})
        return metrics

    def _score(self, source: Source, answers: Sequence[Rollout]) -> list[float]:
        """The scores of all answers; processes share the work."""
        return gather_shares(source(own_share(answers)))

    @torch.no_grad()
    def _gather_experience(
        self, answers: Sequence[Rollout], scores: Tensor
    ) -> tuple[Experience, dict[str, float]]:
        """What the policy, the value function and the reference make of the answers, before any weight moves.

        `scores`: [episodes]. Returns also the metrics that follow from it.
        """
        shape = len(answers), max(len(answer.completion_ids) for answer in answers)
        mask = torch.zeros(shape, dtype=torch.bool, device=self.device)
        logps, values, reference, entropy = (torch.zeros(shape, device=self.device) for _ in range(4))
        for rows in chunks(by_length(answers, own_share(range(len(answers)))), self.recipe.micro_batch_size):
            batch = batch_episodes(
                [answers[row].prompt_ids for row in rows],
                [answers[row].completion_ids for row in rows],
                self.device,
            )
            width = batch.mask.shape[1]
            with self._precision():
                output = self.shared.policy_output(batch, entropy=True)
                reference_logps = self.shared.reference_logps(batch)
            assert output.entropy is not None and output.values is not None
            mask[rows, :width] = batch.mask
            logps[rows, :width], values[rows, :width] = output.logps, output.values
            entropy[rows, :width], reference[rows, :width] = output.entropy, reference_logps
        float_mask = mask.float()
        sum_over_processes([float_mask, logps, values, entropy, reference])
        mask = float_mask.bool()
        kl = losses.k1(logps, reference)
        rewards = losses.token_rewards(scores, kl, mask, self.coefficient.value)
        advantages, returns = losses.gae(rewards, values, mask, self.recipe.gamma, self.recipe.lam)
        kl_k3 = losses.k3(logps, reference)
        return Experience(mask, logps, values, losses.whiten(advantages, mask), returns), {
            "kl": float(torch.where(mask, kl, 0.0).sum(dim=1).mean()),
            "kl_k3": float(torch.where(mask, kl_k3, 0.0).sum(dim=1).mean()),
            "entropy": losses.mean(entropy, mask),
            "explained_variance": losses.explained_variance(values, returns, mask),
        }

    def _learn(self, answers: Sequence[Rollout], experience: Experience, number: int) -> dict[str, float]:
        """All optimiser steps of update `number`. Returns the mean of each step's metrics."""
        recipe = self.recipe
        generator = torch.Generator().manual_seed(seed_for(recipe.seed, "order", number))
        # Linear decay to zero, as the original code had it (Huang et al. 2024, detail on the learning rate).
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * (1.0 - number / recipe.updates)
        sums = dict.fromkeys(("policy_loss", "value_loss", "clip_fraction"), 0.0)
        size = math.ceil(len(answers) / recipe.minibatches)
        for _ in range(recipe.epochs):
            order = torch.randperm(len(answers), generator=generator).tolist()
            for index, rows in enumerate(chunks(order, size)):
                metrics = self._step(answers, experience, rows, f"update {number + 1}, minibatch {index + 1}")
                for name, value in metrics.items():
                    sums[name] += value
        steps = recipe.epochs * math.ceil(len(answers) / size)
        return {name: value / steps for name, value in sums.items()}

    def _step(
        self, answers: Sequence[Rollout], experience: Experience, rows: list[int], minibatch: str
    ) -> dict[str, float]:
        """One step of the optimiser on a minibatch, whose name the error uses.

        Raises TrainingError, before any weight moves, if a gradient is not finite.
        """
        metrics = self._gradients(answers, experience, rows)
        for group in self.optimizer.param_groups:
            norm = torch.nn.utils.clip_grad_norm_(group["params"], self.recipe.max_grad_norm)
            if not bool(norm.isfinite()):
                raise TrainingError(
                    f"The gradient of {minibatch} is not a finite number. No weight was moved by it, no version was "
                    "written, and the last checkpoint is kept. Lower --learning_rate, or look for unbounded rewards."
                )
        self.optimizer.step()
        return metrics

    def _gradients(
        self, answers: Sequence[Rollout], experience: Experience, rows: list[int]
    ) -> dict[str, float]:
        """Set the gradient of every trained weight for the minibatch of `rows`. Returns its losses."""
        recipe, tokens = self.recipe, int(experience.mask[rows].sum())
        sums = dict.fromkeys(("policy_loss", "value_loss", "clip_fraction"), 0.0)
        self.optimizer.zero_grad(set_to_none=True)
        # Micro-batches bound memory; each adds its share of the mean over the minibatch's tokens.
        for micro_batch in chunks(by_length(answers, own_share(rows)), recipe.micro_batch_size):
            batch = batch_episodes(
                [answers[row].prompt_ids for row in micro_batch],
                [answers[row].completion_ids for row in micro_batch],
                self.device,
            )
            width = batch.mask.shape[1]
            with self._precision():
                output = self.shared.policy_output(batch)
            assert output.values is not None
            old = Experience(*(tensor[micro_batch, :width] for tensor in vars(experience).values()))
            policy_loss, clipped = losses.policy_loss(
                output.logps, old.logps, old.advantages, old.mask, recipe.clip
            )
            value_loss = losses.value_loss(
                output.values, old.values, old.returns, old.mask, recipe.value_clip
            )
            # Policy and value head share no trained weight, so the sum of their losses needs no coefficient.
            ((policy_loss + value_loss) / tokens).backward()
            for name, value in zip(sums, (policy_loss, value_loss, clipped), strict=True):
                sums[name] += float(value.detach()) / tokens
        self._sum_over_processes(sums)
        return sums

    def rehearse(self, answers: Sequence[Rollout]) -> None:
        """Evaluate `answers` and compute gradients once, to measure time and memory; no weight moves."""
        experience, _ = self._gather_experience(answers, torch.zeros(len(answers), device=self.device))
        self._gradients(answers, experience, list(range(len(answers))))
        self.optimizer.zero_grad(set_to_none=True)

    def _sum_over_processes(self, metrics: dict[str, float]) -> None:
        """Sum gradients and metrics of all processes, each of which has its rows' share of the mean."""
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        for weight in weights:
            if weight.grad is None:
                # This process had no row.
                weight.grad = torch.zeros_like(weight)
        values = torch.tensor(list(metrics.values()), device=self.device)
        sum_over_processes([*(weight.grad for weight in weights), values])
        metrics.update(zip(metrics, values.tolist(), strict=True))

    def evaluate(self, prompts: Sequence[RolloutPrompt]) -> dict[str, float]:
        """Answer held-out prompts and keep the weights if they are the best so far. Returns the metrics.

        The best weights are those whose answers score highest, by the watching reward model if there is one.
        """
        answers = self.answer(prompts, "held out")
        parts = {source.name: self._score(source, answers) for source in self.sources}
        scores = reward_functions.total(self.sources, parts)
        metrics = {
            "step": float(self.done),
            "eval_score": fmean(scores),
            "eval_error": stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else 0.0,
            "eval_ended": fmean(float(answer.ended) for answer in answers),
            **({"eval_watch": fmean(self._score(self.watch, answers))} if self.watch else {}),
        }
        key = "eval_watch" if self.watch else "eval_score"
        earlier = [entry[key] for entry in self.history if key in entry]
        if not earlier or metrics[key] > max(earlier):
            self.best = {name: weight.detach().clone() for name, weight in self.policy.items()}
        self.history.append(metrics)
        return metrics

    def restore_best(self) -> None:
        """Restore the weights of the best evaluation."""
        with torch.no_grad():
            for name, weight in self.best.items():
                self.policy[name].copy_(weight)

    def all_sources(self) -> list[Source]:
        """The rewards that are trained on, and the one that only watches."""
        return [*self.sources, *([self.watch] if self.watch else [])]

    def _precision(self) -> AbstractContextManager[Any]:
        # float32 on the CPU: bfloat16 would blur the ratios, which are within a few hundredths of 1, and was slower.
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")
