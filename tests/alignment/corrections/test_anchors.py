"""Anchors: what the parent expects at its answers, and how far a model has moved from it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_home import tiny_home

from alignment.corrections import anchors as anchoring
from alignment.data.prompts import drawn
from alignment.evaluation.retention import divergences
from assistant.registry.versions import Versions
from assistant.serving import prompt
from assistant.serving.loading import load_for_serving

ROWS = [([5, 6, 7], [8, 9, 10, 11]), ([12, 13], [14, 15])]


@pytest.fixture
def loaded(tmp_path: Path) -> Any:
    return load_for_serving(Versions(tiny_home(tmp_path)).open("v1"), tmp_path)


def moved(loaded: Any) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return loaded.model


def test_the_parent_has_not_moved_from_itself(loaded: Any) -> None:
    anchors = anchoring.anchors_at(loaded.model, ROWS)

    assert float(anchoring.divergence(loaded.model, anchors)) == pytest.approx(0, abs=1e-5)


def test_the_divergence_is_a_lower_bound_and_exact_with_the_whole_vocabulary(
    loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = anchoring.anchors_at(loaded.model, ROWS)
    monkeypatch.setattr(anchoring, "TOP", 10**9)
    all_tokens = anchoring.anchors_at(loaded.model, ROWS)
    parent = load_for_serving(Versions(tmp_path).open("v1"), tmp_path).model
    model = moved(loaded)

    by_row = divergences(parent, model, ROWS)
    exact = (4 * by_row[0] + 2 * by_row[1]) / 6

    assert float(anchoring.divergence(model, all_tokens)) == pytest.approx(exact, rel=1e-3)
    assert 0 < float(anchoring.divergence(model, few)) <= exact * 1.001


def test_greedy_answers_are_each_prompt_s_own(loaded: Any) -> None:
    prompts = [
        prompt.render(loaded.tokenizer, [{"role": "user", "content": text}], think=False)
        for text in ("A much longer question than the other one?", "Short?")
    ]

    together = anchoring.greedy_answers(loaded, prompts)
    alone = [anchoring.greedy_answers(loaded, [ids])[0] for ids in prompts]

    assert together == alone
    assert all(len(answer) <= anchoring.LONGEST for _, answer in together)


def test_a_continued_run_reads_the_anchors_that_were_written(loaded: Any, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    anchors = anchoring.anchors_at(loaded.model, ROWS)

    assert anchoring.read_anchors(folder) is None
    anchoring.write_anchors(anchors, folder)
    again = anchoring.read_anchors(folder)

    assert again is not None
    for read, written in zip(again, anchors, strict=True):
        assert (read.prompt_ids, read.completion_ids) == (written.prompt_ids, written.completion_ids)
        assert torch.equal(read.tokens, written.tokens)
        assert torch.equal(read.log_probabilities, written.log_probabilities)


def test_every_anchor_is_drawn_once_before_any_comes_again(loaded: Any) -> None:
    anchors = anchoring.anchors_at(loaded.model, [([5], [number]) for number in range(6, 11)])

    numbers = [
        anchor.completion_ids[0] for step in range(5) for anchor in drawn(anchors, step, 2, "anchors 1")
    ]

    assert sorted(numbers[:5]) == sorted(numbers[5:]) == [6, 7, 8, 9, 10]
    assert numbers[:5] != numbers[5:]
