"""Files that are converted for llama.cpp: a cache in the home that may be deleted at any time."""

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gguf import GGUFWriter

from assistant.bases.gguf_layout import architecture_of, metadata_of
from assistant.errors import ModelError

FORMAT = 4
"""Raised when converted files change, so that files of an earlier release are not read."""
_converting = threading.Lock()


def made_once(path: Path, write: Callable[[Path], None]) -> Path:
    """`path`, written by `write` if it is not there yet: aside first, then renamed. Raises ModelError."""
    with _converting:
        if not path.exists():
            new = path.with_suffix(f".{os.getpid()}.new")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write(new)
                new.replace(path)
            except OSError as error:
                raise ModelError(
                    f"The converted model {path} cannot be written ({error.strerror}). "
                    "Make room on the disk, or correct the folder's permissions."
                ) from error
            finally:
                new.unlink(missing_ok=True)
    return path


def begin_model(path: Path, config: Mapping[str, Any]) -> GGUFWriter:
    """A writer of the file `path`, to which the configuration of a model has been added."""
    architecture = architecture_of(config)
    writer = GGUFWriter(str(path), architecture)
    for key, value in metadata_of(config).items():
        if isinstance(value, float):
            writer.add_float32(f"{architecture}.{key}", value)
        else:
            writer.add_uint32(f"{architecture}.{key}", value)
    return writer


def finish(writer: GGUFWriter) -> None:
    """Write to the file what was added to `writer`, and close it."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
