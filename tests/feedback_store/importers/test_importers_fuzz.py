"""Whatever a file holds, an importer gives rows or reasons, and the store stays sound."""

import copy
import csv
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.import_samples import SAMPLES, everything, sample
from helpers.store_fixtures import contents
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from feedback_store import FeedbackStore
from feedback_store.errors import ImportFailed
from feedback_store.importers import SYSTEMS, import_file
from feedback_store.importers.parsing import files
from feedback_store.importers.parsing.items import ImportedConversation, Unusable
from feedback_store.importers.store_writer import check

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
            assert isinstance(item, ImportedConversation | Unusable)


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
    try:
        parquet.write_table(whole, path)
    except arrow.ArrowInvalid:
        reject()  # a time in seconds that Parquet, which begins at milliseconds, cannot hold
    before = contents(store)
    try:
        import_file(store, "chat-ui", path)
    except ImportFailed:
        assert contents(store) == before
    else:
        assert store.verify() == []
