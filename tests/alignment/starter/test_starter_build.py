"""The starter's build, small but with every real step, goes on after a kill."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import warm_process
from helpers.running_app import ROOT
from helpers.starter_tasks import check

from alignment.starter import card, corpus, practice, tokenizer
from alignment.starter.__main__ import StarterRecipe, build, install
from alignment.starter.tasks import word_problems
from alignment.starter.tasks.drawn_task import LANGUAGES, Language
from assistant.bases.base import STARTER_FOLDER
from feedback_store.hashing import sha256_file

# With one step a course would have a learning rate of zero, where its schedule begins.
TINY = StarterRecipe(
    vocabulary=600, hidden=32, layers=1, intermediate=48, heads=1, key_value_heads=1, window=1024, block=64,
    pretrain_tokens=8_192, demonstrations=32, practised=96,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _small_tokenizer_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alignment.starter.__main__.TOKENIZER_TEXTS", 200)


def test_the_corpus_is_seeded_and_speaks_both_languages() -> None:
    def first(seed: int) -> list[str]:
        return list(itertools.islice(corpus.documents(seed), 50))

    assert first(1) == first(1)
    assert first(1) != first(2)
    text = "".join(first(1))
    assert "worked example" in text
    assert "例题" in text


def test_about_half_of_the_word_problems_name_their_unit() -> None:
    rng = random.Random(1)
    tasks = [corpus.task(rng, "en", "word_two_step", "train") for _ in range(1000)]
    bare = sum(corpus.spoken_answer(rng, task).isdigit() for task in tasks)
    assert 400 < bare < 600


def test_raw_text_holds_no_messages_of_a_conversation() -> None:
    for document in itertools.islice(corpus.documents(3), 500):
        assert "<|im_start|>assistant" not in document
        assert "<|im_start|>user" not in document


def test_a_build_makes_base_and_adapter_and_repeats_no_step(tmp_path: Path) -> None:
    folder = tmp_path / "build"
    build(TINY, folder, compile_model=False)
    hashes = {
        name: sha256_file(folder / name)
        for name in ("base/model.safetensors", "adapter/adapter_model.safetensors")
    }
    build(TINY, folder, compile_model=False)
    assert hashes == {name: sha256_file(folder / name) for name in hashes}
    install(folder, tmp_path / "starter")
    assert (tmp_path / "starter" / "base" / "model.safetensors").exists()
    record = json.loads((tmp_path / "starter" / "adapter" / "made.json").read_text())
    assert record["stage"] == "sft"
    assert record["data"]["demonstrations"] + record["data"]["too_long"] == TINY.practised
    assert record["data"]["continues"]["demonstrations"] > 0
    assert record["data"]["continues"]["hash"] != record["data"]["hash"]
    taught, practised = (
        sha256_file(folder / name / "adapter_model.safetensors") for name in ("taught", "adapter")
    )
    assert taught != practised


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_second_course_takes_training_tasks_only_and_every_story_equally_often(
    language: Language,
) -> None:
    rng = random.Random(7)
    tasks = [practice.practised(rng, language, "train") for _ in range(6000)]
    assert {task.split for task in tasks} == {"train"}
    two_steps = [task for task in tasks if task.kind == "word_two_step"]
    allowed = {
        word_problems.template_id(language, phrasing)
        for phrasing in word_problems.phrasings_of(language, 2, "train")
    }
    assert {task.template for task in two_steps} <= allowed
    stories = Counter(task.expected["operands"][0] for task in two_steps)
    assert min(stories.values()) > len(two_steps) / len(stories) / 3
    odd = [task for task in tasks if task.template == "odd"]
    assert len(odd) > 50
    assert all(check(task, task.answer).correct for task in odd)


def test_a_build_with_another_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(SystemExit, match="another recipe"):
        build(TINY, tmp_path, compile_model=False)


def test_an_unfinished_build_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no base"):
        install(tmp_path, tmp_path / "starter")


def test_the_tokenizer_keeps_digits_apart_and_template_switches_thinking() -> None:
    made = tokenizer.train(["12 12 12 加 加 hello hello"] * 20, 300)
    assert made.convert_ids_to_tokens(made("1212").input_ids) == ["1", "2", "1", "2"]
    turns = [{"role": "user", "content": "hi"}]
    on = made.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    off = made.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    assert off == on + "<think>\n\n</think>\n\n"


KILLED = """
import sys
from pathlib import Path
import alignment.starter.__main__ as starter
from alignment.stages import pretrain
sys.path[:0] = ["tests", "tests/alignment/starter"]
from test_starter_build import TINY
starter.TOKENIZER_TEXTS = 200
recipe = pretrain.PretrainRecipe
pretrain.PretrainRecipe = lambda **given: recipe(**{**given, "save_steps": 4})
starter.build(TINY, Path(sys.argv[1]), compile_model=False)
"""


@pytest.mark.slow
def test_a_killed_build_goes_on_to_the_weights_of_one_that_was_not_killed(tmp_path: Path) -> None:
    def start(folder: Path, start: Callable[..., Any] = warm_process.start) -> Any:
        return start(
            [sys.executable, "-c", KILLED, str(folder)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    # Not in a fork as the others: sets of strings have another order in it, which must not matter.
    assert start(whole, subprocess.Popen).wait(timeout=200) == 0
    process = start(killed)
    deadline = time.monotonic() + 120
    while not list(killed.glob("pretrain/checkpoint-*/trainer_state.json")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert start(killed).wait(timeout=200) == 0
    assert np.array_equal(np.load(whole / "raw.npy"), np.load(killed / "raw.npy"))
    for name in ("base/model.safetensors", "adapter/adapter_model.safetensors"):
        assert sha256_file(whole / name) == sha256_file(killed / name)


def test_the_card_says_what_the_build_and_the_evaluations_measured(tmp_path: Path) -> None:
    def evaluation(name: str, **cells: float) -> Path:
        path = tmp_path / f"{name}.json"
        written = [
            {
                "kind": kind.partition("__")[0],
                "measure": kind.partition("__")[2] or "correct",
                "language": "en",
                "think": True,
                "of": 200,
                "share": share,
                "low": share - 0.01,
                "high": share + 0.01,
            }
            for kind, share in cells.items()
        ]
        path.write_text(json.dumps({"cells": written, "temperature": 0.8}), encoding="utf-8")
        return path

    folder = tmp_path / "starter"
    shutil.copytree(STARTER_FOLDER, folder)
    made = json.loads((folder / "base" / "made.json").read_text(encoding="utf-8"))
    path = card.write(
        evaluation("v1", addition=0.975, word_two_step__unit=0.515),
        evaluation("base", addition=0.025, **{"all kinds__asks": 0.9}),
        evaluation("sampled", multiplication_hard=0.62, **{"multiplication_hard__pass@8": 0.93}),
        evaluation("hand_worded", word_two_step=0.41),
        "a laptop",
        "2026-11-24",
        folder,
    )
    text = path.read_text(encoding="utf-8")
    assert "| addition | 97.5 [96.5, 98.5] | - | - | - |" in text
    assert "| addition, correct | 2.5 [1.5, 3.5] | - | - | - |" in text
    assert "| all kinds, asks | 90.0 [89.0, 91.0] | - | - | - |" in text
    assert "| word two step | 51.5 [50.5, 52.5] | - | - | - |" in text
    assert "| multiplication hard, pass@8 | 93.0 [92.0, 94.0] | - | - | - |" in text
    assert "any of 8 answers" in text
    assert "| word two step | 41.0 [40.0, 42.0] | - | - | - |" in text
    assert f"{made['metrics']['loss']:.3f}" in text
    assert "{" not in text
