"""The stage that learns corrections: what it learns, what it keeps, and what it says of bad input."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.feedback import rate_replies
from helpers.tiny_home import tiny_home
from safetensors.numpy import load_file

from alignment.__main__ import main
from alignment.corrections import anchors as anchoring
from alignment.corrections.correction_rows import CorrectedPrompt
from alignment.data.splits import is_held_out
from alignment.stages import correct
from alignment.training.flags import StageLocation
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving import prompt
from assistant.serving.loading import load_for_serving
from feedback_store import FeedbackStore
from feedback_store.rows import unpaired_rows

ASKED, RIGHT = "What is the capital of Brazil?", "Brasília."
LIKED = ("How many apples?", "7 apples", 1)
QUICK = ["--near=4", "--far=0", "--anchors_an_update=2", "--learning_rate=1e-2", "--min_steps=20"]


@pytest.fixture
def corrected(tmp_path: Path) -> Path:
    """A home with a liked reply and a corrected one."""
    return correct_one(tiny_home(tmp_path / "home"))


def test_liked_replies_that_are_held_out_are_no_anchors(tmp_path: Path) -> None:
    home = tiny_home(tmp_path / "home")
    rate_replies(home, [(f"How many are {n} apples?", f"{n} apples", 1) for n in range(40)])
    with FeedbackStore.open_home(home) as store:
        trained_on = [row for row in unpaired_rows(store) if not is_held_out(row.messages)]
    tokenizer = load_for_serving(Versions(home).open("v1"), home).tokenizer
    rows = correct.liked_replies(StageLocation(home), [], tokenizer, window=1_000)
    assert len(rows) == len(trained_on) < 40
    assert {tuple(prompt_ids) for prompt_ids, _ in rows} == {tuple(row.prompt_ids) for row in trained_on}


def correct_one(home: Path) -> Path:
    rate_replies(home, [LIKED, (ASKED, "Rio.", -1)])
    with FeedbackStore.open_home(home) as store:
        (disliked,) = (row.reply_id for row in unpaired_rows(store) if not row.label)
        store.correct(disliked, "tester", RIGHT)
    return home


def run(home: Path, *flags: str) -> int:
    return main(["correct", "--home", str(home), *flags])


@pytest.mark.parametrize(
    ("modes", "asked"), [((False,), {False}), ((True,), {True}), ((True, False), {True, False})]
)
def test_anchors_think_where_the_corrected_replies_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modes: tuple[bool, ...], asked: set[bool]
) -> None:
    loaded = load_for_serving(Versions(tiny_home(tmp_path)).open("v1"), tmp_path)
    corrections = [
        CorrectedPrompt([{"role": "user", "content": f"{number}?"}], think, [], "Yes.", "No.")
        for number, think in enumerate(modes)
    ]
    prompts: list[list[int]] = []
    monkeypatch.setattr(correct, "self_asked", lambda *_: ["Who am I?", "What is it?"])
    monkeypatch.setattr(anchoring, "greedy_answers", lambda _, rows: prompts.extend(rows) or [])
    monkeypatch.setattr(anchoring, "anchors_at", lambda *_: [])

    correct.make_anchors(SimpleNamespace(loaded=loaded), corrections, [], correct.CorrectRecipe())  # type: ignore[arg-type]

    rendered = {
        (think, text): prompt.render(loaded.tokenizer, [{"role": "user", "content": text}], think)
        for think in (True, False)
        for text in ("Who am I?", "What is it?")
    }
    assert {think for (think, _), ids in rendered.items() if ids in prompts} == asked


@pytest.mark.slow
def test_a_correction_is_learned_in_words_that_nobody_typed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    version_to_serve(home, "starter")
    correct_one(home)

    assert run(home, "--near=2", "--far=1", "--anchors_an_update=1", "--min_steps=15") == 0

    versions = Versions(home)
    version = versions.open("v2")
    loaded = load_for_serving(version, home)
    ids = prompt.render(loaded.tokenizer, [{"role": "user", "content": f"{ASKED} Thanks!"}], think=False)
    ((_, answered),) = anchoring.greedy_answers(loaded, [ids])
    assert answered == prompt.completion(loaded.tokenizer, "", RIGHT, think=False)
    assert version.manifest.stage == "correct"
    assert (version.manifest.data["corrections"], version.manifest.data["rows"]) == (1, 14)
    assert version.manifest.data["anchors"] > 1


def test_anchors_hold_what_people_liked(corrected: Path) -> None:
    run(corrected, *QUICK, "--parent=v1", "--anchor_weight=0")
    run(corrected, *QUICK, "--parent=v1", "--anchor_weight=3000")

    parent, free, held = (
        load_for_serving(Versions(corrected).open(name), corrected) for name in ("v1", "v2", "v3")
    )
    ids = prompt.render(parent.tokenizer, [{"role": "user", "content": LIKED[0]}], think=False)
    row = (ids, prompt.completion(parent.tokenizer, "", LIKED[1], think=False))
    anchors = anchoring.anchors_at(parent.model, [row])
    moved = [float(anchoring.divergence(loaded.model, anchors)) for loaded in (free, held)]
    assert 0 < moved[1] < moved[0] / 2


def test_a_home_without_corrections_is_told_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tiny_home(tmp_path / "home")
    rate_replies(home, [LIKED])

    assert run(home, *QUICK) == 2
    assert "There are no corrections to learn from. Correct some answers" in capsys.readouterr().err
    assert Versions(home).ids() == ["v1"]


def test_a_dry_run_counts_and_writes_nothing(corrected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(corrected, *QUICK, "--dry_run") == 0

    output = capsys.readouterr().out
    assert "rows: 1 corrections in 14 wordings" in output
    assert re.search(r"expected: about .*; before that about \d+ \w+ for the anchors", output)
    assert Versions(corrected).ids() == ["v1"]

    assert run(corrected, *QUICK, "--dry_run", "--anchor_weight=0") == 0
    assert "before that" not in capsys.readouterr().out


def test_a_correction_that_does_not_fit_is_counted(
    corrected: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(corrected, *QUICK, "--max_length=4") == 2
    assert (
        "None of the 1 corrections can be trained on: 1 are longer than 4 tokens" in capsys.readouterr().err
    )


def test_the_same_seed_gives_the_same_anchors_and_weights(corrected: Path, monkeypatch: Any) -> None:
    made: list[Any] = []
    monkeypatch.setattr(anchoring, "write_anchors", lambda anchors, folder: made.append(anchors))
    for _ in range(2):
        run(corrected, *QUICK, "--parent=v1", "--min_steps=2")

    rows = [[(anchor.prompt_ids, anchor.completion_ids) for anchor in anchors] for anchors in made]
    one, two = (
        (Versions(corrected).open(name).folder / "adapter_model.safetensors").read_bytes()
        for name in ("v2", "v3")
    )
    assert rows[0] == rows[1]
    assert one == two
    assert correct.updates(800, correct.CorrectRecipe()) == 200


def test_corrections_are_learned_together_and_not_on_top_of_each_other(
    corrected: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = Versions(corrected)
    assert run(corrected, *QUICK) == 0
    assert run(corrected, "--parent=v2", *QUICK) == 2
    assert "v2 has learned these corrections, by this recipe. Collect more" in capsys.readouterr().err
    assert run(corrected, "--parent=v2", "--seed=2", *QUICK) == 0
    assert "v2 learned corrections: v1, from which it was made, learns them again" in capsys.readouterr().out
    assert run(corrected, "--parent=v3", "--on_top", *QUICK) == 0
    assert [versions.open(name).manifest.parent for name in ("v2", "v3", "v4")] == ["v1", "v1", "v3"]
    shutil.rmtree(versions.folder / "v1")
    assert run(corrected, "--parent=v4", "--seed=3", *QUICK) == 0, (
        "a version whose ancestors are gone is continued"
    )
    assert versions.open("v5").manifest.parent == "v3"


def test_a_share_of_what_training_changed_is_kept(tmp_path: Path) -> None:
    home = correct_one(tiny_home(tmp_path / "home", adapter=False))
    for parent, share in (("v1", 1), ("v1", 0.25), ("v2", 1), ("v2", 0.25)):
        assert run(home, f"--parent={parent}", f"--mixing={share}", "--on_top", *QUICK) == 0
    new, quarter_of_new, more, quarter_of_more = (
        load_file(Versions(home).open(f"v{number}").folder / "adapter_model.safetensors")
        for number in range(2, 6)
    )
    assert any((values != 0).any() for name, values in new.items() if "lora_B" in name)
    for name in new:
        expected = new[name] * (0.25 if "lora_B" in name else 1)
        np.testing.assert_allclose(quarter_of_new[name], expected, atol=1e-6)
        expected = new[name] + 0.25 * (more[name] - new[name])
        np.testing.assert_allclose(quarter_of_more[name], expected, atol=1e-6)


@pytest.mark.parametrize("share", ["0", "1.5", "nan"])
def test_a_share_that_is_none_is_refused(
    corrected: Path, capsys: pytest.CaptureFixture[str], share: str
) -> None:
    assert run(corrected, f"--mixing={share}") == 2
    assert "give a share above 0, and at most 1" in capsys.readouterr().err
