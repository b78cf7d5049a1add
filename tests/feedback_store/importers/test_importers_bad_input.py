"""Damaged, truncated, wrongly encoded and huge files: the error names the cause, and the store stays correct."""

import gzip
import json
import shutil
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from helpers.import_samples import SAMPLES, STORED, sample
from helpers.paths import ROOT
from helpers.store_fixtures import contents

from feedback_store import FeedbackStore
from feedback_store.errors import ImportFailed, NothingUsable, StoreUnwritable
from feedback_store.importers import SYSTEMS, import_file
from feedback_store.importers.parsing import files, json_stream

TEXTS = [system for system in SYSTEMS if system != "chat-ui"]  # chat-ui's file is binary


# For tests of reading alone, which need not run on every database engine.
READING = pytest.mark.parametrize("engine_name", ["sqlite"])


def refused(store: FeedbackStore, system: str, path: Path) -> str:
    """The error message of an import that must fail and leave the store unchanged."""
    before = contents(store)
    with pytest.raises(ImportFailed) as error:
        import_file(store, system, path)
    assert contents(store) == before
    return str(error.value)


# Encodings


@READING
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("system", TEXTS)
def test_a_file_in_any_unicode_encoding_imports_the_same_rows(
    store: FeedbackStore, tmp_path: Path, system: str, encoding: str
) -> None:
    plain = sample(system, tmp_path)
    if system == "llama-factory":  # away from the dataset_info.json of the samples
        plain = Path(shutil.copy(plain, tmp_path))
    first = import_file(store, system, plain)
    other = tmp_path / "encoded"
    other.write_text(plain.read_text(encoding="utf-8"), encoding=encoding)
    again = import_file(store, system, other)
    assert (again.kept, again.unchanged) == (first.kept, first.kept)


@READING
@pytest.mark.parametrize("system", ["open-webui", "librechat", "feel", "gradio"])
def test_latin_1_is_refused_and_not_guessed(store: FeedbackStore, tmp_path: Path, system: str) -> None:
    text = sample(system, tmp_path).read_text(encoding="utf-8").replace("Hi", "Häh").replace("zee", "zée")
    path = tmp_path / "latin"
    path.write_bytes(text.encode("latin-1"))
    assert "Save it as UTF-8" in refused(store, system, path)


# Damage


@pytest.mark.parametrize(("engine_name", "system"), [pair for pair in STORED if pair[1] != "chat-ui"])
def test_a_file_cut_off_anywhere_is_refused_or_imported_up_to_the_cut(
    store: FeedbackStore, tmp_path: Path, system: str
) -> None:
    data = sample(system, tmp_path).read_bytes()
    path = tmp_path / "cut"
    for part in range(1, 12):
        path.write_bytes(data[: len(data) * part // 12])
        before = contents(store)
        try:
            report = import_file(store, system, path)
        except ImportFailed:
            assert contents(store) == before
        else:
            assert report.kept > 0
            assert not data.startswith((b"[", b"{\n")), "an incomplete array was imported as if complete"
    assert store.verify() == []


def test_the_error_of_a_cut_off_array_names_the_row(store: FeedbackStore, tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    path.write_text('[{"instruction": "a", "output": "b"}, {"instruction": "c", "outp')
    assert "from row 2 on" in refused(store, "llama-factory", path)
    path.write_text('[{"instruction": "a", "output": "b"}')
    assert "cut off at row 2" in refused(store, "llama-factory", path)


@READING
@pytest.mark.parametrize("after", ["]]", "] x", ',{"a":1}', "", ",]", " 1]"])
def test_an_invalid_end_of_an_array_is_refused(store: FeedbackStore, tmp_path: Path, after: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"instruction": "a", "output": "b"}' + after)
    refused(store, "llama-factory", path)


def test_one_bad_line_is_one_skipped_row(store: FeedbackStore, tmp_path: Path) -> None:
    good = json.dumps({"prompt": "a", "completion": "b"})
    deep = "[" * 100_000 + "]" * 100_000
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([good, good[:-5], "", "null", deep, '{"prompt": 1}', '{"prompt": "\\ud800"}']))
    report = import_file(store, "trl", path)
    assert (report.read, report.kept) == (6, 1)
    assert report.skipped == {
        "not JSON": 1,
        "row is not an object": 1,
        "nested too deeply": 1,
        "prompt is not a list, or is empty": 1,
        "prompt contains half a surrogate pair, which is not a character": 1,
    }
    assert report.first["not JSON"] == 2


def test_a_row_too_long_for_memory_is_skipped_in_lines_and_refused_in_arrays(
    store: FeedbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "LONGEST_ROW", 1_000)
    monkeypatch.setattr(json_stream, "CHUNK", 100)
    row, long = {"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "b" * 5_000}
    path = tmp_path / "rows"
    path.write_text("\n".join(json.dumps(line) for line in (row, long, row | {"prompt": "c"})))
    report = import_file(store, "trl", path)
    assert (report.kept, report.skipped.total(), report.read) == (2, 1, 3)
    path.write_text(json.dumps([row, long]))
    assert "Row 2 has more than 1,000 characters" in refused(store, "trl", path)


def test_a_deeply_nested_array_or_object_is_refused(store: FeedbackStore, tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000)
    assert "nested too deeply" in refused(store, "trl", path)
    path.write_text("{\n" + '"a":{' * 200_000)
    assert "nested too deeply" in refused(store, "trl", path)


def test_a_cut_off_gzip_file_is_refused(store: FeedbackStore, tmp_path: Path) -> None:
    packed = gzip.compress((SAMPLES / "trl.jsonl").read_bytes() * 50)
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(packed[:-20])
    assert "damaged gzip" in refused(store, "trl", path)
    path.write_bytes(packed[:30] + b"\xff" * 30 + packed[60:])
    refused(store, "trl", path)


def test_a_cut_off_parquet_file_is_refused(store: FeedbackStore, tmp_path: Path) -> None:
    data = sample("chat-ui", tmp_path).read_bytes()
    path = tmp_path / "cut.parquet"
    for size in (4, 100, len(data) - 1):
        path.write_bytes(data[:size])
        assert "damaged Parquet" in refused(store, "chat-ui", path)


def test_a_csv_with_an_open_quote_is_refused(store: FeedbackStore, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text((SAMPLES / "gradio.csv").read_text(encoding="utf-8") + '"[{""role"": ', encoding="utf-8")
    assert "not valid CSV from line" in refused(store, "gradio", path)


@pytest.mark.parametrize(("engine_name", "system"), STORED)
def test_a_missing_an_empty_and_a_foreign_file_are_reported(
    store: FeedbackStore, tmp_path: Path, system: str
) -> None:
    assert "cannot be read" in refused(store, system, tmp_path / "missing")
    assert "cannot be read" in refused(store, system, tmp_path)
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert "has no rows" in refused(store, system, path)
    path.write_text("name,age\nann,5\n\x00")
    assert "Nothing was imported" in refused(store, system, path)
    other = "hh-rlhf" if system != "hh-rlhf" else "open-webui"
    with pytest.raises(NothingUsable):
        import_file(store, system, sample(other, tmp_path))


# Failures during an import


def write_pairs(path: Path, number: int) -> Path:
    """Write a file of `number` preference pairs."""
    rows = [{"prompt": f"Question {n}", "chosen": f"yes {n}", "rejected": "no"} for n in range(number)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_an_import_stopped_by_the_store_reports_its_progress_and_can_be_continued(
    store: FeedbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feedback_store.importers import run_import

    path = write_pairs(tmp_path / "rows.jsonl", 10)
    write, calls = run_import.write, []

    def full_disk(*arguments: Any) -> Any:
        calls.append(1)
        outcome = write(*arguments)
        if len(calls) == 3:
            raise StoreUnwritable("The disk is full.")
        return outcome

    monkeypatch.setattr(run_import, "MOST_ROWS", 3)
    monkeypatch.setattr(run_import, "write", full_disk)
    with pytest.raises(ImportFailed, match=r"disk is full.*before row 7 are in the store \(6 kept\)"):
        import_file(store, "trl", path)
    assert store.counts()["conversations"] == 6
    assert store.verify() == []
    report = import_file(store, "trl", path)
    assert (report.kept, report.unchanged) == (10, 6)
    assert store.counts()["conversations"] == 10


KILLED = """
import os, signal, sys
from pathlib import Path
from feedback_store import FeedbackStore
from feedback_store.importers import run_import
write, calls = run_import.write, []
def killed(*arguments):
    outcome = write(*arguments)
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)  # written but not committed
    return outcome
run_import.write, run_import.MOST_ROWS = killed, 3
place = sys.argv[1]
with FeedbackStore.open(place if "://" in place else Path(place)) as store:
    run_import.import_file(store, "trl", Path(sys.argv[2]))
"""


def test_an_import_that_was_killed_and_run_again_adds_every_row_once(
    place: Path | str, tmp_path: Path
) -> None:
    path = write_pairs(tmp_path / "rows.jsonl", 10)
    process = subprocess.run([sys.executable, "-c", KILLED, str(place), str(path)], cwd=ROOT)
    assert process.returncode == -signal.SIGKILL
    with FeedbackStore.open(place) as store:
        assert store.verify() == []
        assert store.counts()["conversations"] == 6
        report = import_file(store, "trl", path)
        assert (report.kept, report.unchanged) == (10, 6)
        assert store.verify() == []
        assert store.counts()["comparisons"]["left"] == 10


# Size


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    row = json.dumps({"prompt": "p" * 200, "completion": "c" * 200})
    with path.open("w") as file:
        file.write("[" + row)
        for _ in range(20_000):
            file.write(",\n" + row)
        file.write("]")
    tracemalloc.start()
    try:
        number = sum(1 for _ in files.rows(path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert number == 20_001
    assert peak < path.stat().st_size / 8
