"""PPO's formulas on tensors, without a model: KL estimates, advantages, clipped losses.

Every argument called `mask` is a bool tensor [episodes, tokens]: true for tokens that the policy drew, which fill a row
without gaps from the first column on. Every other tensor has the same shape, unless stated otherwise, in float32.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


def k1(logps: Tensor, reference_logps: Tensor) -> Tensor:
    """Estimate of KL(policy, reference) from a token drawn by the policy: log p - log q. Unbiased, either sign.

    Schulman 2020, "Approximating KL divergence". As a penalty in the reward its gradient is that of the KL itself.
    """
    return logps - reference_logps


def k3(logps: Tensor, reference_logps: Tensor) -> Tensor:
    """The same source's estimate that is never negative: q/p - 1 - log(q/p). Unbiased, with less variance."""
    log_ratio = reference_logps - logps
    return log_ratio.exp() - 1.0 - log_ratio


def token_rewards(scores: Tensor, kl: Tensor, mask: Tensor, coefficient: float) -> Tensor:
    """Rewards of tokens: minus `coefficient` times the KL estimate, and at the last token also the episode's score.

    `scores`: [episodes]. Ziegler et al. 2019, eq. 2. Zero outside the mask. An episode without a token has no reward.
    """
    rewards = torch.where(mask, -coefficient * kl, 0.0)
    spoken = mask.any(dim=1)
    last = mask.sum(dim=1) - 1
    rewards[spoken, last[spoken]] += scores[spoken]
    return rewards


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Advantages and returns (advantages + values); both zero outside the mask.

    Generalised advantage estimation, Schulman et al. 2016, eq. 16: the sum of (gamma lam)^k times the TD errors k
    steps ahead. `values` are of the state in which the token was drawn; after an episode's last token the value is 0.
    """
    inside = mask.float()
    values = torch.where(mask, values, 0.0)
    advantages = torch.zeros_like(values)
    running = torch.zeros_like(values[:, 0])
    following = torch.zeros_like(running)
    for step in range(values.shape[1] - 1, -1, -1):
        error = rewards[:, step] + gamma * following - values[:, step]
        running = (error + gamma * lam * running) * inside[:, step]
        advantages[:, step] = running
        following = values[:, step]
    return advantages, advantages + values


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """`values` with mean 0 and variance 1 over the mask, 0 outside; values that do not vary become 0."""
    chosen = values[mask]
    if chosen.numel() < 2:
        return torch.zeros_like(values)
    centred = torch.where(mask, values - chosen.mean(), 0.0)
    return centred * torch.rsqrt(chosen.var() + 1e-8)


def policy_loss(
    logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, clip: float
) -> tuple[Tensor, Tensor]:
    """Sum over the mask of PPO's clipped loss, and the number of tokens that it clipped. Both scalars.

    Schulman et al. 2017, eq. 7, negated to be minimised: a token has no gradient once its ratio has left 1 ± `clip` in
    the direction of its advantage.
    """
    # The padding's log-ratio is arbitrary, and its exponential times zero may be NaN.
    ratio = torch.where(mask, logps - old_logps, 0.0).exp()
    free, clipped = -advantages * ratio, -advantages * ratio.clamp(1.0 - clip, 1.0 + clip)
    loss = torch.where(mask, torch.maximum(free, clipped), 0.0).sum()
    return loss, (mask & (clipped > free)).sum()


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip: float) -> Tensor:
    """Sum over the mask of half the squared error, with values clipped to `clip` around those at the rollout. Scalar.

    The larger of the clipped and the unclipped error counts (Huang et al. 2022, "The 37 implementation details of
    PPO", detail 9).
    """
    kept = old_values + (values - old_values).clamp(-clip, clip)
    error = torch.maximum((values - returns).square(), (kept - returns).square())
    return 0.5 * torch.where(mask, error, 0.0).sum()


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 - Var(returns - values) / Var(returns) over the mask: 1 is a perfect value function, 0 a constant one.

    NaN where the returns do not vary.
    """
    target = returns[mask]
    if target.numel() < 2 or float(target.var()) == 0.0:
        return float("nan")
    return float(1.0 - (target - values[mask]).var() / target.var())


def mean(values: Tensor, mask: Tensor) -> float:
    """Mean over the mask."""
    return float(values[mask].mean()) if bool(mask.any()) else 0.0


@dataclass
class KLCoefficient:
    """The price of a nat of KL: fixed, or adjusted so that the KL of an episode approaches a target.

    Ziegler et al. 2019, section 2.2: a proportional controller in log space, its error clipped to ±0.2.
    """

    value: float
    target: float
    """Nats an episode; 0 keeps the coefficient fixed."""
    horizon: int
    """Number of episodes over which a relative error of 1 would change the coefficient by a factor of e."""

    def update(self, kl: float, episodes: int) -> None:
        """Adjust the coefficient. `kl`: mean KL of a whole episode, in nats, over so many `episodes`."""
        if self.target > 0.0:
            error = min(max(kl / self.target - 1.0, -0.2), 0.2)
            self.value *= 1.0 + error * episodes / self.horizon
