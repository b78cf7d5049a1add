"""A snapshot's files, as far as plain Python can check them: each is the one that was written, or it is named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.hashing import sha256_file

MANIFEST = "manifest.json"


def damages(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Every file of a snapshot that is not as its manifest says, in words."""
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            yield f"The snapshot in {folder} has lost its {name}."
        elif sha256_file(path) != expected:
            yield f"The snapshot in {folder} has another {name} than was written."
