"""The commands that release versions and list them."""

import shutil
from pathlib import Path

import pytest
from helpers.empty_versions import add
from helpers.tiny_home import tiny_home

from alignment.__main__ import main
from assistant.registry.versions import Versions


def test_versions_are_released_rolled_back_and_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    versions = Versions(tiny_home(home))
    assert add(versions, "v1") == "v2"
    assert main(["release", "--home", str(home), "v2", "--why", "it answers better"]) == 0
    assert versions.released() == "v2"
    capsys.readouterr()
    assert main(["versions", "--home", str(home)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == ["v1", "v2"]
    assert listed[1].endswith("released")
    assert main(["rollback", "--home", str(home)]) == 0
    assert versions.released() == "v1"
    assert main(["release", "--home", str(home), "v9"]) == 2
    shutil.copytree(home / "versions" / "v1", home / "versions" / "v3")
    assert main(["release", "--home", str(home), "v3"]) == 2
    capsys.readouterr()
    assert main(["versions", "--home", str(home)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].endswith("released")
    assert listed[2].startswith("v3    Version v3 in ") and "manifest.json is that of v1" in listed[2]
    assert versions.released() == "v1"
