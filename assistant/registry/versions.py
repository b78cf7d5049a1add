"""The registry of versions on disk: list, open, add, release, roll back.

    HOME/versions/v2/manifest.json          what the version is and how it came to be
    HOME/versions/v2/adapter_config.json    a plain PEFT folder, absent for a bare base
    HOME/versions/v2/adapter_model.safetensors
    HOME/versions/released.json             the served version and the history of releases
    HOME/versions/given_ids.json            every id that a version has or had

A version folder is written aside and renamed, and `released.json` is replaced atomically, so that neither a reader nor
a killed writer ever sees half a version. Once a version is added, its files never change; its manifest changes once,
when `record_gate` writes the gate's decision into it. This module needs no model library.
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assistant.bases.base import Base
from assistant.errors import HomeError, VersionError
from assistant.events.describe import describe
from assistant.events.event import Event
from feedback_store.atomic_files import flush, write_atomically
from feedback_store.database.write_lock import WriteLock
from feedback_store.hashing import sha256_file

_ID = re.compile(r"v[1-9][0-9]*")
_GIVEN = "given_ids.json"


@dataclass(frozen=True)
class Manifest:
    """What a version is: enough to serve it and to train it again."""

    id: str
    base: Base
    parent: str | None
    stage: str
    """The stage that trained it ("pretrain", "sft", "kto", …), or "import"."""
    created: str
    """UTC, ISO 8601."""
    adapter: bool = True
    recipe: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    """Hash of the training rows, and their counts by signal."""
    libraries: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    gate: dict[str, Any] | None = None
    """The gate's decision; None before there is one."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of the folder except the manifest."""


@dataclass(frozen=True)
class Version:
    """A version on disk whose files were checked."""

    manifest: Manifest
    folder: Path

    @property
    def id(self) -> str:
        """For example "v2"."""
        return self.manifest.id


class Versions:
    """The registry in `home/versions`. Cheap to construct; every call reads the disk again."""

    def __init__(self, home: Path) -> None:
        """Create the folder if it is missing. Raises HomeError if the home cannot be written."""
        self.home = home
        self.folder = home / "versions"
        # Two releases at once, by two processes too, must both be in the history.
        self._releasing = WriteLock(self.folder / ".releasing")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise HomeError(
                f"The home folder {home} cannot be written ({error.strerror}). "
                "Choose another with --home, or correct its permissions."
            ) from error

    def ids(self) -> list[str]:
        """Ids in the order in which the versions were added."""
        names = [
            entry.name for entry in self.folder.iterdir() if _ID.fullmatch(entry.name) and entry.is_dir()
        ]
        return sorted(names, key=lambda name: int(name[1:]))

    def manifest(self, version_id: str) -> Manifest:
        """A version's manifest.

        Raises VersionError if it is unknown, its manifest cannot be read, or its folder bears another version's id.
        """
        folder = self.folder / version_id
        if not _ID.fullmatch(version_id) or not folder.is_dir():
            code = "released_version_unknown" if version_id == self.released() else "version_unknown"
            raise VersionError(Event.of(code, version=version_id, home=str(self.home), known=self.ids()))
        try:
            raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            manifest = Manifest(**{**raw, "base": Base(**raw["base"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise VersionError(_damaged(folder, Event.of("manifest_unreadable", error=str(error)))) from error
        if manifest.id != version_id:
            # A copied folder would serve one version under two names, and votes would count for the wrong one.
            raise VersionError(_damaged(folder, Event.of("manifest_of_another", version=str(manifest.id))))
        return manifest

    def open(self, version_id: str) -> Version:
        """Read a version and check its files against its manifest.

        Raises VersionError if it is unknown or damaged.
        """
        manifest, folder = self.manifest(version_id), self.folder / version_id
        for name, expected in manifest.files.items():
            try:
                actual = sha256_file(folder / name)
            except OSError as error:
                why = Event.of("file_unreadable", path=name, error=str(error.strerror))
                raise VersionError(_damaged(folder, why)) from error
            if actual != expected:
                raise VersionError(_damaged(folder, Event.of("file_changed", path=name)))
        return Version(manifest, folder)

    def servable(self) -> list[Manifest]:
        """Versions that can chat, oldest first: no reward models. Their files are not checked before `open`."""
        manifests = []
        for version_id in self.ids():
            with contextlib.suppress(VersionError):
                manifests.append(self.manifest(version_id))
        return [manifest for manifest in manifests if manifest.stage != "reward"]

    def next_id(self) -> str:
        """The id after the newest one. One that was given is never given again, also if its version was deleted."""
        return f"v{max((int(name[1:]) for name in self._given()), default=0) + 1}"

    def check_new(self, version_id: str) -> None:
        """Raises VersionError if a new version cannot have this id: it is malformed, taken, or a deleted version's."""
        if not _ID.fullmatch(version_id):
            raise VersionError(
                f"{version_id!r} is no version id. Use v and a number, such as {self.next_id()}."
            )
        if version_id in self.ids():
            raise self._exists(version_id)
        if version_id in self._given():
            raise VersionError(
                f"{version_id} was the id of a version that is deleted, and replies and feedback still name it. Leave "
                f"--output_version out to get {self.next_id()}."
            )

    def _given(self) -> set[str]:
        """Every id that a version of this home has or had, as far as is known."""
        try:
            listed = json.loads((self.folder / _GIVEN).read_text(encoding="utf-8"))
            recorded = {str(name) for name in listed if _ID.fullmatch(str(name))}
        except (OSError, ValueError, TypeError):
            # A home from before, or damaged: folders and releases say most of it.
            recorded = set()
        with contextlib.suppress(VersionError):
            recorded |= {
                entry["version"] for entry in self.history() if _ID.fullmatch(str(entry.get("version")))
            }
        return recorded | set(self.ids())

    def _exists(self, version_id: str) -> VersionError:
        return VersionError(
            f"Version {version_id} exists already in {self.home} and versions are never overwritten. "
            f"Leave --output_version out to get {self.next_id()}."
        )

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder to write a version's files in; it is removed unless `add` has made it a version."""
        folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, manifest: Manifest, staged: Path) -> Version:
        """Make the staged folder a version: write its manifest, flush, rename.

        `manifest.files` is filled here. Raises VersionError if the id is malformed or taken.
        """
        if not _ID.fullmatch(manifest.id):
            raise VersionError(
                f"{manifest.id!r} is no version id. Use v and a number, such as {self.next_id()}."
            )
        files = {
            path.relative_to(staged).as_posix(): path
            for path in sorted(staged.rglob("*"))
            if path.is_file() and path != staged / "manifest.json"
        }
        content = {**asdict(manifest), "files": {name: sha256_file(path) for name, path in files.items()}}
        (staged / "manifest.json").write_text(_json(content), encoding="utf-8")
        staged.chmod(0o755)
        for path in [*files.values(), staged / "manifest.json"]:
            flush(path)
        target = self.folder / manifest.id
        try:
            # Renaming onto a folder that holds files fails, so two writers of one id cannot both win.
            os.rename(staged, target)
        except OSError as error:
            if target.exists():
                raise self._exists(manifest.id) from error
            raise
        flush(self.folder)
        with self._releasing:
            given = sorted(self._given(), key=lambda name: int(name[1:]))
            write_atomically(self.folder / _GIVEN, _json(given))
        return self.open(manifest.id)

    def record_gate(self, version_id: str, decision: dict[str, Any]) -> None:
        """Write the gate's decision, as JSON holds it, into the manifest of a version that has none yet.

        The same decision again changes nothing, so that a cycle may repeat the step. Raises VersionError if another
        decision stands there already, or if the version is unknown or damaged.
        """
        version = self.open(version_id)
        if version.manifest.gate == decision:
            return
        if version.manifest.gate is not None:
            raise VersionError(Event.of("gate_already_decided", version=version_id))
        path = version.folder / "manifest.json"
        content = {**json.loads(path.read_text(encoding="utf-8")), "gate": decision}
        write_atomically(path, _json(content))

    def released(self) -> str | None:
        """Id of the served version, None before the first release.

        Raises VersionError if the pointer is damaged.
        """
        return self._pointer()["version"]

    def history(self) -> list[dict[str, Any]]:
        """Every release in order: {"version", "at", "why"}, and "event" where a program gave the reason."""
        return self._pointer()["history"]

    def release(self, version_id: str, why: str | Event = "") -> None:
        """Make a version the served one. It is checked first, so that a damaged one is never served.

        `why`: the reason that the history keeps, as a text or as an event. Raises VersionError for a reward model: it
        scores replies and cannot write one.
        """
        if self.open(version_id).manifest.stage == "reward":
            raise VersionError(Event.of("reward_model_released", version=version_id))
        entry: dict[str, Any] = {
            "version": version_id,
            "at": now(),
            "why": describe(why) if isinstance(why, Event) else why,
        }
        if isinstance(why, Event):
            entry["event"] = why.content()
        with self._releasing:
            history = [*self.history(), entry]
            write_atomically(
                self.folder / "released.json", _json({"version": version_id, "history": history})
            )

    def roll_back(self, why: str | Event = "") -> str:
        """Release the version that was served before this one; its id.

        Raises VersionError if none was.
        """
        before = self.released_before()
        if before is None:
            raise VersionError(Event.of("no_earlier_release"))
        self.release(before, why or Event.of("rolled_back", version=str(self.released())))
        return before

    def released_before(self) -> str | None:
        """The version that was served before this one, to which `roll_back` goes; None if none was."""
        served = self.released()
        return next(
            (entry["version"] for entry in reversed(self.history()) if entry["version"] != served), None
        )

    def _pointer(self) -> dict[str, Any]:
        path = self.folder / "released.json"
        try:
            pointer = json.loads(path.read_text(encoding="utf-8"))
            return {"version": pointer["version"], "history": list(pointer["history"])}
        except FileNotFoundError:
            return {"version": None, "history": []}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise VersionError(
                Event.of("release_pointer_unreadable", path=str(path), error=str(error))
            ) from error


def now() -> str:
    """The present moment in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2, default=str) + "\n"


def _damaged(folder: Path, why: Event) -> Event:
    return Event.of("version_damaged", version=folder.name, home=str(folder.parent), why=why)
