"""Check the files of a snapshot against its manifest; needs no package for training."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.hashing import sha256_file

MANIFEST = "manifest.json"


def damages(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each file of a snapshot that is missing or differs from its manifest."""
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            yield f"The snapshot in {folder} has no {name} any more."
        elif sha256_file(path) != expected:
            yield f"The snapshot in {folder} has another {name} than was written."
