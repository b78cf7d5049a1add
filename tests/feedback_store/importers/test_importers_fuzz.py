"""Whatever a file contains, an importer yields rows or reasons for skipping them, and the store stays valid."""

import copy
import csv
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.import_samples import SAMPLES, STORED, everything, sample
from helpers.store_fixtures import contents
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from feedback_store import FeedbackStore
from feedback_store.errors import ImportFailed
from feedback_store.importers import SYSTEMS, import_file
from feedback_store.importers.parsing import files, json_stream
from feedback_store.importers.parsing.check_items import check
from feedback_store.importers.parsing.items import ImportedConversation, Unusable

# For tests of reading alone, which need not run on every database engine.
READING = pytest.mark.parametrize("engine_name", ["sqlite"])


FUZZ = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MANY = settings(FUZZ, max_examples=300)
"""Of the slow tests."""


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


@FUZZ
@given(
    values=st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
            max_leaves=12,
        ),
        max_size=6,
    ),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 3]),
)
def test_an_array_is_read_the_same_in_pieces_of_any_size(
    tmp_path: Path, values: list[Any], chunk: int, indent: int | None
) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(values, indent=indent), encoding="utf-8")
    usual, json_stream.CHUNK = json_stream.CHUNK, chunk
    try:
        assert [value for _, value in files.rows(path)] == values
    finally:
        json_stream.CHUNK = usual


def all_rows(system: str, folder: Path) -> list[Any]:
    """The rows of a sample as Python values. The messages and indices in Gradio's log are parsed from JSON."""
    if system == "gradio":
        with (SAMPLES / "gradio.csv").open(encoding="utf-8", newline="") as file:
            _, *records = csv.reader(file)
        return [[json.loads(messages), json.loads(index), *rest] for messages, index, *rest in records]
    if system == "chat-ui":
        # The importer reads JSON as well. A separate test covers the types of Parquet.
        table = pytest.importorskip("pyarrow.parquet").read_table(sample(system, folder)).to_pylist()
        return [json.loads(json.dumps(row, default=str)) for row in table]
    text = next(SAMPLES.glob(f"{system}.*")).read_text(encoding="utf-8")
    rows = (
        json.loads(text)
        if text.startswith(("[", "{\n"))
        else [json.loads(line) for line in text.splitlines()]
    )
    return rows if isinstance(rows, list) else [rows]


def write_rows(system: str, rows: list[Any], path: Path) -> Path:
    """Write rows in the format of the other system."""
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


def paths_in(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to each value inside a JSON value, as a tuple of keys and indices."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, below in inner for path in paths_in(below, (*here, key)))]


def with_changed(row: Any, where: tuple[Any, ...], value: Any) -> Any:
    """A copy of a row with the value at the path `where` replaced."""
    if not where:
        return value
    changed = copy.deepcopy(row)
    inner = changed
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    return changed


def read_hostile_fields(system: str, data: st.DataObject, tmp_path: Path) -> None:
    row = data.draw(st.sampled_from(all_rows(system, tmp_path)))
    for _ in range(data.draw(st.integers(1, 3))):
        row = with_changed(row, data.draw(st.sampled_from(paths_in(row))), data.draw(HOSTILE))
    read, _ = SYSTEMS[system]
    for item in read(write_rows(system, [row], tmp_path / "rows")):
        if not isinstance(item, Unusable):
            with suppress(Unusable):
                check(item)


@pytest.mark.parametrize("system", SYSTEMS)
@FUZZ
@given(data=st.data())
def test_hostile_fields_give_a_row_or_a_reason_but_no_crash(
    system: str, data: st.DataObject, tmp_path: Path
) -> None:
    read_hostile_fields(system, data, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
@MANY
@given(data=st.data())
def test_many_hostile_fields_give_a_row_or_a_reason_but_no_crash(
    system: str, data: st.DataObject, tmp_path: Path
) -> None:
    read_hostile_fields(system, data, tmp_path)


@pytest.mark.parametrize(("engine_name", "system"), STORED)
def test_a_hostile_file_leaves_a_valid_store_and_can_be_imported_again(
    system: str, tmp_path: Path, store: FeedbackStore
) -> None:
    """Replace every field of every sample row by hostile values, and import all these rows."""
    hostile: list[Any] = [None, True, 7, -1, 1e300, "", " ", "x", "a" * 101, [], {}, [[]], {"a": 1}, ["b"]]
    valid_rows = all_rows(system, tmp_path)
    rows = valid_rows + [
        with_changed(row, where, value)
        for row in valid_rows
        for where in paths_in(row)
        for value in hostile[sum(map(len, map(str, where))) % 3 :: 3]
    ]
    path = write_rows(system, rows, tmp_path / "rows")
    first = import_file(store, system, path)
    assert first.kept > 0 and first.skipped
    assert store.verify() == []
    before = everything(store)
    again = import_file(store, system, path)
    assert again.kept == again.unchanged == first.kept
    assert everything(store) == before


CORRUPTION = st.tuples(st.binary(min_size=1, max_size=6), st.floats(0, 1), st.integers(0, 20))
"""New bytes, where in the file they begin as a share of its length, and how many bytes they replace."""


def corrupted(system: str, folder: Path, corruption: tuple[bytes, float, int]) -> Path:
    """A system's sample with some bytes replaced."""
    noise, where, width = corruption
    data = sample(system, folder).read_bytes()
    at = int(where * len(data))
    path = folder / "noise"
    path.write_bytes(data[:at] + noise + data[at + width :])
    return path


def read_corrupted(system: str, path: Path) -> None:
    read, _ = SYSTEMS[system]
    with suppress(ImportFailed):
        for item in read(path):
            assert isinstance(item, ImportedConversation | Unusable)


@pytest.mark.parametrize("system", SYSTEMS)
@FUZZ
@given(corruption=CORRUPTION)
def test_corrupted_bytes_raise_only_import_errors(
    system: str, tmp_path: Path, corruption: tuple[bytes, float, int]
) -> None:
    read_corrupted(system, corrupted(system, tmp_path, corruption))


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
@MANY
@given(corruption=CORRUPTION)
def test_many_corrupted_bytes_raise_only_import_errors(
    system: str, tmp_path: Path, corruption: tuple[bytes, float, int]
) -> None:
    read_corrupted(system, corrupted(system, tmp_path, corruption))


def import_corrupted(store: FeedbackStore, system: str, path: Path) -> None:
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


@pytest.mark.parametrize(("engine_name", "system"), STORED)
@settings(FUZZ, max_examples=6)
@given(corruption=CORRUPTION)
def test_an_import_of_corrupted_bytes_changes_nothing_or_leaves_a_valid_store(
    system: str, store: FeedbackStore, tmp_path: Path, corruption: tuple[bytes, float, int]
) -> None:
    import_corrupted(store, system, corrupted(system, tmp_path, corruption))


@pytest.mark.slow
@pytest.mark.parametrize(("engine_name", "system"), STORED)
@MANY
@given(corruption=CORRUPTION)
def test_many_imports_of_corrupted_bytes_change_nothing_or_leave_a_valid_store(
    system: str, store: FeedbackStore, tmp_path: Path, corruption: tuple[bytes, float, int]
) -> None:
    import_corrupted(store, system, corrupted(system, tmp_path, corruption))


def columns(number: int) -> st.SearchStrategy[Any]:
    """A Parquet column of `number` values of any type, including values that Python cannot represent."""
    arrow = pytest.importorskip("pyarrow")
    message = st.fixed_dictionaries(
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
            st.lists(message, max_size=4),
        ),
        *((arrow.timestamp(unit), st.integers(-(2**63), 2**63 - 1)) for unit in ("s", "us", "ns")),
    ]

    def column(kind: tuple[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
        return st.lists(st.none() | kind[1], min_size=number, max_size=number).map(
            lambda values: arrow.array(values, type=kind[0])
        )

    return st.sampled_from(kinds).flatmap(column)


@READING
@settings(FUZZ, max_examples=20)
@given(data=st.data())
def test_parquet_columns_of_any_type_give_rows_or_reasons_but_no_crash(
    store: FeedbackStore, tmp_path: Path, data: st.DataObject
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    table = parquet.read_table(sample("chat-ui", tmp_path))
    for name in data.draw(st.lists(st.sampled_from(table.column_names), min_size=1, max_size=3)):
        at = table.column_names.index(name)
        table = table.set_column(at, name, arrow.chunked_array([data.draw(columns(len(table)))]))
    path = tmp_path / "columns.parquet"
    try:
        parquet.write_table(table, path)
    except arrow.ArrowInvalid:
        reject()  # Parquet stores milliseconds, and cannot represent some times given in seconds
    before = contents(store)
    try:
        import_file(store, "chat-ui", path)
    except ImportFailed:
        assert contents(store) == before
    else:
        assert store.verify() == []
