"""Where backups lie: any fsspec URL. Names below it are relative, with forward slashes."""

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
# What speaks a protocol; s3fs and gcsfs are released together with fsspec, each for one version of it.
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
    """The files below one URL. Every failure is a BackupFailed that names the URL without its password."""

    def __init__(self, url: str, *, create: bool = False) -> None:
        """`create` makes a dataset or bucket of the Hub where there is none, private.

        Raises: MissingDependency (with the command that installs the driver), BackupFailed.
        """
        self.url = re.sub(r"//[^/@]*@", "//", url)
        protocol = url.partition("://")[0] if "://" in url else "file"
        if protocol == "hf":
            with self._explained("be reached"):
                hub.check(url, create)
        try:
            with self._explained("be reached"):
                self._fs, root = fsspec.url_to_fs(url)
        except MissingDependency as error:
            package = DRIVERS.get(protocol)
            raise MissingDependency(
                f"Nothing here speaks {protocol}://. Install it with: pip install {package}"
                if package
                else f"Nothing here speaks {protocol}://: {error}."
            ) from error
        self._root = str(root).rstrip("/")

    @property
    def folder(self) -> Path | None:
        """The folder, where it lies on this machine."""
        return Path(self._root or "/") if isinstance(self._fs, LocalFileSystem) else None

    def sizes(self) -> dict[str, int]:
        """Every file there, with its size in bytes."""
        with self._explained("be listed"):
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(self._root, detail=True)
            except FileNotFoundError:  # nothing was ever written there
                return {}
        start = len(self._root) + 1
        return {name[start:]: int(info["size"]) for name, info in found.items()}

    def age(self, name: str) -> float:
        """Seconds since a file was written; 0 where the place cannot say."""
        try:
            written = self._fs.modified(f"{self._root}/{name}")
        except Exception:  # not every place knows, and each says so in its own way
            return 0.0
        written = written if written.tzinfo else written.replace(tzinfo=UTC)
        return float((datetime.now(UTC) - written).total_seconds())

    def put(self, source: Path, name: str, progress: Progress) -> None:
        """Copy a file there. On this machine's disk it gets its name once all of it is written."""
        with self._explained("be written"), source.open("rb") as file:
            if self.folder is not None:
                _put_on_disk(file, self.folder / name, progress)
                return
            # Object stores and the Hub show a file when it is closed, never before.
            with self._fs.open(f"{self._root}/{name}", "wb") as target:
                while piece := file.read(CHUNK):
                    target.write(piece)
                    progress(len(piece))

    def fetch(self, name: str, target: Path, progress: Progress) -> str:
        """Copy a file from there and flush it; its SHA-256."""
        digest = hashlib.sha256()
        with (
            self._explained("be read"),
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
        """A small file's content."""
        with self._explained("be read"), self._fs.open(f"{self._root}/{name}", "rb") as file:
            return bytes(file.read())

    def remove(self, names: Iterable[str]) -> None:
        """Delete files; those that are gone already do not matter."""
        with self._explained("be tidied"):
            for name in names:
                # One by one: the Hub's file system takes no list.
                with suppress(FileNotFoundError):
                    self._fs.rm_file(f"{self._root}/{name}")

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except ImportError as error:
            raise MissingDependency(str(error)) from error
        # Each driver has errors of its own: of its HTTP library, of its service, plain ones for a bad URL.
        except Exception as error:
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error!s:.300}"
            raise BackupFailed(
                f"The backups at {self.url} cannot {what} ({reason}). "
                "Check the URL, the network, and who may write there."
            ) from error


def _put_on_disk(file: Any, target: Path, progress: Progress) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=target.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as copy:
            while piece := file.read(CHUNK):
                copy.write(piece)
                progress(len(piece))
            copy.flush()
            os.fsync(copy.fileno())
        os.replace(aside, target)
    finally:
        Path(aside).unlink(missing_ok=True)
