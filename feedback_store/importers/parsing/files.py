"""Stream the rows of JSON, JSON Lines, Parquet and CSV files; JSON and CSV files may be compressed with gzip.

A file may be larger than memory, which is bounded by the longest row. One invalid line of JSON Lines is one
unusable row. A file that cannot be read to its end (cut off, wrong encoding) raises FileDamaged.
"""

import csv
import gzip
import io
import itertools
import json
import re
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

from feedback_store.errors import FileDamaged, ImportFailed
from feedback_store.importers.parsing.items import ImportedConversation, Unusable
from feedback_store.importers.parsing.json_stream import LONGEST_ROW, Row, first_line, json_rows
from feedback_store.optional_packages import optional_package

PARQUET_ROWS = 100  # decoded at a time
Item = ImportedConversation | Unusable
DELIMITERS = (",", ";", "\t")


def each(rows: Iterator[Row], convert: Callable[[dict[str, Any]], ImportedConversation]) -> Iterator[Item]:
    """Convert every row; yield the reason in place of a row that is not an object or cannot be used."""
    for _, row in rows:
        if isinstance(row, Unusable):
            yield row
        elif not isinstance(row, dict):
            yield Unusable("row is not an object")
        else:
            try:
                yield convert(row)
            except Unusable as reason:
                yield reason


def rows(path: Path, member: str | None = None) -> Iterator[Row]:
    """Iterate over the (number, row) pairs of a JSON array, JSON Lines or Parquet file; numbers start at 1.

    `member` is a file in the ZIP archive `path`. A line that is not JSON is yielded as Unusable. Raises: FileDamaged,
    ImportFailed.
    """
    with _failures_explained(path), _opened(path, member) as file:
        if file.peek(4)[:4] == b"PAR1":
            yield from _parquet(path)
            return
        with _decoded(file) as stream:
            yield from json_rows(stream)


def members(path: Path, names: str) -> list[str]:
    """The files of a ZIP archive whose names match the pattern `names`, in order; none if it is no archive."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return []
    with _failures_explained(path), zipfile.ZipFile(path) as archive:
        return sorted(name for name in archive.namelist() if re.fullmatch(rf"(.*/)?{names}", name))


def archive_rows(path: Path, names: str) -> Generator[Row]:
    """Iterate over the rows of a file or, in a ZIP archive, over those of all files that match `names`."""
    inner = members(path, names)
    for member in inner:
        yield from rows(path, member)
    if not inner:
        yield from rows(path)


def is_csv(path: Path) -> bool:
    """Whether a file is text that is no JSON. Raises: FileDamaged, ImportFailed."""
    with _failures_explained(path), _opened(path) as file:
        if file.peek(4)[:4] == b"PAR1":
            return False
        with _decoded(file) as stream:
            return first_line(stream)[:1] not in ("", "[", "{")


def table_rows(path: Path) -> Generator[Row]:
    """Iterate over the rows of a JSON, JSON Lines or Parquet file, or of a CSV file with a header, as objects."""
    if not is_csv(path):
        yield from rows(path)
        return
    header: list[str] = []
    with closing(csv_rows(path, header=True)) as lines:
        for number, cells in lines:
            if not header:
                header = cells
            elif len(cells) != len(header):
                yield number, Unusable(f"{len(cells)} columns where the header names {len(header)}")
            else:
                yield number, dict(zip(header, cells, strict=True))


def csv_rows(path: Path, *, header: bool = False) -> Generator[tuple[int, list[str]]]:
    """Iterate over the (number, cells) pairs of a CSV file; its header is number 0, and left out unless asked for.

    Cells are divided by what the header has most of: commas, semicolons or tabs.

    Raises: FileDamaged, ImportFailed.
    """
    csv.field_size_limit(LONGEST_ROW)
    with _failures_explained(path), _opened(path) as file, _decoded(file, newline="") as stream:
        first = stream.readline()
        # A spreadsheet writes semicolons where the comma divides whole numbers from fractions.
        bare = re.sub(r'"[^"]*"', "", first)
        delimiter = max(DELIMITERS, key=bare.count)
        reader = csv.reader(itertools.chain([first], stream), strict=True, delimiter=delimiter)
        try:
            for number, record in enumerate(reader):
                if (number or header) and record:
                    yield number, record
        except csv.Error as error:
            raise FileDamaged(f"{path} is not valid CSV from line {reader.line_num} on: {error}.") from error


@contextmanager
def regular(path: Path) -> Iterator[Path]:
    """Yield a file that can be read several times: `path`, or a temporary copy of what a pipe or a device sends.

    `-` is standard input. Raises: ImportFailed.
    """
    is_input = str(path) == "-"
    if not is_input and (not path.exists() or path.is_file() or path.is_dir()):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="thumbtune-import-") as folder:
        copy = Path(folder) / ("standard input" if is_input else path.name)
        # Standard input is read through the open file: its name may not be opened a second time.
        with (
            _failures_explained(path),
            nullcontext(sys.stdin.buffer) if is_input else path.open("rb") as stream,
            copy.open("wb") as file,
        ):
            shutil.copyfileobj(stream, file)
        yield copy


@contextmanager
def _failures_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else error
        raise FileDamaged(
            f"{path} cannot be read as text ({reason}). A picture or a program has no rows to import. "
            "Is it text? Save it as UTF-8."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileDamaged(f"{path} is a damaged gzip file: {error}. Download it again.") from error
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
    ) as error:  # the last for a file with a password
        raise FileDamaged(f"{path} is a ZIP archive that cannot be unpacked: {error}. Unpack it.") from error
    except OSError as error:
        raise ImportFailed(
            f"{path} cannot be read: {error.strerror or error}. Check its name and its permissions."
        ) from error


@contextmanager
def _opened(path: Path, member: str | None = None) -> Iterator[Any]:
    if member is not None:
        with zipfile.ZipFile(path) as archive, archive.open(member) as inner:
            yield io.BufferedReader(cast(io.RawIOBase, inner))
        return
    with path.open("rb") as raw:
        if raw.peek(2)[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=raw) as unpacked, io.BufferedReader(unpacked) as file:
                yield file
        else:
            yield raw


def _decoded(file: Any, newline: str | None = None) -> io.TextIOWrapper:
    # The first bytes tell UTF-8, UTF-16 and UTF-32 apart, with or without a byte order mark.
    return io.TextIOWrapper(file, encoding=json.detect_encoding(file.peek(4)[:4]), newline=newline)


def _parquet(path: Path) -> Iterator[Row]:
    parquet = optional_package("pyarrow.parquet", "Parquet files")
    try:
        number = 0
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=PARQUET_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (optional_package("pyarrow", "").ArrowException, OSError, ValueError) as error:
        raise FileDamaged(f"{path} is a damaged Parquet file: {error!s:.300}.") from error
    except OverflowError as error:
        # Arrow has times outside the years 1 to 9999, to which Python is limited.
        raise FileDamaged(
            f"{path} has a time outside the years 1 to 9999 after row {number:,}: {error!s:.300}. "
            "Correct it, or remove its column."
        ) from error
