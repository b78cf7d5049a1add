"""Stream the rows of JSON: an array, lines with one value each, or a single object.

One invalid line is one unusable row. Text that ends too early raises FileDamaged.
"""

import json
import re
from collections.abc import Iterator
from typing import TextIO, cast

from feedback_store.errors import FileDamaged
from feedback_store.importers.parsing.items import Unusable

CHUNK = 1 << 16  # characters
LONGEST_ROW = 1 << 26  # characters
LONGEST_NUMBER = 300  # digits; Python refuses to parse integers of more than 4300

NOT_JSON = "not JSON"

Row = tuple[int, object]


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_NUMBER else float(digits)


# Characters before the end of a chunk in which an error may only mean that the rest of a token is missing. The
# longest token, apart from strings, is a pair of \u escapes.
LONGEST_CUT = 16
DELIMITERS = tuple(", \t\n\r]")
SPACE = re.compile(r"[ \t\n\r]*")
DECODER = json.JSONDecoder(parse_int=_number)


def parsed(value: str) -> object:
    """Parse JSON from a line or a field. Raises: Unusable."""
    try:
        return DECODER.decode(value)
    except json.JSONDecodeError:
        raise Unusable(NOT_JSON) from None
    except RecursionError:
        raise Unusable("nested too deeply") from None


def json_rows(stream: TextIO) -> Iterator[Row]:
    """Iterate over the (number, row) pairs of JSON text; numbers start at 1. Raises: FileDamaged."""
    first = first_line(stream)
    if first.startswith("["):
        yield from enumerate(_elements(_PushbackStream(first, stream)), 1)
    elif first.strip() == "{":  # a single object, formatted over many lines
        yield from _only_value(first, stream)
    else:
        yield from _lines(first, stream)


def first_line(stream: TextIO) -> str:
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
