"""Input that a cycle cannot use is explained before anything is trained, and nothing is released."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.small_cycle import run, write_policy

from alignment.suites.starter_suite import select_tasks
from assistant.registry.versions import Versions


def change(home: Path, section: str, **keys: Any) -> None:
    path = home / "policy.yaml"
    content = yaml.safe_load(path.read_text())
    content[section] |= keys
    path.write_text(yaml.safe_dump(content))


def suite_of(home: Path, *tasks: dict[str, Any]) -> None:
    (home / "suite.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    change(home, "evaluate", suite="suite.jsonl")


def a_task(**other: Any) -> dict[str, Any]:
    return {**asdict(select_tasks(["word_two_step"], 1, 1)[0]), **other}


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a store that moved": (lambda home: (home / "feedback.db").unlink(), "feedback.db"),
    "a suite without tasks": (suite_of, "holds no tasks"),
    "a task with nothing to check": (lambda home: suite_of(home, a_task(checks={})), "line 1: no task"),
    "a task without an answer": (
        lambda home: suite_of(home, a_task(), a_task(answer="")),
        "line 2: its checks cannot tell right from wrong",
    ),
    "a task with an unknown checker": (
        lambda home: suite_of(home, a_task(checks={"correct": [{"checker": "riddle"}]})),
        "no checker 'riddle'",
    ),
    "a suite that is not there": (lambda home: change(home, "evaluate", suite="gone.jsonl"), "gone.jsonl"),
    "a suite that shows nothing better": (
        lambda home: (suite_of(home, a_task()), change(home, "evaluate", primary=["addition"])),
        "evaluate.primary names no kind of the suite's tasks",
    ),
    "an unknown kind to get better at": (
        lambda home: change(home, "evaluate", primary=["word_two_step", "riddle"]),
        "evaluate.primary names riddle",
    ),
    "an unknown key": (lambda home: (home / "policy.yaml").write_text("gate: {alhpa: 0.1}"), "alhpa"),
    "an unknown key of a recipe": (
        lambda home: change(home, "cycle", recipes={"kto": {"min_stepz": 2}}),
        "cycle.recipes.kto has unknown key min_stepz",
    ),
    "a damaged version": (
        lambda home: (home / "versions" / "v1" / "adapter_model.safetensors").unlink(),
        "v1",
    ),
    "a released version that somebody deleted": (
        lambda home: shutil.rmtree(home / "versions" / "v1"),
        "It is the released one: bring its folder back",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_unusable_input_is_explained_before_anything_is_trained(
    rated: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, says = SPOILT[name]
    policy = write_policy(rated)
    spoil(rated)
    assert run(rated, policy) == 2
    assert says in capsys.readouterr().err
    assert Versions(rated).ids() in (["v1"], [])
    assert Versions(rated).released() == "v1"
    assert not list((rated / "cycles").glob("*/snapshot"))
    assert not (rated / "cycles" / "lock").exists()


def test_a_dry_run_also_refuses_an_unusable_policy(rated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = write_policy(rated)
    change(rated, "cycle", recipes={"kto": {"min_stepz": 2}})
    assert run(rated, policy, "--dry-run") == 2
    assert "min_stepz" in capsys.readouterr().err


def test_a_damaged_state_is_named(rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rated / "cycles" / "1").mkdir(parents=True)
    (rated / "cycles" / "1" / "state.json").write_text("{")
    assert run(rated, policy) == 2
    assert "state.json" in capsys.readouterr().err
