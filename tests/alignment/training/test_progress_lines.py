"""Lines in words for what a trainer logs."""

import pytest

from alignment.training.progress_lines import line


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ({"loss": 0.69314718, "grad_norm": 6.4, "epoch": 0.5}, "update 3 of 48: loss 0.6931"),
        (
            {"loss": 0.5, "rewards/accuracies": 0.92, "rewards/margins": 0.3},
            "update 3 of 48: loss 0.5, pairs in the right order 92%",
        ),
        (
            {"eval_loss": 0.25, "eval_accuracy": 0.7, "eval_runtime": 3.0},
            "update 3 of 48, held out: loss 0.25, pairs in the right order 70%",
        ),
        ({"reward": "0.125", "kl": 0.01}, "update 3 of 48: score 0.125, KL 0.01"),
        ({"train_runtime": 12.0, "train_loss": 0.4}, ""),
        ({}, ""),
    ],
)
def test_what_is_logged_is_said_in_words(logs: dict[str, float], said: str) -> None:
    assert line(logs, 3, 48) == said
