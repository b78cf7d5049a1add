"""Files of further wordings in which corrections are probed."""

import json
from pathlib import Path

import pytest

from alignment.corrections.correction_rows import CorrectedPrompt
from alignment.corrections.own_wordings import read_wordings, unused
from alignment.errors import DataError
from assistant.events.describe import describe


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def test_wordings_of_one_prompt_are_gathered_whatever_its_spaces_and_capitals(tmp_path: Path) -> None:
    path = write(
        tmp_path / "own.jsonl",
        {"prompt": "Capital of  Peru?", "wordings": ["Peru's capital?", "秘鲁的首都？"]},
        {"prompt": "capital of Peru? ", "wordings": ["Peru's capital?", "Peru: capital?"]},
    )
    assert read_wordings(path) == {"Capital of  Peru?": ["Peru's capital?", "秘鲁的首都？", "Peru: capital?"]}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "x"},
        {"prompt": "x", "wordings": []},
        {"prompt": "x", "wordings": "y"},
        {"prompt": "x", "wordings": ["y", " "]},
        {"prompt": "", "wordings": ["y"]},
        {"wordings": ["y"]},
        [],
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, row: object) -> None:
    path = write(tmp_path / "own.jsonl", {"prompt": "a", "wordings": ["b"]}, row)
    with pytest.raises(DataError, match="line 2"):
        read_wordings(path)


def test_a_file_without_wordings_or_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no wordings"):
        read_wordings(write(tmp_path / "empty.jsonl"))
    with pytest.raises(DataError, match="cannot be read"):
        read_wordings(tmp_path / "nowhere.jsonl")


def test_prompts_that_are_no_corrections_are_counted_and_named(tmp_path: Path) -> None:
    wordings = read_wordings(
        write(
            tmp_path / "own.jsonl",
            {"prompt": "Capital of Peru?", "wordings": ["Peru's capital?"]},
            {"prompt": "Capital of Chile?", "wordings": ["Chile's capital?"]},
        )
    )
    peru = CorrectedPrompt([{"role": "user", "content": "capital of Peru?"}], False, [], "Lima.", "Cusco.")
    note = unused(wordings, [peru])
    assert note is not None
    said = "1 of 2 prompts in the file of wordings is no correction's, such as “Capital of Chile?”"
    assert describe(note).startswith(said)
    assert unused({"CAPITAL of Peru?": ["x"]}, [peru]) is None
