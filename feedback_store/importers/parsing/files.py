"""Stream the rows of JSON, JSON Lines, Parquet and CSV files; JSON and CSV files may be compressed with gzip.

A file may be larger than memory, which is bounded by the longest row. One invalid line of JSON Lines is one
unusable row. A file that cannot be read to its end (cut off, wrong encoding) raises FileDamaged.
"""

import csv
import gzip
import io
import json
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO, cast

from feedback_store.errors import FileDamaged, ImportFailed
from feedback_store.importers.parsing.items import ImportedConversation, Unusable
from feedback_store.optional_packages import optional_package

CHUNK = 1 << 16  # characters
LONGEST_ROW = 1 << 26  # characters
PARQUET_ROWS = 100  # decoded at a time
LONGEST_NUMBER = 300  # digits; Python refuses to parse integers of more than 4300

NOT_JSON = "not JSON"

Row = tuple[int, object]
Item = ImportedConversation | Unusable


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_NUMBER else float(digits)


# Characters before the end of a chunk in which an error may only mean that the rest of a token is missing. The
# longest token, apart from strings, is a pair of \u escapes.
LONGEST_CUT = 16
DELIMITERS = tuple(", \t\n\r]")
SPACE = re.compile(r"[ \t\n\r]*")
DECODER = json.JSONDecoder(parse_int=_number)


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


def rows(path: Path) -> Iterator[Row]:
    """Iterate over the (number, row) pairs of a JSON array, JSON Lines or Parquet file; numbers start at 1.

    A line that is not JSON is yielded as Unusable. Raises: FileDamaged, ImportFailed.
    """
    with _failures_explained(path), _opened(path) as file:
        if file.peek(4)[:4] == b"PAR1":
            yield from _parquet(path)
            return
        stream = _decoded(file)
        first = _first_line(stream)
        if first.startswith("["):
            yield from enumerate(_elements(_PushbackStream(first, stream)), 1)
        elif first.strip() == "{":  # a single object, formatted over many lines
            yield from _only_value(first, stream)
        else:
            yield from _lines(first, stream)


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Iterate over the (number, cells) pairs of a CSV file without its header. Raises: FileDamaged, ImportFailed."""
    csv.field_size_limit(LONGEST_ROW)
    with _failures_explained(path), _opened(path) as file:
        reader = csv.reader(_decoded(file, newline=""), strict=True)
        try:
            for number, record in enumerate(reader):
                if number and record:
                    yield number, record
        except csv.Error as error:
            raise FileDamaged(f"{path} is not valid CSV from line {reader.line_num} on: {error}.") from error


def parsed(value: str) -> object:
    """Parse JSON from a line or a field. Raises: Unusable."""
    try:
        return DECODER.decode(value)
    except json.JSONDecodeError:
        raise Unusable(NOT_JSON) from None
    except RecursionError:
        raise Unusable("nested too deeply") from None


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
            f"{path} is not in the encoding that its first bytes indicate ({reason}). Save it as UTF-8."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileDamaged(f"{path} is a damaged gzip file: {error}. Download it again.") from error
    except OSError as error:
        raise ImportFailed(
            f"{path} cannot be read: {error.strerror or error}. Check its name and its permissions."
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with path.open("rb") as raw:
        if raw.peek(2)[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=raw) as unpacked, io.BufferedReader(unpacked) as file:
                yield file
        else:
            yield raw


def _decoded(file: Any, newline: str | None = None) -> io.TextIOWrapper:
    # The first bytes tell UTF-8, UTF-16 and UTF-32 apart, with or without a byte order mark.
    return io.TextIOWrapper(file, encoding=json.detect_encoding(file.peek(4)[:4]), newline=newline)


def _first_line(stream: TextIO) -> str:
    """The text from the first character that is not white space to the end of its line or chunk."""
    while piece := stream.readline(CHUNK):
        if piece.strip():
            return piece.lstrip()
    return ""


class _PushbackStream:
    """A text stream with one piece that was already read put back at its start."""

    def __init__(self, piece: str, stream: TextIO) -> None:
        self._piece, self._stream = piece, stream

    def read(self, size: int) -> str:
        piece, self._piece = self._piece, ""
        return piece or self._stream.read(size)

    def readline(self, size: int) -> str:
        piece, self._piece = self._piece, ""
        if piece and not piece.endswith("\n") and len(piece) < size:
            return piece + self._stream.readline(size - len(piece))
        return piece or self._stream.readline(size)


def _lines(first: str, stream: TextIO) -> Iterator[Row]:
    source, number, ended, any_valid = _PushbackStream(first, stream), 0, True, False
    while piece := source.readline(LONGEST_ROW):
        line, ended = piece, piece.endswith("\n")
        while not piece.endswith("\n") and len(piece) == LONGEST_ROW:
            piece = source.readline(LONGEST_ROW)
            line = ""  # too long to keep: skip to its end
            ended = piece.endswith("\n")
        if line and not line.strip():
            continue
        number += 1
        if not line:
            yield number, Unusable(f"a row of more than {LONGEST_ROW:,} characters")
            continue
        try:
            yield number, parsed(line)
            any_valid = True
        except Unusable as reason:
            if any_valid and not ended and str(reason) == NOT_JSON:
                raise FileDamaged(
                    f"The file ends within row {number}: it is cut off. Get all of it."
                ) from None
            yield number, reason


def _only_value(first: str, stream: TextIO) -> Iterator[Row]:
    text = first + stream.read(LONGEST_ROW)
    if len(text) > LONGEST_ROW:
        raise FileDamaged(f"The file is a single object of more than {LONGEST_ROW:,} characters. Split it.")
    try:
        yield 1, parsed(text)
    except Unusable as reason:
        raise FileDamaged(f"The file is a single JSON object that cannot be read: {reason}.") from None


def _elements(source: _PushbackStream) -> Iterator[object]:
    """Iterate over the elements of a JSON array, and decode each as soon as all of its text was read."""
    text, at, ended = source.read(CHUNK), 1, False  # text[0] is the bracket
    number, wants_comma, may_close = 1, False, True

    def more() -> None:
        nonlocal text, at, ended
        # Read at least as much again as is buffered, so that a long element is decoded few times, not once a chunk.
        piece = source.read(max(CHUNK, len(text) - at))
        text, at, ended = text[at:] + piece, 0, not piece

    while True:
        at = cast(re.Match[str], SPACE.match(text, at)).end()
        if at == len(text):
            if ended:
                raise FileDamaged(f"The file ends before its array does: it is cut off at row {number}.")
            more()
        elif text[at] == "]" and may_close:
            break
        elif wants_comma:
            if text[at] != ",":
                raise FileDamaged(
                    f"The file is not valid JSON from row {number} on: the comma before it is missing."
                )
            at, wants_comma, may_close = at + 1, False, False
        else:
            try:
                value, end = DECODER.raw_decode(text, at)
            except RecursionError:
                raise FileDamaged(f"Row {number} is nested too deeply to be read.") from None
            except json.JSONDecodeError as error:
                if ended or not _may_be_cut(error, len(text)):
                    raise FileDamaged(
                        f"The file is not valid JSON from row {number} on: {error.msg}."
                    ) from None
                if len(text) - at > LONGEST_ROW:
                    raise FileDamaged(f"Row {number} has more than {LONGEST_ROW:,} characters.") from None
                more()
                continue
            if not ended and len(text) - end < LONGEST_CUT and text[end : end + 1] not in DELIMITERS:
                more()  # a number may continue in the next chunk
                continue
            yield value
            number, at, wants_comma, may_close = number + 1, end, True, True
    at += 1
    while not text[at:].strip():
        text, at = source.read(CHUNK), 0
        if not text:
            return
    raise FileDamaged(f"The file continues after its array of {number - 1} rows.")


def _may_be_cut(error: json.JSONDecodeError, length: int) -> bool:
    return error.msg.startswith("Unterminated string") or error.pos >= length - LONGEST_CUT


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
