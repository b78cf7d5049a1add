"""Sampling: the distribution that was asked for, and the same draw for the same seed."""

import pytest
import torch

from assistant.errors import EngineError
from assistant.sampling import Sampling, draw

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0])


def shares(sampling: Sampling, draws: int = 4000) -> torch.Tensor:
    taken = [int(draw(LOGITS, sampling, position).argmax()) for position in range(draws)]
    return torch.bincount(torch.tensor(taken), minlength=4) / draws


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax_at_their_temperature(temperature: float) -> None:
    expected = torch.softmax(LOGITS / temperature, dim=-1)
    # Four standard errors of a share from 4,000 draws are at most 0.032.
    assert torch.allclose(shares(Sampling(temperature=temperature)), expected, atol=0.032)


def test_at_temperature_zero_the_likeliest_is_taken() -> None:
    assert shares(Sampling(temperature=0.0), draws=20).tolist() == [1.0, 0.0, 0.0, 0.0]


def test_top_k_keeps_the_likeliest_and_their_ratio() -> None:
    kept = shares(Sampling(temperature=1.0, top_k=2))
    assert kept[2:].sum() == 0
    assert torch.allclose(kept[:2], torch.softmax(LOGITS[:2], dim=-1), atol=0.032)


def test_top_p_keeps_the_smallest_set_that_holds_the_mass() -> None:
    assert torch.softmax(LOGITS, dim=-1)[:2].sum() > 0.85 > torch.softmax(LOGITS, dim=-1)[0]
    kept = shares(Sampling(temperature=1.0, top_p=0.85))
    assert (kept[:2] > 0).all()
    assert kept[2:].sum() == 0


def test_top_p_always_keeps_the_likeliest() -> None:
    assert shares(Sampling(temperature=1.0, top_p=0.01), draws=50).tolist() == [1.0, 0.0, 0.0, 0.0]


def test_the_same_seed_and_position_draw_the_same_and_others_do_not() -> None:
    def series(seed: int) -> list[int]:
        return [int(draw(LOGITS, Sampling(temperature=2.0, seed=seed), i).argmax()) for i in range(50)]

    assert series(7) == series(7)
    assert series(7) != series(8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": 9.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_k": -1},
        {"max_new_tokens": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(EngineError, match="must"):
        Sampling(**wrong)  # type: ignore[arg-type]
