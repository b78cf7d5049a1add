"""The registry: nothing half written, nothing damaged served, every release remembered."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from assistant.bases.base import Base
from assistant.errors import HomeError, VersionError
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Manifest, Version, Versions, now
from feedback_store.atomic_files import write_atomically


def add(versions: Versions, weights: bytes = b"weights", version_id: str | None = None) -> Version:
    manifest = Manifest(
        id=version_id or versions.next_id(),
        base=Base("starter", "abc"),
        parent=None,
        stage="sft",
        created=now(),
    )
    with versions.staging() as folder:
        (folder / "adapter_model.safetensors").write_bytes(weights)
        return versions.add(manifest, folder)


def test_a_new_home_has_no_versions_and_serves_none(home: Path) -> None:
    versions = Versions(home)
    assert (versions.ids(), versions.released(), versions.history()) == ([], None, [])


def test_versions_are_numbered_in_order_beyond_nine(home: Path) -> None:
    versions = Versions(home)
    for _ in range(11):
        add(versions)
    assert versions.ids() == [f"v{number}" for number in range(1, 12)]


def test_an_id_is_never_given_again_also_after_its_version_was_deleted(home: Path) -> None:
    versions = Versions(home)
    for _ in range(3):
        add(versions)
    shutil.rmtree(home / "versions" / "v3")
    assert versions.next_id() == "v4"
    with pytest.raises(VersionError, match=r"v3 was the id of a version that is deleted.*to get v4"):
        versions.check_new("v3")
    # A home from before lists no ids, and its releases tell of some.
    versions.release("v2")
    (home / "versions" / "given_ids.json").unlink()
    shutil.rmtree(home / "versions" / "v2")
    assert versions.next_id() == "v3"


def test_an_added_version_reads_back_as_written(home: Path) -> None:
    version = add(Versions(home))
    again = Versions(home).open("v1")
    assert again == version
    assert again.manifest.base == Base("starter", "abc")
    assert (again.folder / "adapter_model.safetensors").read_bytes() == b"weights"


def test_a_version_is_never_overwritten(home: Path) -> None:
    versions = Versions(home)
    add(versions, b"first")
    with pytest.raises(VersionError, match=r"v1 exists already.*v2"):
        add(versions, b"second", "v1")
    assert (versions.open("v1").folder / "adapter_model.safetensors").read_bytes() == b"first"


def test_of_an_added_version_only_the_gates_decision_changes_and_that_once(home: Path) -> None:
    versions = Versions(home)
    version = add(versions)
    before = {path.name: path.read_bytes() for path in version.folder.iterdir()}
    for _ in range(2):
        versions.record_gate("v1", {"verdict": "hold"})
    assert versions.open("v1").manifest.gate == {"verdict": "hold"}
    after = {path.name: path.read_bytes() for path in version.folder.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {"manifest.json"}
    old, new = (json.loads(files["manifest.json"]) for files in (before, after))
    assert new == {**old, "gate": {"verdict": "hold"}}
    with pytest.raises(VersionError, match=r"through the gate already.*new candidate"):
        versions.record_gate("v1", {"verdict": "promote"})
    with pytest.raises(VersionError, match="no version 'v9'"):
        versions.record_gate("v9", {"verdict": "hold"})


def test_a_writer_that_fails_leaves_nothing_behind(home: Path) -> None:
    versions = Versions(home)

    def fail() -> None:
        with versions.staging() as folder:
            (folder / "half").write_text("x")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert list((home / "versions").iterdir()) == []


@pytest.mark.parametrize("version_id", ["v7", "../v1", "v0", "latest", ""])
def test_an_unknown_version_is_named_with_those_that_exist(home: Path, version_id: str) -> None:
    versions = Versions(home)
    add(versions)
    with pytest.raises(VersionError, match=r"no version.*Known versions: v1"):
        versions.open(version_id)


@pytest.mark.parametrize("name", ["2", "version2", "v-1", "v2/../v3"])
def test_a_malformed_id_is_refused(home: Path, name: str) -> None:
    with pytest.raises(VersionError, match="no version id"):
        add(Versions(home), version_id=name)


def test_changed_weights_are_found_and_not_released(home: Path) -> None:
    versions = Versions(home)
    add(versions)
    add(versions)
    versions.release("v1")
    (versions.folder / "v2" / "adapter_model.safetensors").write_bytes(b"tampered")
    with pytest.raises(VersionError, match=r"v2 .* is damaged: adapter_model.safetensors is not the file"):
        versions.release("v2")
    assert versions.released() == "v1"


def test_missing_weights_and_a_broken_manifest_are_found(home: Path) -> None:
    versions = Versions(home)
    add(versions)
    add(versions)
    (versions.folder / "v1" / "adapter_model.safetensors").unlink()
    (versions.folder / "v2" / "manifest.json").write_text('{"id": "v2"')
    with pytest.raises(VersionError, match=r"adapter_model\.safetensors cannot be read"):
        versions.open("v1")
    with pytest.raises(VersionError, match=r"manifest\.json cannot be read"):
        versions.open("v2")


def test_a_folder_that_bears_another_versions_id_is_refused_and_the_others_are_listed(home: Path) -> None:
    versions = Versions(home)
    add(versions)
    add(versions)
    versions.release("v1")
    shutil.copytree(versions.folder / "v1", versions.folder / "v3")
    for refused in (versions.manifest, versions.open, versions.release):
        with pytest.raises(VersionError, match=r"v3 .* is damaged: its manifest\.json is that of v1"):
            refused("v3")
    assert versions.released() == "v1"
    assert [manifest.id for manifest in versions.servable()] == ["v1", "v2"]
    # The name is taken all the same.
    assert add(versions).id == "v4"


def test_releases_are_remembered_and_rolled_back(home: Path) -> None:
    versions = Versions(home)
    add(versions)
    add(versions)
    versions.release("v1", "first")
    versions.release("v2", "better")
    assert versions.roll_back("worse after all") == "v1"
    assert versions.released() == "v1"
    assert [(entry["version"], entry["why"]) for entry in versions.history()] == [
        ("v1", "first"),
        ("v2", "better"),
        ("v1", "worse after all"),
    ]


def test_releases_at_once_are_all_in_the_history(home: Path) -> None:
    versions = Versions(home)
    for _ in range(8):
        add(versions)
    together = Barrier(8)

    def release(version_id: str) -> None:
        together.wait()
        # Each with a registry of its own, as processes have.
        Versions(home).release(version_id)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(release, versions.ids()))
    assert sorted(entry["version"] for entry in versions.history()) == versions.ids()


def test_apps_that_start_at_once_on_a_new_home_serve_one_first_version(home: Path) -> None:
    home.mkdir()
    together = Barrier(4)

    def begin(_: int) -> str:
        together.wait()
        return version_to_serve(home, "starter").id

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(begin, range(4))) == {"v1"}
    versions = Versions(home)
    assert (versions.ids(), len(versions.history())) == (["v1"], 1)


def test_without_an_earlier_release_there_is_nothing_to_go_back_to(home: Path) -> None:
    versions = Versions(home)
    add(versions)
    versions.release("v1")
    with pytest.raises(VersionError, match="no earlier release"):
        versions.roll_back()


def test_a_damaged_pointer_is_reported_with_what_to_do(home: Path) -> None:
    versions = Versions(home)
    (home / "versions" / "released.json").write_text("[]")
    with pytest.raises(VersionError, match=r"released.json cannot be read.*release a version again"):
        versions.released()


def test_a_home_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(HomeError, match=r"cannot be written.*--home"):
        Versions(tmp_path / "file" / "home")


def test_an_atomic_write_that_fails_keeps_the_old_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "released.json"
    write_atomically(path, "old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_manifest_hashes_every_file(home: Path) -> None:
    version = add(Versions(home))
    raw = json.loads((version.folder / "manifest.json").read_text())
    assert set(raw["files"]) == {"adapter_model.safetensors"}
