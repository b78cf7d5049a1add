"""Files that are replaced whole."""

import os
from pathlib import Path

import pytest

from feedback_store import atomic_files
from feedback_store.atomic_files import flush, write_atomically


def test_a_file_is_replaced_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    for text in ("old", "neu, 新"):
        write_atomically(tmp_path / "file.json", text)
        assert (tmp_path / "file.json").read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]


def test_a_file_stays_as_it_was_if_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    write_atomically(tmp_path / "file.json", "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "file.json", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file.json", "old")]


def test_on_windows_a_folder_is_not_opened_and_a_file_is_opened_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows refuses it: folders altogether, and flushing what is open for reading alone."""
    writable: set[int] = set()
    opened, flushed = os.open, os.fsync

    def open_as_windows(path: Path, flags: int) -> int:
        if path.is_dir():
            raise PermissionError(13, "Permission denied")
        descriptor = opened(path, flags)
        writable.update({descriptor} if flags & os.O_RDWR else ())
        return descriptor

    def flush_as_windows(descriptor: int) -> None:
        if descriptor not in writable:
            raise OSError(9, "Bad file descriptor")
        flushed(descriptor)

    (tmp_path / "file").write_text("text")
    monkeypatch.setattr(atomic_files, "ON_WINDOWS", True)
    monkeypatch.setattr(os, "open", open_as_windows)
    monkeypatch.setattr(os, "fsync", flush_as_windows)
    flush(tmp_path)
    flush(tmp_path / "file")
    assert writable
