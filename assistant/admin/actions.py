"""What an admin does to a running app, each act in the trail before it is done."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from assistant.admin.audit import Audit
from assistant.admin.cycle_runner import CycleRunner
from assistant.errors import AssistantError, CommandError
from assistant.events.event import Event
from assistant.registry import live_comparison
from assistant.registry.versions import Manifest, Versions

Done = TypeVar("Done")


class AdminActions:
    """The levers of one home. Every method that changes something says who pulled it."""

    def __init__(self, versions: Versions, runner: CycleRunner) -> None:
        self.versions = versions
        self.runner = runner
        self.audit = Audit(versions.home)

    @property
    def home(self) -> Path:
        """The folder of feedback and versions."""
        return self.versions.home

    def release(self, who: str, version: str, why: str = "") -> None:
        """Serve a version to everybody. Raises VersionError if it is unknown, damaged or cannot chat."""
        before = self.versions.released()
        self._traced(
            who,
            "release",
            f"{version} instead of {before}; gate: {verdict(self.versions.manifest(version))}; {why}".rstrip(
                "; "
            ),
            lambda: self.versions.release(version, Event.of("released_by", who=who, why=why)),
        )

    def roll_back(self, who: str, why: str = "") -> str:
        """Serve again what was served before; its id. Raises VersionError if nothing was."""
        before = self.versions.released()
        return self._traced(
            who,
            "roll back",
            f"from {before}; {why}".rstrip("; "),
            lambda: self.versions.roll_back(
                Event.of("rolled_back_by", version=str(before), who=who, why=why)
            ),
        )

    def begin_cycle(self, who: str) -> None:
        """Start a cycle as a process. Raises CommandError if one runs already, or none can here."""
        self._traced(who, "run a cycle", "", lambda: self.runner.begin_cycle(who))

    def cancel_cycle(self, who: str) -> bool:
        """End the cycle that runs; whether there was one. The next goes on from its last finished step."""
        return self._traced(who, "cancel the cycle", "", self.runner.cancel)

    def start_trial(self, who: str, version: str, share: float) -> Event:
        """Let a version serve a share (0 to 1) of conversations; an event of what was started. Raises CommandError."""
        if not 0 < share <= 1:
            raise CommandError(Event.of("live_share_impossible", share=share))
        self.versions.manifest(version)  # Known by name: nothing else is handed to a command.
        return self._traced(
            who,
            "start a live comparison",
            f"{version}, {100 * share:g} % of conversations",
            lambda: self.runner.call("trial", "start", version, "--share", f"{share:g}"),
        )

    def stop_trial(self, who: str) -> Event:
        """End the live comparison; an event of how it ended. Raises CommandError."""
        under_way = live_comparison.read(self.home)
        detail = f"{under_way.candidate} beside {under_way.released}" if under_way else ""
        return self._traced(
            who, "stop the live comparison", detail, lambda: self.runner.call("trial", "stop")
        )

    def exported(self, who: str, what: str) -> None:
        """Write down that somebody takes rows away."""
        self.audit.write(who, "export", what)

    def _traced(self, who: str, what: str, detail: str, act: Callable[[], Done]) -> Done:
        try:
            self.audit.write(who, what, detail)
        except OSError as error:
            raise CommandError(
                Event.of("audit_unwritable", path=str(self.audit.path), error=str(error.strerror))
            ) from error
        try:
            return act()
        except AssistantError as error:
            self.audit.write(who, f"{what}: failed", str(error))
            raise


def verdict(manifest: Manifest) -> str:
    """What the gate said of a version: promote, hold or reject; "none" where it was never asked."""
    gate: dict[str, Any] = manifest.gate or {}
    return str(gate.get("verdict", "none"))
