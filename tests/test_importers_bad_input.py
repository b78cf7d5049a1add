"""Damaged, truncated, mis-encoded, huge and hostile files: a clear report, and a store that holds nothing false."""

import copy
import csv
import gzip
import json
import shutil
import signal
import subprocess
import sys
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from test_importers import SAMPLES, everything, sample

from feedback_store import FeedbackStore
from feedback_store.__main__ import main
from feedback_store.errors import ImportFailed, NothingUsable, StoreUnwritable
from feedback_store.importers import SYSTEMS, files, import_file
from feedback_store.importers.foreign import Imported, Unusable
from feedback_store.importers.writing import check
from feedback_store.tables import Base

TEXTS = [system for system in SYSTEMS if system != "chat-ui"]  # chat-ui's file is binary
# Of tests about reading alone: which engine the store has says nothing.
READING = pytest.mark.parametrize("engine_name", ["sqlite"])
FUZZ = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=8)
    | st.sampled_from(["\0", "\ud800", "<think>", "</think>", "1e999", "9" * 30, "x" * 200_000, "-0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def contents(store: FeedbackStore) -> dict[str, list[Any]]:
    """Every row of every table."""
    with store._engine.connect() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key.columns)).all()
            for table in Base.metadata.sorted_tables
        }


def refused(store: FeedbackStore, system: str, path: Path) -> str:
    """The words of an import that must fail and leave the store as it was."""
    before = contents(store)
    with pytest.raises(ImportFailed) as error:
        import_file(store, system, path)
    assert contents(store) == before
    return str(error.value)


# Encodings


@READING
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("system", TEXTS)
def test_any_unicode_encoding_is_the_same_file(
    store: FeedbackStore, tmp_path: Path, system: str, encoding: str
) -> None:
    plain = sample(system, tmp_path)
    if system == "llama-factory":  # from where no dataset_info.json says otherwise
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


@pytest.mark.parametrize("system", TEXTS)
def test_a_file_cut_off_anywhere_is_refused_or_short_of_its_end(
    store: FeedbackStore, tmp_path: Path, system: str
) -> None:
    whole = sample(system, tmp_path).read_bytes()
    path = tmp_path / "cut"
    for part in range(1, 12):
        path.write_bytes(whole[: len(whole) * part // 12])
        before = contents(store)
        try:
            report = import_file(store, system, path)
        except ImportFailed:
            assert contents(store) == before
        else:
            assert report.kept > 0
            assert not whole.startswith((b"[", b"{\n")), "half an array was taken for a whole one"
    assert store.verify() == []


def test_the_report_of_a_cut_array_says_where(store: FeedbackStore, tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    path.write_text('[{"instruction": "a", "output": "b"}, {"instruction": "c", "outp')
    assert "from row 2 on" in refused(store, "llama-factory", path)
    path.write_text('[{"instruction": "a", "output": "b"}')
    assert "cut off at row 2" in refused(store, "llama-factory", path)


@READING
@pytest.mark.parametrize("after", ["]]", "] x", ',{"a":1}', "", ",]", " 1]"])
def test_what_is_no_array_is_refused(store: FeedbackStore, tmp_path: Path, after: str) -> None:
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
        "row is no object": 1,
        "nested too deeply": 1,
        "prompt is no list, or empty": 1,
        "prompt has half a surrogate pair, which is no character": 1,
    }
    assert report.first["not JSON"] == 2


def test_a_row_too_long_for_memory_is_skipped_in_lines_and_refused_in_arrays(
    store: FeedbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LONGEST_ROW", 1_000)
    monkeypatch.setattr(files, "CHUNK", 100)
    row, long = {"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "b" * 5_000}
    path = tmp_path / "rows"
    path.write_text("\n".join(json.dumps(one) for one in (row, long, row | {"prompt": "c"})))
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


def test_a_cut_gzip_file_is_refused(store: FeedbackStore, tmp_path: Path) -> None:
    packed = gzip.compress((SAMPLES / "trl.jsonl").read_bytes() * 50)
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(packed[:-20])
    assert "damaged gzip" in refused(store, "trl", path)
    path.write_bytes(packed[:30] + b"\xff" * 30 + packed[60:])
    refused(store, "trl", path)


def test_a_cut_parquet_file_is_refused(store: FeedbackStore, tmp_path: Path) -> None:
    whole = sample("chat-ui", tmp_path).read_bytes()
    path = tmp_path / "cut.parquet"
    for size in (4, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert "damaged Parquet" in refused(store, "chat-ui", path)


def test_a_csv_with_an_open_quote_is_refused(store: FeedbackStore, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text((SAMPLES / "gradio.csv").read_text(encoding="utf-8") + '"[{""role"": ', encoding="utf-8")
    assert "no CSV from line" in refused(store, "gradio", path)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_missing_an_empty_and_a_foreign_file_are_said(
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


# Failing on the way


def pairs(path: Path, number: int) -> Path:
    rows = [{"prompt": f"Question {n}", "chosen": f"yes {n}", "rejected": "no"} for n in range(number)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_an_import_that_the_store_refuses_says_how_far_it_came_and_goes_on(
    store: FeedbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feedback_store import importers

    path = pairs(tmp_path / "rows.jsonl", 10)
    write, calls = importers.write, []

    def full_disk(*arguments: Any) -> Any:
        calls.append(1)
        done = write(*arguments)
        if len(calls) == 3:
            raise StoreUnwritable("The disk is full.")
        return done

    monkeypatch.setattr(importers, "MOST_ROWS", 3)
    monkeypatch.setattr(importers, "write", full_disk)
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
from feedback_store import FeedbackStore, importers
write, calls = importers.write, []
def dying(*arguments):
    done = write(*arguments)
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)  # written, and not committed
    return done
importers.write, importers.MOST_ROWS = dying, 3
place = sys.argv[1]
with FeedbackStore.open(place if "://" in place else Path(place)) as store:
    importers.import_file(store, "trl", Path(sys.argv[2]))
"""


def test_killed_in_the_middle_and_run_again_everything_is_there_once(
    place: Path | str, tmp_path: Path
) -> None:
    path = pairs(tmp_path / "rows.jsonl", 10)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(place), str(path)], cwd=Path(__file__).parents[1]
    )
    assert done.returncode == -signal.SIGKILL
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


# Hypothesis


@FUZZ
@given(
    values=st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    ),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 3]),
)
def test_an_array_is_read_the_same_in_pieces_of_any_size(
    tmp_path: Path, values: list[Any], chunk: int, indent: int | None
) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(values, indent=indent), encoding="utf-8")
    usual, files.CHUNK = files.CHUNK, chunk
    try:
        assert [value for _, value in files.rows(path)] == values
    finally:
        files.CHUNK = usual


def all_rows(system: str, folder: Path) -> list[Any]:
    """The sample's rows as Python values; of Gradio's, with the messages and the index read."""
    if system == "gradio":
        with (SAMPLES / "gradio.csv").open(encoding="utf-8", newline="") as file:
            _, *records = csv.reader(file)
        return [[json.loads(said), json.loads(index), *rest] for said, index, *rest in records]
    if system == "chat-ui":
        # The importer reads JSON as well; what is peculiar to Parquet has a test of its own.
        found = pytest.importorskip("pyarrow.parquet").read_table(sample(system, folder)).to_pylist()
        return [json.loads(json.dumps(row, default=str)) for row in found]
    text = next(SAMPLES.glob(f"{system}.*")).read_text(encoding="utf-8")
    whole = (
        json.loads(text)
        if text.startswith(("[", "{\n"))
        else [json.loads(line) for line in text.splitlines()]
    )
    return whole if isinstance(whole, list) else [whole]


def written(system: str, rows: list[Any], path: Path) -> Path:
    """The rows as the other system would write them."""
    if system != "gradio":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        table = csv.writer(file)
        table.writerow(["conversation", "index", "value", "flag", "timestamp"])
        for row in rows:
            cells = row if isinstance(row, list) else [row]
            table.writerow([*map(json.dumps, cells[:2]), *cells[2:]])
    return path


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, below in inner for path in places(below, (*here, key)))]


def with_changed(row: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.deepcopy(row)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


@pytest.mark.parametrize("system", SYSTEMS)
@FUZZ
@given(data=st.data())
def test_hostile_fields_are_a_reason_or_a_row_never_a_crash(
    system: str, data: st.DataObject, tmp_path: Path
) -> None:
    row = data.draw(st.sampled_from(all_rows(system, tmp_path)))
    for _ in range(data.draw(st.integers(1, 3))):
        row = with_changed(row, data.draw(st.sampled_from(places(row))), data.draw(HOSTILE))
    read, _ = SYSTEMS[system]
    for item in read(written(system, [row], tmp_path / "rows")):
        if not isinstance(item, Unusable):
            with suppress(Unusable):
                check(item)


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_a_hostile_file_leaves_in_the_store_is_sound_and_can_be_imported_again(
    system: str, tmp_path: Path, store: FeedbackStore
) -> None:
    """Every field of every sample row, each replaced by each of these."""
    hostile: list[Any] = [None, True, 7, -1, 1e300, "", " ", "x", "a" * 101, [], {}, [[]], {"a": 1}, ["b"]]
    sound = all_rows(system, tmp_path)
    rows = sound + [
        with_changed(row, place, value)
        for row in sound
        for place in places(row)
        for value in hostile[sum(map(len, map(str, place))) % 3 :: 3]
    ]
    path = written(system, rows, tmp_path / "rows")
    first = import_file(store, system, path)
    assert first.kept > 0 and first.skipped
    assert store.verify() == []
    before = everything(store)
    again = import_file(store, system, path)
    assert again.kept == again.unchanged == first.kept
    assert everything(store) == before


@pytest.mark.parametrize("system", SYSTEMS)
@FUZZ
@given(noise=st.binary(min_size=1, max_size=6), where=st.floats(0, 1), width=st.integers(0, 20))
def test_bytes_in_disorder_raise_nothing_but_the_stores_own_errors(
    system: str, tmp_path: Path, noise: bytes, where: float, width: int
) -> None:
    whole = sample(system, tmp_path).read_bytes()
    at = int(where * len(whole))
    path = tmp_path / "noise"
    path.write_bytes(whole[:at] + noise + whole[at + width :])
    read, _ = SYSTEMS[system]
    with suppress(ImportFailed):
        for item in read(path):
            assert isinstance(item, Imported | Unusable)


@pytest.mark.parametrize("system", SYSTEMS)
@settings(FUZZ, max_examples=15)
@given(noise=st.binary(min_size=1, max_size=6), where=st.floats(0, 1), width=st.integers(0, 20))
def test_an_import_of_bytes_in_disorder_fails_without_a_trace_or_leaves_what_is_sound(
    system: str, store: FeedbackStore, tmp_path: Path, noise: bytes, where: float, width: int
) -> None:
    whole = sample(system, tmp_path).read_bytes()
    at = int(where * len(whole))
    path = tmp_path / "noise"
    path.write_bytes(whole[:at] + noise + whole[at + width :])
    before = contents(store)
    try:
        first = import_file(store, system, path)
    except ImportFailed:
        assert contents(store) == before
        return
    assert store.verify() == []
    before = contents(store)
    again = import_file(store, system, path)
    assert again.kept == again.unchanged == first.kept
    assert contents(store) == before


def columns(number: int) -> st.SearchStrategy[Any]:
    """A Parquet column of `number` values of any type, some of which no Python value can hold."""
    arrow = pytest.importorskip("pyarrow")
    said = st.fixed_dictionaries(
        {
            "from": st.sampled_from(["user", "assistant", "tool", None]),
            "content": st.none() | st.text(max_size=5),
        },
        optional={"score": st.sampled_from([1, -1, 0, 3, None])},
    )
    kinds: list[tuple[Any, st.SearchStrategy[Any]]] = [
        (arrow.string(), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
        (arrow.binary(), st.binary(max_size=8)),
        (arrow.int64(), st.integers(-(2**63), 2**63 - 1)),
        (arrow.float64(), st.floats()),
        (arrow.decimal128(38, 2), st.decimals(0, 1000, places=2)),
        (arrow.map_(arrow.string(), arrow.int64()), st.dictionaries(st.text(max_size=2), st.integers(0, 9))),
        (arrow.list_(arrow.string()), st.lists(st.text(max_size=3), max_size=3)),
        (
            arrow.list_(
                arrow.struct(
                    [("from", arrow.string()), ("content", arrow.string()), ("score", arrow.int64())]
                )
            ),
            st.lists(said, max_size=4),
        ),
        *((arrow.timestamp(unit), st.integers(-(2**63), 2**63 - 1)) for unit in ("s", "us", "ns")),
    ]

    def column(kind: tuple[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
        return st.lists(st.none() | kind[1], min_size=number, max_size=number).map(
            lambda values: arrow.array(values, type=kind[0])
        )

    return st.sampled_from(kinds).flatmap(column)


@READING
@settings(FUZZ, max_examples=60)
@given(data=st.data())
def test_parquet_columns_of_any_type_are_reasons_or_rows_and_never_a_crash(
    store: FeedbackStore, tmp_path: Path, data: st.DataObject
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    whole = parquet.read_table(sample("chat-ui", tmp_path))
    for name in data.draw(st.lists(st.sampled_from(whole.column_names), min_size=1, max_size=3)):
        at = whole.column_names.index(name)
        whole = whole.set_column(at, name, arrow.chunked_array([data.draw(columns(len(whole)))]))
    path = tmp_path / "columns.parquet"
    parquet.write_table(whole, path)
    before = contents(store)
    try:
        import_file(store, "chat-ui", path)
    except ImportFailed:
        assert contents(store) == before
    else:
        assert store.verify() == []


# The command line


def test_the_command_prints_a_report_and_makes_the_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    file = str(SAMPLES / "open-webui.json")
    assert main(["import", "--from", "open-webui", file, "--home", str(home)]) == 0
    printed = capsys.readouterr().out
    assert "rows kept             4  (0 of them were there already)" in printed
    assert "1  no snapshot of the chat (first: row 5)" in printed
    assert "1 conversations" in printed
    assert main(["import", "--from", "open-webui", file, "--home", str(home), "--quiet"]) == 0
    assert "(4 of them were there already)" in capsys.readouterr().out
    assert main(["verify", "--home", str(home)]) == 0


def test_the_command_lists_the_systems_and_refuses_others(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["import", "--list"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    assert all(system in printed for system in SYSTEMS)
    with pytest.raises(SystemExit) as done:
        main(["import", "--from", "my-diary", "file", "--home", "x"])
    assert done.value.code == 2


def test_a_file_that_cannot_be_imported_exits_with_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file.json"
    path.write_text("[1")
    assert main(["import", "--from", "trl", str(path), "--home", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: The file ends before its array does")
