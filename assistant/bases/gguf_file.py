"""A GGUF file: its metadata and its tensors, mapped into memory and read by NumPy alone.

The package `gguf` has a reader too. It makes an object of each of some 100,000 words and merges of a vocabulary, which
takes seconds; here they are read in one go. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from assistant.errors import ModelError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""GGUF's numbers of the types of fixed size, as `struct` calls them."""
_STRING, _ARRAY = 8, 9
_MOST_DIMENSIONS = 4


@dataclass(frozen=True)
class FileTensor:
    """A tensor of a GGUF file, its bytes mapped into memory."""

    name: str
    kind: Any
    """A `gguf.GGMLQuantizationType`."""
    shape: tuple[int, ...]
    """As in PyTorch: the longest stride first."""
    raw: Any
    """Its bytes, shaped (…, bytes of a row)."""

    def dequantized(self) -> Any:
        """The values in float32. Raises ModelError if the package `gguf` cannot dequantise this type."""
        from gguf.quants import dequantize

        try:
            return dequantize(self.raw, self.kind).reshape(self.shape)
        except NotImplementedError as error:
            raise ModelError(
                f"{self.name} has the number type {self.kind.name}, which is not read here. "
                "Choose a file with Q4_K, Q5_K, Q6_K, Q8_0, F16 or BF16 weights."
            ) from error


@dataclass(frozen=True)
class GgufFile:
    """What a GGUF file holds."""

    path: Path
    metadata: dict[str, Any]
    """Values by key, such as "llama.block_count"; arrays are lists."""
    tensors: dict[str, FileTensor]

    @classmethod
    def read(cls, path: Path) -> "GgufFile":
        """The file at `path`. Raises ModelError if it is damaged, not GGUF, or of a version that is not read."""
        try:
            content = np.memmap(path, np.uint8, "r")
            cursor = _Cursor(content)
            if cursor.take(4) != b"GGUF":
                raise ValueError("it is no GGUF file")
            version, tensor_count, key_count = cursor.numbers("IQQ")
            if version not in (2, 3):
                raise ValueError(f"it has version {version} of the format, and 2 and 3 are read")
            metadata = {cursor.string(): cursor.value() for _ in range(key_count)}
            entries = [cursor.tensor_entry() for _ in range(tensor_count)]
            alignment = int(metadata.get("general.alignment", 32))
            start = -(-cursor.place // alignment) * alignment
            tensors = {entry[0]: _tensor(content, start, *entry) for entry in entries}
        except (OSError, ValueError, TypeError, KeyError, struct.error, OverflowError) as error:
            raise ModelError(f"The model file {path} cannot be read: {error}. Download it again.") from error
        return cls(path, metadata, tensors)


class _Cursor:
    """Reads values of a GGUF file one after another. Past its end: raises ValueError."""

    def __init__(self, content: Any) -> None:
        self._content = memoryview(content)
        self.place = 0

    def take(self, count: int) -> bytes:
        end = self.place + count
        if end > len(self._content):
            raise ValueError("it ends too early")
        self.place, taken = end, bytes(self._content[self.place : end])
        return taken

    def numbers(self, kinds: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{kinds}", self.take(struct.calcsize(f"<{kinds}")))

    def string(self) -> str:
        return self.take(self.numbers("Q")[0]).decode()

    def value(self) -> Any:
        return self._value(self.numbers("I")[0])

    def tensor_entry(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape with the longest stride first, number of its type, and where it begins."""
        name = self.string()
        (dimensions,) = self.numbers("I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError(f"{name} has {dimensions} dimensions")
        shape = self.numbers(f"{dimensions}Q")
        kind, offset = self.numbers("IQ")
        return name, shape[::-1], kind, offset

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.numbers(_SCALARS[kind])[0]
        kind, count = self.numbers("IQ")
        if kind == _STRING:
            return self._strings(count)
        if kind == _ARRAY:
            return [self._value(kind) for _ in range(count)]
        return list(self.numbers(f"{count}{_SCALARS[kind]}"))

    def _strings(self, count: int) -> list[str]:
        """As `string`, for the 100,000 of a vocabulary: one loop without a call for each."""
        content, place = self._content, self.place
        length_at = struct.Struct("<Q").unpack_from
        strings = []
        for _ in range(count):
            end = place + 8 + (length_at(content, place)[0] if place + 8 <= len(content) else 0)
            if end > len(content):
                raise ValueError("it ends too early")
            strings.append(str(content[place + 8 : end], "utf-8"))
            place = end
        self.place = place
        return strings


def _tensor(
    content: Any, start: int, name: str, shape: tuple[int, ...], kind: int, offset: int
) -> FileTensor:
    quantization = GGMLQuantizationType(kind)
    if not shape or 0 in shape:
        raise ValueError(f"{name} is empty")
    block, size = GGML_QUANT_SIZES[quantization]
    if shape[-1] % block:
        raise ValueError(f"a row of {name} is no whole number of blocks")
    row = shape[-1] // block * size
    begin = start + offset
    end = begin + math.prod(shape[:-1]) * row
    if end > len(content):
        raise ValueError("it ends too early")
    return FileTensor(name, quantization, shape, content[begin:end].reshape(*shape[:-1], row))
