"""Audited admin actions for one home: each is written to the audit trail before it is carried out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from assistant.admin.audit import Audit
from assistant.admin.cycle_runner import CycleRunner
from assistant.errors import AssistantError, CommandError
from assistant.events.event import Event
from assistant.registry import live_comparison
from assistant.registry.versions import Manifest, Versions

Result = TypeVar("Result")
EXPORT_FORMATS = ("peft", "merged", "gguf")
"""Formats for other programs that the dashboard offers."""


class AdminActions:
    """The admin actions of one home. `admin` is the name written to the audit trail."""

    def __init__(self, versions: Versions, runner: CycleRunner) -> None:
        self.versions = versions
        self.runner = runner
        self.audit = Audit(versions.home)

    @property
    def home(self) -> Path:
        """The data directory: feedback, versions and cycles."""
        return self.versions.home

    def release(self, admin: str, version: str, why: str = "") -> None:
        """Release a version. Raises VersionError if it is unknown, damaged or cannot chat."""
        before = self.versions.released()
        self._audited(
            admin,
            "release",
            f"{version} instead of {before}; gate: {verdict(self.versions.manifest(version))}; {why}".rstrip(
                "; "
            ),
            lambda: self.versions.release(version, Event.of("released_by", who=admin, why=why)),
        )

    def roll_back(self, admin: str, why: str = "") -> str:
        """Release the version that was served before; returns its id. Raises VersionError if there is none."""
        before = self.versions.released()
        return self._audited(
            admin,
            "roll back",
            f"from {before}; {why}".rstrip("; "),
            lambda: self.versions.roll_back(
                Event.of("rolled_back_by", version=str(before), who=admin, why=why)
            ),
        )

    def begin_cycle(self, admin: str) -> None:
        """Start a cycle as a process. Raises CommandError if one is running, or packages are missing."""
        self._audited(admin, "run a cycle", "", lambda: self.runner.begin_cycle(admin))

    def cancel_cycle(self, admin: str) -> bool:
        """Stop the running cycle; the next run resumes at the first unfinished step. Returns whether one ran."""
        return self._audited(admin, "cancel the cycle", "", self.runner.cancel)

    def discard_cycle(self, admin: str) -> Event:
        """End an unfinished cycle; its record stays. Returns what came of it; raises CommandError."""
        if self.runner.running() is not None:
            raise CommandError(Event.of("cycle_running"))
        return self._audited(admin, "discard the cycle", "", lambda: self.runner.call("cycle", "--discard"))

    def start_trial(self, admin: str, version: str, share: float) -> Event:
        """Start a live comparison in which a version serves a share of conversations, above 0 and below 1.

        Raises CommandError.
        """
        if not 0 < share < 1:
            raise CommandError(Event.of("live_share_impossible", share=share))
        self.versions.manifest(version)  # Only the id of a known version may reach a command line.
        return self._audited(
            admin,
            "start a live comparison",
            f"{version}, {100 * share:g} % of conversations",
            lambda: self.runner.call("trial", "start", version, "--share", f"{share:g}"),
        )

    def stop_trial(self, admin: str) -> Event:
        """End the live comparison. Returns how it ended; raises CommandError."""
        under_way = live_comparison.read(self.home)
        detail = f"{under_way.candidate} beside {under_way.released}" if under_way else ""
        return self._audited(
            admin, "stop the live comparison", detail, lambda: self.runner.call("trial", "stop")
        )

    def export_version(self, admin: str, version: str, kind: str) -> Path:
        """The folder of a version in a format for other programs, written if it is not there yet.

        `kind`: one of EXPORT_FORMATS. Raises VersionError if the version is unknown, CommandError.
        """
        self.versions.manifest(version)  # Only the id of a known version may reach a command line.
        folder = self.home / "exports" / f"{version}-{kind}"

        def write() -> None:
            if not folder.exists():
                self.runner.call("export", version, "--format", kind, "--out", str(folder))

        self._audited(admin, "export", f"{version} as {kind}", write)
        return folder

    def exported(self, admin: str, rows: str) -> None:
        """Record that an admin exports rows, described by `rows`."""
        self.audit.write(admin, "export", rows)

    def _audited(self, admin: str, action_name: str, detail: str, action: Callable[[], Result]) -> Result:
        try:
            self.audit.write(admin, action_name, detail)
        except OSError as error:
            raise CommandError(
                Event.of("audit_unwritable", path=str(self.audit.path), error=str(error.strerror))
            ) from error
        try:
            return action()
        except AssistantError as error:
            self.audit.write(admin, f"{action_name}: failed", str(error))
            raise


def export_formats(manifest: Manifest) -> tuple[str, ...]:
    """The formats in which a version can be exported: see `python -m alignment export`."""
    whole = manifest.stage != "reward" and not manifest.base.quantize
    return tuple(name for name in EXPORT_FORMATS if (manifest.adapter if name == "peft" else whole))


def verdict(manifest: Manifest) -> str:
    """The gate's verdict on a version: promote, hold or reject; "none" if it was not judged."""
    gate: dict[str, Any] = manifest.gate or {}
    return str(gate.get("verdict", "none"))
