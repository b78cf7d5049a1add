"""The pure parts of the claims that train small models."""

import random
from itertools import islice
from typing import Any

import numpy as np

from benchmarks.claims import (
    alignment_beats_size,
    loss_and_optimisation,
    range_and_data,
    scarce_pairs,
    two_languages,
)
from benchmarks.claims.small_models import (
    BLOCK,
    SHAPES,
    TALK,
    demonstrations,
    kinds_by_share,
    language_of,
    new_model,
    raw_text,
    text_loss,
    tokenizer,
)


def test_models_have_the_sizes_by_which_they_are_named() -> None:
    for name in SHAPES:
        assert f"{new_model(name, 1).num_parameters() / 1e6:.1f}M" == name


def test_raw_text_of_one_language_holds_no_other() -> None:
    words = tokenizer()
    assert language_of(words.decode(raw_text(1, 4_000, "en"))) == "en"
    documents = words.decode(raw_text(1, 4_000, "zh")).split(words.pad_token)
    assert {language_of(document) for document in documents[:-1]} == {"zh"}
    assert len(raw_text(1, 4_000)) == 4_000


def test_a_smaller_share_of_a_text_is_its_beginning_in_whole_blocks() -> None:
    ids = np.arange(200 * range_and_data.BLOCK)
    assert len(range_and_data.share_of(ids, 10)) == 20 * range_and_data.BLOCK
    assert np.array_equal(
        range_and_data.share_of(ids[: 50 * range_and_data.BLOCK], 1), ids[: range_and_data.BLOCK]
    )


def test_the_loss_of_an_untrained_model_is_that_of_chance() -> None:
    loss = text_loss(new_model("0.3M", 1), raw_text(1, 4 * BLOCK), 2)
    assert abs(loss - np.log(4096)) < 0.3


def range_measured(small_training: float, large_gap: float) -> dict[str, Any]:
    def seeds(training: float, gap: float) -> list[dict[str, float]]:
        return [{"training": training + d, "held_out": training + gap + d, "before": 8} for d in (0, 0.01)]

    return {
        "0.3M": {"1": seeds(small_training, 0.5), "100": seeds(small_training, 0.1)},
        "4.9M": {"1": seeds(0.2, large_gap), "100": seeds(1, 0.1)},
    }


def test_range_and_data_holds_only_if_small_underfits_and_large_overfits() -> None:
    assert range_and_data.report(range_measured(3, 5)).verdict == "held"
    assert range_and_data.report(range_measured(1, 5)).verdict == "partly"
    assert range_and_data.report(range_measured(3, 0.5)).verdict == "partly"


def test_demonstrations_are_of_the_wanted_languages_and_think_where_steps_are_needed() -> None:
    draw = kinds_by_share({"concept": 1, "multiplication": 1})
    rows = list(islice(demonstrations(1, draw, ("zh",)), 20))
    assert all(
        language_of(row["messages"][-1]["content"] + row["answer"]) == "zh"
        for row in rows
        if not row["think"]
    )
    assert {bool(row["thought"]) for row in rows if row["think"]} == {True}
    assert {bool(row["thought"]) for row in rows if not row["think"]} == {False}
    assert kinds_by_share({"identity": 1})(random.Random(1)) in TALK


def pairs_measured(pretrained: list[int], random_start: list[int]) -> dict[str, Any]:
    return {
        start: {
            str(count): [{"concept": [right, 100]}]
            for count, right in zip((0, 500, 5_000, 50_000), curve, strict=True)
        }
        for start, curve in (("pretrained", pretrained), ("random", random_start))
    }


def test_scarce_pairs_holds_only_if_raw_text_saves_nine_of_ten() -> None:
    assert scarce_pairs.report(pairs_measured([0, 40, 80, 90], [0, 0, 10, 70])).verdict == "held"
    assert scarce_pairs.report(pairs_measured([0, 40, 60, 90], [0, 0, 10, 70])).verdict == "partly"
    assert scarce_pairs.report(pairs_measured([0, 0, 10, 70], [0, 0, 10, 70])).verdict == "not held"


def languages_measured(other: int, alone: int, own: int = 80) -> dict[str, Any]:
    def arm(english: int, chinese: int) -> list[dict[str, list[int]]]:
        return [{"concept en": [english, 100], "concept zh": [chinese, 100]}]

    return {
        "before": arm(0, 2),
        "en": arm(own, other),
        "zh": arm(other, own),
        "english base": arm(80, alone),
    }


def test_two_languages_holds_only_with_half_of_the_gain_and_none_for_a_base_of_one_language() -> None:
    assert two_languages.report(languages_measured(50, 0)).verdict == "held"
    assert two_languages.report(languages_measured(20, 0)).verdict == "partly"
    assert two_languages.report(languages_measured(50, 50)).verdict == "partly"
    assert two_languages.report(languages_measured(1, 0)).verdict == "not held"
    # A model that has learned little in its own language has little to carry over, whatever is seen.
    assert two_languages.report(languages_measured(30, 0, own=40)).verdict == "untested"


def sweep_measured(losses: dict[float, float | None], warm: float) -> dict[str, Any]:
    rates = [
        {"rate": rate, "rank": 32, "warmup": 0.03, "losses": [loss, loss]} for rate, loss in losses.items()
    ]
    return {"before": [5.0, 5.0], "settings": [*rates, {**rates[1], "warmup": 0.3, "losses": [warm, warm]}]}


def test_a_loss_above_that_before_training_or_none_has_diverged() -> None:
    assert loss_and_optimisation.figure_of({"losses": [1.0, None]}, [5.0, 5.0]) is None
    assert loss_and_optimisation.figure_of({"losses": [1.0, 5.1]}, [5.0, 5.0]) is None


def test_loss_and_optimisation_holds_with_a_flat_region_between_too_low_and_too_high() -> None:
    report = loss_and_optimisation.report
    sweep: dict[float, float | None] = {1e-4: 4.0, 1.5e-3: 1.05, 6e-3: 1.0, 1e-1: None}
    assert report(sweep_measured(sweep, 1.1)).verdict == "held"
    assert "1.5e-03" not in report(sweep_measured(sweep, 1.1)).finding.en
    assert "from a learning rate of 0.0015 to 0.006" in report(sweep_measured(sweep, 1.1)).finding.en
    assert report(sweep_measured(sweep | {1e-1: 3.0}, 1.1)).verdict == "partly"
    assert report(sweep_measured(sweep, 4.5)).verdict == "partly"


def test_the_loss_of_a_sweep_is_that_of_the_completions_alone() -> None:
    rows = list(islice(demonstrations(1, kinds_by_share({"identity": 1})), 2))
    loss = loss_and_optimisation.completion_loss(new_model("0.3M", 1), rows)
    assert abs(loss - np.log(4096)) < 0.5


def models_measured(**right: int) -> dict[str, Any]:
    """Of 100 tasks, how many each model gets right; "small-aligned" and the others share as many as they can."""
    counts = dict.fromkeys(alignment_beats_size.NAMES, 0) | {
        name.replace("_", "-"): count for name, count in right.items()
    }
    return {
        "kinds": ["concept"] * 100,
        "right": {model: [[1] * count + [0] * (100 - count)] for model, count in counts.items()},
        "pairs": [7],
    }


def test_alignment_beats_size_in_part_where_examples_in_the_prompt_do_as_well() -> None:
    report = alignment_beats_size.report
    assert report(models_measured(small_aligned=60, large=5, large_prompted=30)).verdict == "held"
    assert report(models_measured(small_aligned=60, large=5, large_prompted=60)).verdict == "partly"
    assert report(models_measured(small_aligned=5, large=5)).verdict == "not held"
    text = report(models_measured(small_aligned=60, large=5)).finding.en
    assert "100.0 % [93.5, 100.0] of 55 tasks" in text


def test_a_prompt_of_raw_text_ends_in_the_task_after_two_solved_ones() -> None:
    task = alignment_beats_size.select_tasks(("multiplication",), 1, 1)[0]
    text = alignment_beats_size.section_prompt(task, random.Random(1))
    assert text.endswith(f"<|im_start|>worked example\n{task.question}\n")
    assert text.count("</think>") == text.count("<|im_end|>") == alignment_beats_size.SHOTS
