"""The storage of backups: the files below an fsspec URL. Their names are relative to it, with forward slashes."""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from feedback_store.backup import hub
from feedback_store.errors import BackupFailed, MissingDependency, StoreError

CHUNK = 1 << 20  # bytes
# The package that implements each protocol. Every release of s3fs and gcsfs requires the same version of fsspec.
DRIVERS = {
    "s3": f"s3fs=={fsspec.__version__}",
    "s3a": f"s3fs=={fsspec.__version__}",
    "gs": f"gcsfs=={fsspec.__version__}",
    "gcs": f"gcsfs=={fsspec.__version__}",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "smb": "smbprotocol",
}
Progress = Callable[[int], object]


class BackupLocation:
    """The files below one URL. Every failure raises BackupFailed, whose message names the URL without its password."""

    def __init__(self, url: str, *, create: bool = False) -> None:
        """`create` makes a missing dataset or bucket on the Hub, as private.

        Raises: MissingDependency (with the command that installs the driver), BackupFailed.
        """
        self.url = re.sub(r"//[^/@]*@", "//", url)
        protocol = url.partition("://")[0] if "://" in url else "file"
        if protocol == "hf":
            with self._failures_explained("be reached"):
                hub.check(url, create)
        try:
            with self._failures_explained("be reached"):
                self._fs, root = fsspec.url_to_fs(url)
        except MissingDependency as error:
            package = DRIVERS.get(protocol)
            raise MissingDependency(
                f"No driver for {protocol}:// is installed. Install it with: pip install {package}"
                if package
                else f"No driver for {protocol}:// is installed: {error}."
            ) from error
        self._root = str(root).rstrip("/")

    @property
    def folder(self) -> Path | None:
        """The folder on this machine; None for a remote location."""
        return Path(self._root or "/") if isinstance(self._fs, LocalFileSystem) else None

    def sizes(self) -> dict[str, int]:
        """The size in bytes of every file, by name."""
        with self._failures_explained("be listed"):
            self._fs.invalidate_cache()
            try:
                entries = self._fs.find(self._root, detail=True)
            except FileNotFoundError:  # nothing has been written yet
                return {}
        start = len(self._root) + 1
        return {name[start:]: int(info["size"]) for name, info in entries.items()}

    def age(self, name: str) -> float:
        """Seconds since a file was written; 0 where the file system does not record it."""
        try:
            written = self._fs.modified(f"{self._root}/{name}")
        except Exception:  # each driver raises an error of its own where times are unsupported
            return 0.0
        written = written if written.tzinfo else written.replace(tzinfo=UTC)
        return float((datetime.now(UTC) - written).total_seconds())

    def put(self, source: Path, name: str, progress: Progress) -> None:
        """Upload a file. On a local disk it gets its name only after all of it was written."""
        with self._failures_explained("be written"), source.open("rb") as file:
            if self.folder is not None:
                _write_to_disk(file, self.folder / name, progress)
                return
            # In object stores and on the Hub a file appears when it is closed, not before.
            with self._fs.open(f"{self._root}/{name}", "wb") as target:
                while piece := file.read(CHUNK):
                    target.write(piece)
                    progress(len(piece))

    def fetch(self, name: str, target: Path, progress: Progress) -> str:
        """Download a file, flush it to disk, and return its SHA-256 in hexadecimal."""
        digest = hashlib.sha256()
        with (
            self._failures_explained("be read"),
            self._fs.open(f"{self._root}/{name}", "rb") as source,
            target.open("wb") as file,
        ):
            while piece := source.read(CHUNK):
                file.write(piece)
                digest.update(piece)
                progress(len(piece))
            file.flush()
            os.fsync(file.fileno())
        return digest.hexdigest()

    def read(self, name: str) -> bytes:
        """The content of a small file."""
        with self._failures_explained("be read"), self._fs.open(f"{self._root}/{name}", "rb") as file:
            return bytes(file.read())

    def remove(self, names: Iterable[str]) -> None:
        """Delete files; missing ones are ignored."""
        with self._failures_explained("be cleaned up"):
            for name in names:
                # One call a file: the file system of the Hub accepts no list.
                with suppress(FileNotFoundError):
                    self._fs.rm_file(f"{self._root}/{name}")

    @contextmanager
    def _failures_explained(self, action: str) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except ImportError as error:
            raise MissingDependency(str(error)) from error
        # Each driver raises errors of its own: those of its HTTP library or its service, or a plain one for a bad URL.
        except Exception as error:
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error!s:.300}"
            raise BackupFailed(
                f"The backups at {self.url} cannot {action} ({reason}). "
                "Check the URL, the network and your write permission."
            ) from error


def _write_to_disk(file: Any, target: Path, progress: Progress) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as copy:
            while piece := file.read(CHUNK):
                copy.write(piece)
                progress(len(piece))
            copy.flush()
            os.fsync(copy.fileno())
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)
