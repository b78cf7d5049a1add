"""Sampling: draws follow the requested distribution, and the same seed draws the same tokens."""

import pytest
import torch
from pydantic import ValidationError

from assistant.api.requests import ChatRequest
from assistant.errors import EngineError
from assistant.page.session.preferences import preferences
from assistant.sampling_settings import (
    DEFAULT_TEMPERATURE,
    MAX_PAGE_TEMPERATURE,
    MAX_TEMPERATURE,
    PENALTY_WINDOW,
    Sampling,
)
from assistant.serving import sampling
from assistant.serving.sampling import Drawing, draw, draw_next, probabilities
from assistant.settings import Settings

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0])


def shares(sampling: Sampling, draws: int = 4000) -> torch.Tensor:
    taken = draw(LOGITS.expand(draws, -1), [sampling] * draws, range(draws))
    return torch.bincount(taken, minlength=4) / draws


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax_at_their_temperature(temperature: float) -> None:
    expected = torch.softmax(LOGITS / temperature, dim=-1)
    # Four standard errors of a share from 4,000 draws are at most 0.032.
    assert torch.allclose(shares(Sampling(temperature=temperature)), expected, atol=0.032)


def test_at_temperature_zero_the_likeliest_token_is_drawn() -> None:
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


def test_min_p_keeps_what_is_likely_enough_beside_the_likeliest() -> None:
    # The four are 1, 0.37, 0.14 and 0.05 times as likely as the first.
    kept = shares(Sampling(temperature=1.0, min_p=0.1))
    assert torch.allclose(kept[:3], torch.softmax(LOGITS[:3], dim=-1), atol=0.032)
    assert kept[3] == 0
    assert shares(Sampling(temperature=5.0, min_p=1.0), draws=50).tolist() == [1.0, 0.0, 0.0, 0.0]


def greedy(count: int, start: Drawing | None = None, **penalties: float) -> list[int]:
    """The first `count` tokens at temperature 0."""
    drawing = start or Drawing(Sampling(temperature=0.0, logprobs=0, **penalties))
    return [int(draw_next(LOGITS[None], [drawing], [place], [])[0]) for place in range(count)]


def test_penalties_count_what_the_reply_has_already() -> None:
    assert greedy(4) == [0, 0, 0, 0]
    # After its first time a token is 1.5 less, for good.
    assert greedy(4, presence_penalty=1.5) == [0, 1, 0, 0]
    # After each time it is 0.9 less.
    assert greedy(5, frequency_penalty=0.9) == [0, 0, 1, 0, 1]
    assert greedy(3, presence_penalty=-1.0) == [0, 0, 0]


def test_penalties_forget_what_the_reply_had_long_ago() -> None:
    for others, expected in ((PENALTY_WINDOW, 0), (PENALTY_WINDOW - 1, 1)):
        drawing = Drawing(Sampling(temperature=0.0, presence_penalty=1.5), tokens=[0] + [3] * others)
        assert draw_next(LOGITS[None], [drawing], [len(drawing.tokens)], []).tolist() == [expected]


def test_penalties_of_one_reply_leave_others_and_log_probabilities_alone() -> None:
    penal, plain = (
        Drawing(Sampling(temperature=0.0, logprobs=0, presence_penalty=penalty)) for penalty in (2.0, 0.0)
    )
    for place in range(2):
        tokens = draw_next(LOGITS.expand(2, -1), [penal, plain], [place, place], [])
    assert tokens.tolist() == [1, 0]
    assert penal.logprobs[1].logprob == pytest.approx(float(LOGITS.log_softmax(dim=-1)[1]))
    # A reply that is started again is drawn the same.
    assert greedy(2, penal) == [0, 1]


def test_the_same_seed_and_position_draw_the_same_and_others_do_not() -> None:
    def series(seed: int) -> list[int]:
        return draw(LOGITS.expand(50, -1), [Sampling(temperature=2.0, seed=seed)] * 50, range(50)).tolist()

    assert series(7) == series(7)
    assert series(7) != series(8)


def test_a_row_without_finite_logits_is_marked_and_the_others_are_drawn_as_alone() -> None:
    settings = [Sampling(temperature=1.0, seed=3, logprobs=1), Sampling(temperature=0.0), Sampling(seed=5)]
    alone = [Drawing(setting) for setting in settings]
    expected = [draw_next(LOGITS[None], [drawing], [0], [])[0] for drawing in alone]
    for broken in (float("nan"), float("inf"), float("-inf")):
        lost = LOGITS.clone()
        lost[1 if broken != float("-inf") else slice(None)] = broken
        for setting in settings:
            drawings = [Drawing(other) for other in settings] + [Drawing(setting)]
            tokens = draw_next(torch.stack([LOGITS, LOGITS, LOGITS, lost]), drawings, [0] * 4, [])
            assert tokens[:3].tolist() == expected
            assert 0 <= int(tokens[3]) < 4
            assert [drawing.broken for drawing in drawings] == [False, False, False, True]
            assert drawings[0].logprobs == alone[0].logprobs


def test_rows_of_a_batch_are_drawn_as_each_is_alone() -> None:
    settings = [
        Sampling(temperature=0.0),
        Sampling(temperature=1.5, seed=1),
        Sampling(temperature=1.0, seed=2, top_k=3),
        Sampling(temperature=0.7, seed=3, top_p=0.6),
        Sampling(temperature=2.0, seed=4, top_k=40, top_p=0.9),
    ]
    logits = torch.randn(len(settings), 200, generator=torch.Generator().manual_seed(0))
    for position in range(40):
        together = draw(logits, settings, [position] * len(settings))
        alone = [draw(logits[row, None], [setting], [position])[0] for row, setting in enumerate(settings)]
        assert together.tolist() == alone


@pytest.mark.parametrize(("number", "token"), [(0.0, 1), (1 - 2**-52, 2)])
def test_a_token_of_probability_zero_is_never_drawn(
    number: float, token: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "_number", lambda seed, position: number)
    never = float("-inf")
    logits = torch.tensor([[never, 2.0, 1.0, never]])
    assert draw(logits, [Sampling(temperature=1.0)], [0]).tolist() == [token]


def test_top_k_then_top_p_leaves_probabilities_that_sum_to_one() -> None:
    (left,) = probabilities(LOGITS[None], [Sampling(temperature=1.0, top_k=3, top_p=0.9)])
    expected = torch.softmax(LOGITS[:2], dim=-1)
    assert torch.allclose(left, torch.tensor([*expected, 0.0, 0.0]))


def test_every_bound_of_the_temperature_is_one_of_two_constants_and_a_suggestion_goes_first() -> None:
    request = ChatRequest(model="thumbtune", messages=[{"role": "user", "content": "Hello"}], temperature=5.0)  # type: ignore[list-item]
    assert (
        request.sampling(Sampling()).temperature == MAX_TEMPERATURE == Sampling(temperature=5.0).temperature
    )
    assert Settings(temperature=5.0).temperature == MAX_TEMPERATURE
    for out_of_range in (5.1, -0.1):
        with pytest.raises(ValidationError):
            Settings(temperature=out_of_range)
        with pytest.raises(ValidationError):
            ChatRequest(model="v1", messages=request.messages, temperature=out_of_range)
    # The page's slider stops earlier, on purpose.
    assert preferences({"temperature": 2.0}).temperature == MAX_PAGE_TEMPERATURE == 2.0
    assert preferences({"temperature": 2.1}).temperature is None
    # Left out, it is what the model's makers suggest: see suggested_sampling.
    assert Settings().temperature is None and Sampling().temperature == DEFAULT_TEMPERATURE == 0.3


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
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(EngineError, match="must"):
        Sampling(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("asked", "expected"), [({}, 0.4), ({"frequency_penalty": 0.0}, 0.0)])
def test_a_request_without_a_penalty_gets_the_models_own(asked: dict[str, float], expected: float) -> None:
    body = {"model": "thumbtune", "messages": [{"role": "user", "content": "Hello"}], **asked}
    request = ChatRequest.model_validate(body)
    assert request.sampling(Sampling(frequency_penalty=0.4)).frequency_penalty == expected
