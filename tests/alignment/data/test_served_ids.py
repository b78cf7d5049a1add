"""Replies imported from another system have no token ids; their texts are rendered and trained on."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.tiny_home import tiny_home
from transformers import AutoTokenizer

from alignment.__main__ import main
from alignment.cycle import recorded_votes
from alignment.data import served_ids, token_pairs
from alignment.data.splits import half_of, is_held_out
from alignment.evaluation import held_out_judgements
from alignment.scoring import reward_model
from assistant.bases.base import STARTER_FOLDER
from assistant.registry.versions import Versions
from assistant.serving import prompt
from feedback_store import FeedbackStore, rows
from feedback_store.importers import import_file


def question(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"What is {number} + 2?"}]


def reply(answer: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": answer}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with twelve thumbs, alternately up and down, and twelve preferences, imported in TRL's format."""
    home = tiny_home(tmp_path_factory.mktemp("imported"))
    lines: list[dict[str, Any]] = []
    for n in range(12):
        lines.append({"prompt": question(n), "completion": reply(f"{n + 2} apples"), "label": n % 2 == 0})
        lines.append(
            {"prompt": question(n + 50), "chosen": reply(f"{n + 52} apples"), "rejected": reply(f"{n + 52}")}
        )
    file = home / "trl.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
    with FeedbackStore.open_home(home) as store:
        import_file(store, "trl", file)
    return home


def test_imported_thumbs_and_pairs_have_the_token_ids_that_would_have_been_served(home: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")
    with FeedbackStore.open_home(home) as store:
        thumbs = {row.answer: row for row in served_ids.with_token_ids(rows.unpaired_rows(store), tokenizer)}
        imported = token_pairs.pairs_of_store(rows.preferences(store), tokenizer)
    assert thumbs["5 apples"].prompt_ids == prompt.render(tokenizer, question(3), think=False)
    assert thumbs["5 apples"].completion_ids == prompt.completion(tokenizer, "", "5 apples", think=False)
    (pair,) = [item for item in imported if item.messages == question(53)]
    assert pair.prompt_ids == prompt.render(tokenizer, question(53), think=False)
    assert [pair.chosen_ids, pair.rejected_ids] == [
        prompt.completion(tokenizer, "", answer, think=False) for answer in ("55 apples", "55")
    ]


def test_kto_dpo_and_reward_learn_from_all_imported_feedback(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_out_thumbs = sum(is_held_out(question(n)) for n in range(12))
    held_out_pairs = sum(is_held_out(question(n + 50)) for n in range(12))
    up = sum(not is_held_out(question(n)) for n in range(0, 12, 2))
    down = sum(not is_held_out(question(n)) for n in range(1, 12, 2))
    expected = {
        "kto": f"rows: {up} up, {down} down; {held_out_thumbs} held out, 0 too long",
        "dpo": f"rows: {12 - held_out_pairs} pairs; {held_out_pairs} held out, 0 too long, 0 tied",
        "reward": f"rows: {12 - held_out_pairs} pairs, {up} up, {down} down; "
        f"{held_out_thumbs + held_out_pairs} held out, 0 too long",
    }
    for stage, line in expected.items():
        assert main([stage, "--home", str(home), "--dry_run"]) == 0
        assert line in capsys.readouterr().out


def test_the_gate_reads_the_held_out_ones(home: Path) -> None:
    _, judgements = held_out_judgements.from_store(home, Versions(home).open("v1"))
    numbers = [*range(12), *range(50, 62)]
    assert len(judgements) == sum(is_held_out(question(n)) for n in numbers) > 0
    assert all(judgement.prompt_ids and judgement.first for judgement in judgements)


def test_a_reward_model_scores_the_rendered_token_ids(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[list[int]] = []

    def scores(sequences: list[list[int]]) -> list[float]:
        scored.extend(sequences)
        return [float(number) for number in range(len(sequences))]

    scores.window = 256  # type: ignore[attr-defined]
    monkeypatch.setattr(reward_model, "load", lambda *_: scores)
    with FeedbackStore.open_home(home) as store:
        agreed = recorded_votes.agreement(home, {"a": "v1"}, list(recorded_votes.thumbs(store)))
    others = [n for n in range(12) if half_of(question(n)) != "a"]
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")
    prompts = [prompt.render(tokenizer, question(n), think=False) for n in others]
    completions = [prompt.completion(tokenizer, "", f"{n + 2} apples", think=False) for n in others]
    assert sorted(scored) == sorted(
        before + after for before, after in zip(prompts, completions, strict=True)
    )
    # Of an odd number, one score is the median and counts for nobody.
    assert sum(of for _, of in agreed.values()) == len(others) - len(others) % 2 > 0


def test_served_token_ids_are_kept_and_those_of_another_vocabulary_are_rendered_anew() -> None:
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")

    def row(answer: str, prompt_ids: list[int], completion_ids: list[int]) -> rows.UnpairedRow:
        return rows.UnpairedRow(
            "id", question(3), False, None, answer, prompt_ids, completion_ids, True, 1, "v1", "end"
        )

    drawn, empty = served_ids.with_token_ids([row("5", [1, 2], [3]), row("", [1, 2], [])], tokenizer)
    assert (drawn.prompt_ids, drawn.completion_ids) == ([1, 2], [3])
    assert (empty.prompt_ids, empty.completion_ids) == ([1, 2], [])
    (foreign,) = served_ids.with_token_ids([row("5", [49_000, 1], [49_001])], tokenizer)
    assert foreign.prompt_ids == prompt.render(tokenizer, question(3), think=False)
    assert foreign.completion_ids == prompt.completion(tokenizer, "", "5", think=False)
