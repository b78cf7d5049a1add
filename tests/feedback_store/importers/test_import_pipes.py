"""Files that can be read once, and files that end too early."""

import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.import_cases import added
from helpers.import_samples import SAMPLES
from helpers.store_fixtures import contents

from feedback_store import FeedbackStore
from feedback_store.__main__ import main
from feedback_store.errors import FileDamaged
from feedback_store.importers import import_file

# What is read is the same on every database engine.
READING = pytest.mark.parametrize("engine_name", ["sqlite"])
DATA = (SAMPLES / "trl.jsonl").read_bytes()


@pytest.fixture
def pipe() -> Iterator[Path]:
    """A pipe that a shell would name for `<(…)`, with the sample in it."""
    reading, writing = os.pipe()
    os.write(writing, DATA)
    os.close(writing)
    yield Path(f"/dev/fd/{reading}")
    os.close(reading)


@READING
def test_a_pipe_is_read_once(store: FeedbackStore, pipe: Path) -> None:
    report = import_file(store, "trl", pipe)
    assert (report.kept, report.skipped.total()) == (7, 1)


@READING
def test_a_named_pipe_does_not_hang(store: FeedbackStore, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(DATA,), daemon=True)
    writer.start()
    assert import_file(store, "trl", path).kept == 7
    writer.join()


@READING
def test_a_dash_is_standard_input(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(DATA)))
    assert main(["import", "--from", "trl", "-", "--home", str(place.parent), "--quiet"]) == 0
    assert "rows kept             7" in capsys.readouterr().out


def test_standard_input_without_rows_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    assert main(["import", "--from", "trl", "-", "--home", str(tmp_path / "new")]) == 2
    assert "standard input has no rows" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[1", '{"prompt": 1}\n', '{"prompt": "p"}\n{"prompt": "q"'])
def test_a_refused_file_makes_no_store(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows"
    path.write_text(content)
    home = tmp_path / "new"
    assert main(["import", "--from", "trl", str(path), "--home", str(home)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not home.exists()


@READING
def test_lines_that_are_cut_off_are_refused(store: FeedbackStore, tmp_path: Path) -> None:
    rows = [json.dumps({"prompt": f"p{number}"}) for number in range(3)]
    path = tmp_path / "rows.jsonl"
    for cut in range(1, len(rows[-1])):
        path.write_text("\n".join(rows)[:-cut])
        before = contents(store)
        with pytest.raises(FileDamaged, match="ends within row 3"):
            import_file(store, "trl", path)
        assert contents(store) == before
    path.write_text("\n".join(rows))
    import_file(store, "trl", path)
    assert added(store)["prompts"] == 3
