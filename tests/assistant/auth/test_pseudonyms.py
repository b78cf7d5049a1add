"""The home's secret: of processes that start at once, all compute the same pseudonyms."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from assistant.auth import pseudonyms
from assistant.auth.pseudonyms import Raters


def test_apps_that_start_at_once_on_a_new_home_share_its_secret(tmp_path: Path) -> None:
    together = Barrier(8)

    def begin(_: int) -> str:
        together.wait()
        return Raters(tmp_path).pseudonym("key", "ann")

    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(begin, range(8)))
    assert names == {Raters(tmp_path).pseudonym("key", "ann")}
    (secret,) = tmp_path.iterdir()
    assert len(secret.read_bytes()) == 32
    assert secret.stat().st_mode & 0o777 == 0o600


def test_a_file_system_without_hard_links_keeps_the_secret_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no hard links")

    monkeypatch.setattr(pseudonyms.os, "link", refuse)
    first = Raters(tmp_path).pseudonym(None, "ann")
    assert Raters(tmp_path).pseudonym(None, "ann") == first
    assert os.listdir(tmp_path) == ["raters.secret"]
