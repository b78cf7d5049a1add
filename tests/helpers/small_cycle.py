"""A cycle small enough for tests: its policy, a home with thumbs, and ways to kill it or to make the gate promote."""

import atexit
import json
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.feedback import apples, rate_replies
from helpers.tiny_home import tiny_home

from alignment.__main__ import main
from alignment.cycle import cycle_state
from alignment.evaluation import gate
from assistant.registry.versions import Versions

SMALL: dict[str, Any] = {
    "gate": {"minimum_prompts": 4},
    "evaluate": {
        "suite": "starter",
        "primary": ["word_two_step"],
        "each": 4,
        "guarded": 1,
        "retention": 4,
        "max_new_tokens": 4,
        "prompts": 4,
    },
    "cycle": {
        "minimum_feedback": 10,
        "minimum_thumbs": 10,
        "minimum_judgements": 1000,
        "stages": ["kto"],
        "recipes": {"kto": {"min_steps": 2, "epochs": 0.1, "batch_size": 8, "evaluations": 1}},
    },
}


def write_policy(folder: Path, **cycle_keys: Any) -> Path:
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump({**SMALL, "cycle": {**SMALL["cycle"], **cycle_keys}}))
    return path


def rated_home(home: Path) -> Path:
    """A tiny home with 24 thumbs: a copy of one that is made once."""
    shutil.copytree(_rated_template(), home, dirs_exist_ok=True)
    return home


@cache
def _rated_template() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rate_replies(tiny_home(folder), apples(24))
    return folder


def promote_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the gate promote every candidate, to test what follows: two steps of training improve nothing."""
    judge = gate.judge

    def promote(*arguments: Any) -> Any:
        _, level, reasons = judge(*arguments)
        better = [
            replace(reason, finding="better", p=0.001) if reason.kind == "primary" else reason
            for reason in reasons
        ]
        return "promote", level, better

    monkeypatch.setattr(gate, "judge", promote)


def hold_all(monkeypatch: pytest.MonkeyPatch, guards: gate.Finding) -> None:
    """Make the gate hold every candidate: no primary measure decides, and all guards have this finding."""
    judge = gate.judge

    def hold(*arguments: Any) -> Any:
        _, level, reasons = judge(*arguments)
        findings = {"primary": "undecided", "guard": guards}
        return "hold", level, [replace(reason, finding=findings[reason.kind]) for reason in reasons]

    monkeypatch.setattr(gate, "judge", hold)


def run(home: Path, policy: Path, *flags: str) -> int:
    return main(["cycle", "--home", str(home), "--policy", str(policy), *flags])


def state(home: Path, number: int = 1) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((home / "cycles" / str(number) / "state.json").read_text())
    return recorded


def add_twin(home: Path, name: str) -> None:
    """Another version with v1's weights."""
    versions = Versions(home)
    original = versions.open("v1")
    with versions.staging() as folder:
        for file in original.manifest.files:
            shutil.copy(original.folder / file, folder / file)
        versions.add(replace(original.manifest, id=name), folder)


class Killed(BaseException):
    """Stands for a kill: no code catches it."""


def run_killed_before_saving(key: str, home: Path, policy: Path) -> None:
    """Run a cycle that dies when a step has been done and is about to be written down."""
    save = cycle_state.Journal.save

    def dying(self: cycle_state.Journal, **new: Any) -> None:
        if key in new:
            raise Killed
        save(self, **new)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cycle_state.Journal, "save", dying)
        with pytest.raises(Killed):
            run(home, policy)
