"""PPO's loop: answer, score, look back, update. A function of (seed, update), so that a killed run goes on exactly.

No random state is carried from one update to the next: every draw comes from a generator seeded with what it is
for. What is carried is the adapter, the value head, the optimiser's moments and the history, in one file.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from alignment.data.prompts import Asked
from alignment.errors import TrainingError
from alignment.ppo import losses as closed
from alignment.ppo.models import POLICY, SharedBase, batch
from alignment.scoring import reward_functions
from alignment.scoring.reward_functions import Said, Source
from alignment.training.processes import add_up, share, together
from alignment.training.rollout import by_length, chunks, ends_of, generate, merged, seed_of
from assistant.serving import prompt


@dataclass(frozen=True)
class Experience:
    """What the policy did, as it was when it did it; all [episodes, longest completion]."""

    mask: Tensor
    logps: Tensor
    values: Tensor
    advantages: Tensor
    """Whitened over the whole batch."""
    returns: Tensor


class PPO:
    """One run: its parts, and how far it has come."""

    def __init__(
        self,
        shared: SharedBase,
        tokenizer: Any,
        window: int,
        sources: Sequence[Source],
        watch: Source | None,
        recipe: Any,
    ) -> None:
        """`recipe`: a PPORecipe. `watch` only looks: nothing is trained on its scores."""
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
        self.coefficient = closed.KLCoefficient(recipe.kl_coef, recipe.target_kl, recipe.kl_horizon)
        self.done = 0
        self.history: list[dict[str, float]] = []
        self.before: dict[str, float] = {}
        self.best: dict[str, Tensor] = {}

    def answer(self, asked: Sequence[Asked], *purpose: object) -> list[Said]:
        """One drawn answer to each prompt; the same for the same `purpose`, weights and seed. Processes share them."""
        own = share(range(len(asked)))
        seeds = [seed_of(self.recipe.seed, *purpose, row) for row in own]
        return together(self._answer([asked[row] for row in own], seeds))

    def _answer(self, asked: Sequence[Asked], seeds: Sequence[int]) -> list[Said]:
        prompts = [one.rendered(self.tokenizer) for one in asked]
        ends = ends_of(self.shared.model, self.tokenizer)
        completions: dict[int, list[int]] = {}
        with merged(self.shared.model, POLICY), self._precision():
            # Answers of like length together: thinking takes much longer, and long prompts want much padding.
            order = sorted(range(len(asked)), key=lambda row: (asked[row].think, len(prompts[row]), row))
            for rows in chunks(order, self.recipe.generate_at_once):
                limits = [min(self.recipe.max_new_tokens, self.window - len(prompts[row])) for row in rows]
                drawn = generate(
                    self.shared.model,
                    [prompts[row] for row in rows],
                    limits,
                    ends,
                    self.recipe.temperature,
                    [seeds[row] for row in rows],
                )
                completions.update(zip(rows, drawn, strict=True))
        said = []
        for row, one in enumerate(asked):
            ids = completions[row]
            ended = ids[-1] in ends
            text = prompt.decode(self.tokenizer, ids[:-1] if ended else ids)
            parsed = prompt.parse(text, one.think)
            said.append(
                Said(
                    one.messages, one.think, one.task, prompts[row], ids, parsed.thought, parsed.answer, ended
                )
            )
        return said

    def preflight(self, asked: Sequence[Asked], samples: int) -> None:
        """Raises TrainingError where there is nothing to reinforce; see `rewards.preflight`."""
        said = self.answer([one for one in asked for _ in range(samples)], "preflight")
        self.before = reward_functions.preflight(self.sources, said, samples)
        if self.watch is not None:
            reward_functions.preflight([self.watch], said, samples)

    def update(self, asked: Sequence[Asked]) -> dict[str, float]:
        """Answer `asked` once each, learn from the answers, and return what is watched."""
        recipe, number = self.recipe, self.done
        said = self.answer(asked, "rollout", number)
        parts = {source.name: together(source(share(said))) for source in self.sources}
        scores = reward_functions.total(self.sources, parts)
        # An answer that never ends is no answer, whatever its score (Huang et al. 2024, "EOS trick").
        penalised = [
            score - recipe.missing_end_penalty * (not one.ended)
            for score, one in zip(scores, said, strict=True)
        ]
        seen, figures = self._look_back(said, torch.tensor(penalised, device=self.device))
        figures |= self._learn(said, seen, number)
        self.coefficient.update(figures["kl"], len(said))
        self.done += 1
        figures = {
            "step": float(self.done),
            "score": fmean(scores),
            **{f"score_{name}": fmean(part) for name, part in parts.items() if len(parts) > 1},
            **({"watch": fmean(together(self.watch(share(said))))} if self.watch else {}),
            "ended": fmean(float(one.ended) for one in said),
            "length": fmean(len(one.completion_ids) for one in said),
            **figures,
            "kl_coef": self.coefficient.value,
        }
        # Explained variance is no number where all returns are alike.
        self.history.append({name: value for name, value in figures.items() if math.isfinite(value)})
        return figures

    @torch.no_grad()
    def _look_back(self, said: Sequence[Said], scores: Tensor) -> tuple[Experience, dict[str, float]]:
        shape = len(said), max(len(one.completion_ids) for one in said)
        mask = torch.zeros(shape, dtype=torch.bool, device=self.device)
        logps, values, reference, entropy = (torch.zeros(shape, device=self.device) for _ in range(4))
        for rows in chunks(by_length(said, share(range(len(said)))), self.recipe.micro_batch_size):
            given = batch(
                [said[row].prompt_ids for row in rows],
                [said[row].completion_ids for row in rows],
                self.device,
            )
            width = given.mask.shape[1]
            with self._precision():
                judged = self.shared.judge(given, entropy=True)
                of_parent = self.shared.reference_logps(given)
            assert judged.entropy is not None and judged.values is not None
            mask[rows, :width] = given.mask
            logps[rows, :width], values[rows, :width] = judged.logps, judged.values
            entropy[rows, :width], reference[rows, :width] = judged.entropy, of_parent
        seen = mask.float()
        add_up([seen, logps, values, entropy, reference])
        mask = seen.bool()
        kl = closed.k1(logps, reference)
        earned = closed.token_rewards(scores, kl, mask, self.coefficient.value)
        advantages, returns = closed.gae(earned, values, mask, self.recipe.gamma, self.recipe.lam)
        never_negative = closed.k3(logps, reference)
        return Experience(mask, logps, values, closed.whiten(advantages, mask), returns), {
            "kl": float(torch.where(mask, kl, 0.0).sum(dim=1).mean()),
            "kl_k3": float(torch.where(mask, never_negative, 0.0).sum(dim=1).mean()),
            "entropy": closed.mean(entropy, mask),
            "explained_variance": closed.explained_variance(values, returns, mask),
        }

    def _learn(self, said: Sequence[Said], seen: Experience, number: int) -> dict[str, float]:
        recipe = self.recipe
        order = torch.Generator().manual_seed(seed_of(recipe.seed, "order", number))
        # Linear decay to zero, as the original code had it (Huang et al. 2024, detail on the learning rate).
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * (1.0 - number / recipe.updates)
        sums = dict.fromkeys(("policy_loss", "value_loss", "clip_fraction"), 0.0)
        size = math.ceil(len(said) / recipe.minibatches)
        for _ in range(recipe.epochs):
            for place, rows in enumerate(chunks(torch.randperm(len(said), generator=order).tolist(), size)):
                for name, value in self._step(
                    said, seen, rows, f"update {number + 1}, minibatch {place + 1}"
                ).items():
                    sums[name] += value
        return {name: value / (recipe.epochs * math.ceil(len(said) / size)) for name, value in sums.items()}

    def _step(self, said: Sequence[Said], seen: Experience, rows: list[int], where: str) -> dict[str, float]:
        """One step of the optimiser. Raises TrainingError, before any weight moves, where a gradient is no number."""
        sums = self._gradients(said, seen, rows)
        for group in self.optimizer.param_groups:
            norm = torch.nn.utils.clip_grad_norm_(group["params"], self.recipe.max_grad_norm)
            if not bool(norm.isfinite()):
                raise TrainingError(
                    f"The gradient of {where} is not a finite number. No weight was moved by it, no version was "
                    "written, and the last checkpoint is kept. Lower --learning_rate, or look for unbounded rewards."
                )
        self.optimizer.step()
        return sums

    def _gradients(self, said: Sequence[Said], seen: Experience, rows: list[int]) -> dict[str, float]:
        """Losses of a minibatch; every trained weight has its gradient after it."""
        recipe, tokens = self.recipe, int(seen.mask[rows].sum())
        sums = dict.fromkeys(("policy_loss", "value_loss", "clip_fraction"), 0.0)
        self.optimizer.zero_grad(set_to_none=True)
        # Micro-batches bound memory; each adds its share of the mean over the minibatch's tokens.
        for some in chunks(by_length(said, share(rows)), recipe.micro_batch_size):
            given = batch(
                [said[row].prompt_ids for row in some],
                [said[row].completion_ids for row in some],
                self.device,
            )
            width = given.mask.shape[1]
            with self._precision():
                judged = self.shared.judge(given)
            assert judged.values is not None
            old = Experience(*(tensor[some, :width] for tensor in vars(seen).values()))
            policy, clipped = closed.policy_loss(
                judged.logps, old.logps, old.advantages, old.mask, recipe.clip
            )
            value = closed.value_loss(judged.values, old.values, old.returns, old.mask, recipe.value_clip)
            # The two share no weight, so their sum needs no coefficient.
            ((policy + value) / tokens).backward()
            for name, one in zip(sums, (policy, value, clipped), strict=True):
                sums[name] += float(one.detach()) / tokens
        self._add_up(sums)
        return sums

    def rehearse(self, said: Sequence[Said]) -> None:
        """One pass of learning over answers, for its time and memory: no weight moves."""
        seen, _ = self._look_back(said, torch.zeros(len(said), device=self.device))
        self._gradients(said, seen, list(range(len(said))))
        self.optimizer.zero_grad(set_to_none=True)

    def _add_up(self, sums: dict[str, float]) -> None:
        """Gradients and figures of all processes, each of which holds its rows' share of the mean."""
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        for weight in weights:
            if weight.grad is None:
                # This process had no row.
                weight.grad = torch.zeros_like(weight)
        told = torch.tensor(list(sums.values()), device=self.device)
        add_up([*(weight.grad for weight in weights), told])
        sums.update(zip(sums, told.tolist(), strict=True))

    def look(self, asked: Sequence[Asked]) -> dict[str, float]:
        """Answers to held-out prompts: score and its standard error; remembers the weights of the best look.

        The best is the one that the watching judge likes most, where there is one.
        """
        said = self.answer(asked, "held out")
        parts = {source.name: together(source(share(said))) for source in self.sources}
        scores = reward_functions.total(self.sources, parts)
        found = {
            "step": float(self.done),
            "eval_score": fmean(scores),
            "eval_error": stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else 0.0,
            "eval_ended": fmean(float(one.ended) for one in said),
            **({"eval_watch": fmean(together(self.watch(share(said))))} if self.watch else {}),
        }
        key = "eval_watch" if self.watch else "eval_score"
        before = [entry[key] for entry in self.history if key in entry]
        if not before or found[key] > max(before):
            self.best = {name: weight.detach().clone() for name, weight in self.policy.items()}
        self.history.append(found)
        return found

    def falls(self, patience: int) -> bool:
        """Whether the last `patience` looks were each worse than the best by more than its standard error."""
        looks = [entry for entry in self.history if "eval_score" in entry]
        best = max(looks, key=lambda entry: entry["eval_score"], default=None)
        if best is None or not patience or len(looks) <= patience:
            return False
        return all(
            entry["eval_score"] < best["eval_score"] - best["eval_error"] for entry in looks[-patience:]
        )

    def over_optimised(self) -> bool:
        """See `rewards.over_optimised`."""
        updates = [entry for entry in self.history if "score" in entry]
        return self.watch is not None and reward_functions.over_optimised(
            [entry["score"] for entry in updates],
            [entry["watch"] for entry in updates],
            self.recipe.watch_window,
        )

    def keep_best(self) -> None:
        """Put back the weights of the best look."""
        with torch.no_grad():
            for name, weight in self.best.items():
                self.policy[name].copy_(weight)

    def all_sources(self) -> list[Source]:
        """What trains, and what only looks."""
        return [*self.sources, *([self.watch] if self.watch else [])]

    def _precision(self) -> AbstractContextManager[Any]:
        # float32 on the CPU: bfloat16 would blur the ratios, which live within a few hundredths of 1.
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")
