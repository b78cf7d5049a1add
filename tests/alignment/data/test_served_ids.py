"""Replies that were imported from another system bring no token ids, and are trained on all the same."""

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
from assistant.registry.versions import STARTER_FOLDER, Versions
from assistant.serving import prompt
from feedback_store import FeedbackStore, rows
from feedback_store.importers import import_file


def ask(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"What is {number} + 2?"}]


def say(answer: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": answer}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve thumbs, in turn up and down, and twelve preferences, all in TRL's format and imported."""
    place = tiny_home(tmp_path_factory.mktemp("imported"))
    given: list[dict[str, Any]] = []
    for n in range(12):
        given.append({"prompt": ask(n), "completion": say(f"{n + 2} apples"), "label": n % 2 == 0})
        given.append({"prompt": ask(n + 50), "chosen": say(f"{n + 52} apples"), "rejected": say(f"{n + 52}")})
    file = place / "trl.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    with FeedbackStore.open_home(place) as store:
        import_file(store, "trl", file)
    return place


def test_imported_thumbs_and_pairs_have_the_tokens_that_would_have_been_served(home: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")
    with FeedbackStore.open_home(home) as store:
        thumbs = {row.answer: row for row in served_ids.with_token_ids(rows.from_store(store), tokenizer)}
        found = token_pairs.pairs_of_store(rows.preferences(store), tokenizer)
    assert thumbs["5 apples"].prompt_ids == prompt.render(tokenizer, ask(3), think=False)
    assert thumbs["5 apples"].completion_ids == prompt.completion(tokenizer, "", "5 apples", think=False)
    (pair,) = [one for one in found if one.messages == ask(53)]
    assert pair.prompt_ids == prompt.render(tokenizer, ask(53), think=False)
    assert [pair.chosen_ids, pair.rejected_ids] == [
        prompt.completion(tokenizer, "", answer, think=False) for answer in ("55 apples", "55")
    ]


def test_kto_dpo_and_reward_learn_from_all_of_them(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aside = sum(is_held_out(ask(n)) for n in range(12)), sum(is_held_out(ask(n + 50)) for n in range(12))
    up = sum(not is_held_out(ask(n)) for n in range(0, 12, 2))
    down = sum(not is_held_out(ask(n)) for n in range(1, 12, 2))
    counted = {
        "kto": f"rows: {up} up, {down} down; {aside[0]} held out, 0 too long",
        "dpo": f"rows: {12 - aside[1]} pairs; {aside[1]} held out, 0 too long, 0 tied",
        "reward": f"rows: {12 - aside[1]} pairs, {up} up, {down} down; {sum(aside)} held out, 0 too long",
    }
    for stage, said in counted.items():
        assert main([stage, "--home", str(home), "--dry_run"]) == 0
        assert said in capsys.readouterr().out


def test_the_gate_hears_those_that_are_held_out(home: Path) -> None:
    _, judged = held_out_judgements.from_store(home, Versions(home).open("v1"))
    aside = [n for n in range(12) if is_held_out(ask(n))] + [n for n in range(12) if is_held_out(ask(n + 50))]
    assert len(judged) == len(aside) > 0
    assert all(one.prompt_ids and one.first for one in judged)


def test_a_judge_hears_them_as_it_hears_what_was_served(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[list[int]] = []

    def scores(sequences: list[list[int]]) -> list[float]:
        heard.extend(sequences)
        return [float(len(heard))] * len(sequences)

    monkeypatch.setattr(reward_model, "load", lambda *_: scores)
    with FeedbackStore.open_home(home) as store:
        agreed = recorded_votes.agreement(home, {"a": "v1"}, list(recorded_votes.thumbs(store)))
    others = [n for n in range(12) if half_of(ask(n)) != "a"]
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")
    asked = [prompt.render(tokenizer, ask(n), think=False) for n in others]
    said = [prompt.completion(tokenizer, "", f"{n + 2} apples", think=False) for n in others]
    assert sorted(heard) == sorted(before + after for before, after in zip(asked, said, strict=True))
    assert sum(of for _, of in agreed.values()) == len(others) > 0


def test_served_tokens_stay_as_they_were_drawn_and_silence_is_not_rendered() -> None:
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")

    def row(answer: str, prompt_ids: list[int], completion_ids: list[int]) -> rows.UnpairedRow:
        return rows.UnpairedRow(
            "id", ask(3), False, None, answer, prompt_ids, completion_ids, True, 1, "v1", "end"
        )

    drawn, silent = served_ids.with_token_ids([row("5", [1, 2], [3]), row("", [1, 2], [])], tokenizer)
    assert (drawn.prompt_ids, drawn.completion_ids) == ([1, 2], [3])
    assert (silent.prompt_ids, silent.completion_ids) == ([1, 2], [])
