"""Tensors of a safetensors file, on NumPy alone; read ones are mapped into memory: an unused one costs nothing."""

import json
import shutil
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.errors import ModelError

_NUMPY_TYPES = {"BF16": np.uint16, "F16": np.float16, "F32": np.float32}


@dataclass(frozen=True)
class Tensor:
    """A tensor of a safetensors file, its bytes mapped into memory."""

    name: str
    dtype: str
    """"BF16", "F16" or "F32"."""
    values: Any
    """The values, shaped; bfloat16 as uint16, because NumPy has no such type."""

    def as_float32(self) -> Any:
        """The values in float32."""
        if self.dtype == "BF16":
            return (self.values.astype(np.uint32) << 16).view(np.float32)
        return self.values.astype(np.float32)

    def is_finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        if self.dtype == "BF16":
            # Both have every bit of the exponent set.
            return not bool(((self.values & 0x7F80) == 0x7F80).any())
        return bool(np.isfinite(self.values).all())


def read_tensors(path: Path) -> Iterator[Tensor]:
    """The tensors of a safetensors file, in its order.

    Raises ModelError if the file is damaged, or holds a tensor of another type than bfloat16, float16 and float32.
    Format: https://github.com/huggingface/safetensors#format
    """
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(size, path.stat().st_size)))
        mapped = np.memmap(path, np.uint8, "r")
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            if entry["dtype"] not in _NUMPY_TYPES:
                raise ModelError(
                    f"{path} holds {name} as {entry['dtype']}. Only BF16, F16 and F32 are read: save it as one of them."
                )
            start, end = entry["data_offsets"]
            raw = mapped[8 + size + start : 8 + size + end]
            yield Tensor(name, entry["dtype"], raw.view(_NUMPY_TYPES[entry["dtype"]]).reshape(entry["shape"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, struct.error) as error:
        raise ModelError(f"The weights {path} are damaged: {error}. Download or restore them.") from error


def write_tensors(path: Path, tensors: Iterable[tuple[str, Any]]) -> None:
    """Write named NumPy arrays as a safetensors file: float32, float16, or bfloat16 as uint16.

    One of them is in memory at a time. Raises OSError.
    """
    names = {np.dtype(kind): name for name, kind in _NUMPY_TYPES.items()}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    values_path = path.with_name(path.name + ".values")
    try:
        with values_path.open("wb") as values_file:
            for name, values in tensors:
                start = values_file.tell()
                values_file.write(np.ascontiguousarray(values).data)
                header[name] = {
                    "dtype": names[values.dtype],
                    "shape": list(values.shape),
                    "data_offsets": [start, values_file.tell()],
                }
        encoded = json.dumps(header).encode()
        encoded += b" " * (-len(encoded) % 8)
        with path.open("wb") as file, values_path.open("rb") as values_file:
            file.write(struct.pack("<Q", len(encoded)) + encoded)
            shutil.copyfileobj(values_file, file, 2**20)
    finally:
        values_path.unlink(missing_ok=True)
