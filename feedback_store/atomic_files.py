"""Files that are replaced whole, and durably."""

import os
import tempfile
from pathlib import Path

ON_WINDOWS = os.name == "nt"
"""Windows opens no folder, and flushes no file that is open for reading alone. Its disks keep a journal of names."""


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content so that readers see either the old or the new text, whole."""
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    flush(path.parent)


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, have reached the disk: a rename is durable only then."""
    if ON_WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if ON_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
