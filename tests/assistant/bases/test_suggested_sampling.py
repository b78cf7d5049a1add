"""Replies are drawn as the model's makers suggest: by the card, else by generation_config.json."""

import json
from pathlib import Path

import pytest

from assistant.bases.base import SMOLLM2, STARTER, Base
from assistant.bases.suggested_sampling import suggested_sampling
from assistant.sampling_settings import DEFAULT_TEMPERATURE

NONE = {"temperature": DEFAULT_TEMPERATURE}


def suggested(home: Path, configured: object) -> dict[str, float]:
    folder = home / "some-model"
    folder.mkdir(exist_ok=True)
    (folder / "generation_config.json").write_text(json.dumps(configured))
    return suggested_sampling(Base("some-model", ""), home)


def test_a_known_models_card_says_how_it_is_drawn(tmp_path: Path) -> None:
    assert suggested_sampling(Base(SMOLLM2, ""), tmp_path) == {
        "temperature": 0.2,
        "top_p": 0.9,
        "frequency_penalty": 0.4,
    }
    assert suggested_sampling(Base(STARTER, ""), tmp_path) == {"temperature": 0.3}


def test_another_models_configuration_says_it(tmp_path: Path) -> None:
    configured = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "eos_token_id": 2}
    assert suggested(tmp_path, configured) == {"temperature": 0.6, "top_p": 0.95, "top_k": 20}


@pytest.mark.parametrize(
    "configured",
    [
        {},
        [],
        {"temperature": 99},
        {"temperature": "hot"},
        {"top_p": 0},
        {"do_sample": False, "temperature": 1.0},
    ],
)
def test_what_cannot_be_used_is_no_suggestion(tmp_path: Path, configured: object) -> None:
    assert suggested(tmp_path, configured) == NONE


def test_a_model_without_a_configuration_is_drawn_with_a_low_temperature(tmp_path: Path) -> None:
    (tmp_path / "some-model").mkdir()
    assert suggested_sampling(Base("some-model", ""), tmp_path) == NONE
