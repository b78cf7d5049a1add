"""PPO's losses compared with values computed by hand, and on a bandit whose optimum is known."""

import math

import pytest
import torch

from alignment.ppo import losses

YES, NO = True, False


def masks(*rows: list[bool]) -> torch.Tensor:
    return torch.tensor(rows)


def test_advantages_are_those_computed_by_hand() -> None:
    rewards = torch.tensor([[0.0, 0.0, 1.0]])
    values = torch.tensor([[0.5, 0.6, 0.7]])
    advantages, returns = losses.gae(rewards, values, masks([YES] * 3), gamma=0.9, lam=0.8)
    # TD errors from the end: 1 - 0.7; 0.9*0.7 - 0.6; 0.9*0.6 - 0.5. Each then adds 0.72 of the next advantage.
    third = 0.3
    second = 0.03 + 0.72 * third
    first = 0.04 + 0.72 * second
    assert advantages[0].tolist() == pytest.approx([first, second, third])
    assert returns[0].tolist() == pytest.approx([first + 0.5, second + 0.6, third + 0.7])


def test_an_episode_ends_at_its_last_token_whatever_the_padding_holds() -> None:
    rewards = torch.tensor([[0.2, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    values = torch.tensor([[0.5, 0.25, 99.0, float("nan")], [0.1, 0.2, 0.3, 0.4]])
    mask = masks([YES, YES, NO, NO], [YES] * 4)
    advantages, returns = losses.gae(rewards, values, mask, gamma=1.0, lam=0.95)
    assert advantages[0].tolist() == pytest.approx([(0.2 + 0.25 - 0.5) + 0.95 * 0.75, 0.75, 0.0, 0.0])
    unpadded, _ = losses.gae(rewards[:1, :2], values[:1, :2], mask[:1, :2], gamma=1.0, lam=0.95)
    assert torch.equal(unpadded[0], advantages[0, :2])
    assert returns[0, 2:].tolist() == [0.0, 0.0]


def test_with_lambda_one_the_return_is_the_discounted_sum_of_rewards() -> None:
    rewards = torch.rand(5, 7, generator=torch.Generator().manual_seed(1))
    values = torch.rand(5, 7, generator=torch.Generator().manual_seed(2))
    _, returns = losses.gae(rewards, values, torch.ones(5, 7, dtype=torch.bool), gamma=0.9, lam=1.0)
    expected = sum(0.9**step * rewards[:, step] for step in range(7))
    assert torch.allclose(returns[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("estimate", [losses.k1, losses.k3])
def test_both_estimates_average_to_the_exact_kl(estimate: object) -> None:
    policy = torch.tensor([0.7, 0.2, 0.1])
    reference = torch.tensor([0.3, 0.3, 0.4])
    exact = torch.distributions.kl_divergence(
        torch.distributions.Categorical(policy), torch.distributions.Categorical(reference)
    )
    assert callable(estimate)
    expected = (policy * estimate(policy.log(), reference.log())).sum()
    assert float(expected) == pytest.approx(float(exact), abs=1e-6)


def test_k3_is_never_negative_and_k1_is_on_some_tokens() -> None:
    policy, reference = torch.tensor([0.7, 0.2, 0.1]).log(), torch.tensor([0.3, 0.3, 0.4]).log()
    assert (losses.k3(policy, reference) >= 0).all()
    assert (losses.k1(policy, reference) < 0).any()


def test_the_score_comes_at_the_last_token_and_the_kl_at_every_token() -> None:
    kl = torch.tensor([[0.1, -0.2, 5.0], [0.3, 0.3, 0.3]])
    rewards = losses.token_rewards(torch.tensor([1.0, -2.0]), kl, masks([YES, YES, NO], [YES] * 3), 0.5)
    assert rewards[0].tolist() == pytest.approx([-0.05, 1.1, 0.0])
    assert rewards[1].tolist() == pytest.approx([-0.15, -0.15, -2.15])


def test_whitening_uses_only_values_inside_the_mask() -> None:
    values = torch.tensor([[1.0, 2.0, 1e6], [3.0, float("nan"), -1e6]])
    mask = masks([YES, YES, NO], [YES, NO, NO])
    white = losses.whiten(values, mask)
    assert white[mask].tolist() == pytest.approx([-1.0, 0.0, 1.0], abs=1e-5)
    assert white[~mask].tolist() == [0.0, 0.0, 0.0]
    assert losses.whiten(torch.full((1, 4), 3.0), masks([YES] * 4)).tolist() == [[0.0] * 4]


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"),
    [(1.0, 1.0, YES), (1.3, 1.0, NO), (1.3, -1.0, YES), (0.7, 1.0, YES), (0.7, -1.0, NO), (1.1, 1.0, YES)],
)
def test_a_token_whose_ratio_is_clipped_has_no_gradient(ratio: float, advantage: float, moves: bool) -> None:
    logps = torch.tensor([[math.log(ratio)]], requires_grad=True)
    loss, clipped = losses.policy_loss(
        logps, torch.zeros(1, 1), torch.tensor([[advantage]]), masks([YES]), clip=0.2
    )
    loss.backward()
    assert logps.grad is not None
    assert float(logps.grad) == pytest.approx(-advantage * ratio if moves else 0.0)
    assert int(clipped) == int(not moves)


def test_the_padding_has_neither_loss_nor_gradient_even_if_it_is_not_finite() -> None:
    logps = torch.tensor([[0.0, 80.0, float("-inf")]], requires_grad=True)
    old = torch.tensor([[0.0, -80.0, float("-inf")]])
    loss, clipped = losses.policy_loss(logps, old, torch.ones(1, 3), masks([YES, NO, NO]), clip=0.2)
    loss.backward()
    assert (float(loss.detach()), int(clipped)) == (-1.0, 0)
    assert logps.grad is not None
    assert logps.grad[0].tolist() == [-1.0, 0.0, 0.0]


def test_a_value_is_kept_near_the_value_at_the_rollout() -> None:
    old, mask = torch.zeros(1, 1), masks([YES])
    near = torch.tensor([[0.1]])
    assert float(losses.value_loss(near, old, torch.ones(1, 1), mask, 0.2)) == pytest.approx(0.5 * 0.9**2)
    far = torch.tensor([[0.5]], requires_grad=True)
    loss = losses.value_loss(far, old, torch.ones(1, 1), mask, 0.2)
    loss.backward()
    assert far.grad is not None
    assert (float(loss.detach()), float(far.grad)) == (pytest.approx(0.5 * 0.8**2), 0.0)


def test_explained_variance_is_one_for_a_perfect_value_and_zero_for_a_constant() -> None:
    returns, mask = torch.tensor([[1.0, 2.0, 4.0, 9.0]]), masks([YES, YES, YES, NO])
    assert losses.explained_variance(returns, returns, mask) == pytest.approx(1.0)
    assert losses.explained_variance(torch.full((1, 4), 7.0), returns, mask) == pytest.approx(0.0)
    assert math.isnan(losses.explained_variance(returns, torch.ones(1, 4), mask))


def test_the_coefficient_follows_the_target_and_a_fixed_one_stays() -> None:
    steered = losses.KLCoefficient(0.1, target=2.0, horizon=1000)
    steered.update(kl=20.0, episodes=100)
    assert steered.value == pytest.approx(0.1 * 1.02)
    steered.update(kl=1.9, episodes=100)
    assert steered.value == pytest.approx(0.1 * 1.02 * (1 - 0.05 * 0.1))
    fixed = losses.KLCoefficient(0.1, target=0.0, horizon=1000)
    fixed.update(kl=20.0, episodes=100)
    assert fixed.value == 0.1


def pull(arms: list[float], reference: list[float], coefficient: float, updates: int) -> torch.Tensor:
    """Probabilities of a policy over a bandit's arms after training by the functions of `losses` alone."""
    payout, reference_logps = torch.tensor(arms), torch.tensor(reference).log()
    logits, value = reference_logps.clone().requires_grad_(), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([logits, value], lr=0.1)
    draw = torch.Generator().manual_seed(0)
    mask = torch.ones(512, 1, dtype=torch.bool)
    for update in range(updates):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 - update / updates)
        old = torch.log_softmax(logits.detach(), dim=0)
        arm = torch.multinomial(old.exp(), 512, replacement=True, generator=draw)
        kl = losses.k1(old[arm], reference_logps[arm])[:, None]
        rewards = losses.token_rewards(payout[arm], kl, mask, coefficient)
        values = value.detach().expand(512, 1)
        advantages, returns = losses.gae(rewards, values, mask, 1.0, 0.95)
        for _ in range(2):
            logps = torch.log_softmax(logits, dim=0)[arm][:, None]
            policy_loss, _ = losses.policy_loss(
                logps, old[arm][:, None], losses.whiten(advantages, mask), mask, 0.2
            )
            value_loss = losses.value_loss(value.expand(512, 1), values, returns, mask, 0.2)
            optimizer.zero_grad()
            ((policy_loss + value_loss) / 512).backward()
            optimizer.step()
    return torch.softmax(logits.detach(), dim=0)


def test_without_a_kl_penalty_the_policy_finds_the_best_arm() -> None:
    probabilities = pull([0.1, 0.5, 1.0, 0.7], [0.4, 0.3, 0.05, 0.25], coefficient=0.0, updates=80)
    assert float(probabilities[2]) > 0.97


@pytest.mark.parametrize("coefficient", [0.5, 2.0])
def test_with_a_kl_penalty_the_policy_reaches_the_known_optimum(coefficient: float) -> None:
    arms, reference = [0.1, 0.5, 1.0, 0.7], [0.4, 0.3, 0.05, 0.25]
    # The optimum of reward - coefficient * KL is the reference times exp(reward / coefficient).
    weights = torch.tensor(reference) * (torch.tensor(arms) / coefficient).exp()
    optimum = weights / weights.sum()
    probabilities = pull(arms, reference, coefficient, updates=100)
    assert float((probabilities - optimum).abs().sum()) / 2 < 0.03
    assert float((probabilities - torch.tensor(reference)).abs().sum()) / 2 > 0.05
