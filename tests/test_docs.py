"""The documents say what is there: links lead somewhere, commands and flags exist, CI runs what the README says."""

import re
import sys
from pathlib import Path

import pytest
from helpers import warm_process
from helpers.paths import ROOT

from alignment.__main__ import COMMANDS, STAGES
from assistant.settings import Settings

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_local_link_leads_to_a_file(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_every_benchmark_that_a_document_names_is_there_with_the_flags_that_are_given() -> None:
    documents = "\n".join(document.read_text(encoding="utf-8").replace("\\\n", " ") for document in DOCUMENTS)
    commands = re.findall(r"python -m benchmarks\.([\w.]+)([^`\n]*)", documents)
    assert len({name for name, _ in commands}) > 10
    for name, arguments in commands:
        path = ROOT.joinpath("benchmarks", *name.split("."))
        path = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert path.is_file(), name
        for flag in re.findall(r"--[a-z][\w-]*", arguments):
            assert f'"{flag}"' in path.read_text(encoding="utf-8"), f"{name} {flag}"


def test_every_setting_is_in_the_reference() -> None:
    for name in Settings.model_fields:
        assert f"`--{name.replace('_', '-')}`" in REFERENCE
        assert f"`THUMBTUNE_{name.upper()}`" in REFERENCE


def test_the_reference_shows_the_flags_that_the_programs_have() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "reference.py"), "--check"]
    done = warm_process.run(command, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| `(?:--)?[a-z][^|]*\|.*\|$", REFERENCE, re.MULTILINE)
    assert len(rows) > 150
    assert not [row for row in rows if row.endswith("|  |")], "a flag without a meaning"


def test_every_stage_and_command_is_in_the_reference() -> None:
    for name in {**STAGES, **COMMANDS}:
        assert re.search(rf"^\| `{name}\b", REFERENCE, re.MULTILINE), name


def test_ci_runs_the_readmes_command_for_the_tests() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Install the rest and run the tests")[1]
    command = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)[0].strip()
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for step in command.split(" && "):
        assert step.replace("pip install -r", "pip install -q -r") in steps, step


def test_the_spaces_header_names_the_gradio_that_is_pinned() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    header = readme.split("---")[1]
    pinned = re.search(r"^gradio==(.+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned
    assert f"sdk_version: {pinned[1]}\n" in header
    assert "sdk: gradio\n" in header
    assert "app_file: app.py\n" in header


def test_no_figure_is_left_open() -> None:
    for document in DOCUMENTS:
        assert "@@" not in document.read_text(encoding="utf-8"), document.name
