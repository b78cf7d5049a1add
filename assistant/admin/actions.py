"""What an admin does to a running app, each act in the trail before it is done."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from assistant.admin.audit import Audit
from assistant.admin.cycle_runner import Loop
from assistant.errors import AssistantError, LoopError
from assistant.registry import live_comparison
from assistant.registry.versions import Manifest, Versions

Done = TypeVar("Done")


class Control:
    """The levers of one home. Every method that changes something says who pulled it."""

    def __init__(self, versions: Versions, loop: Loop) -> None:
        self.versions = versions
        self.loop = loop
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
            lambda: self.versions.release(version, f"by {who}: {why}".rstrip(": ")),
        )

    def roll_back(self, who: str, why: str = "") -> str:
        """Serve again what was served before; its id. Raises VersionError if nothing was."""
        before = self.versions.released()
        return self._traced(
            who,
            "roll back",
            f"from {before}; {why}".rstrip("; "),
            lambda: self.versions.roll_back(f"rolled back from {before} by {who}: {why}".rstrip(": ")),
        )

    def begin_cycle(self, who: str) -> None:
        """Start a cycle as a process. Raises LoopError if one runs already, or none can here."""
        self._traced(who, "run a cycle", "", lambda: self.loop.begin_cycle(who))

    def cancel_cycle(self, who: str) -> bool:
        """End the cycle that runs; whether there was one. The next goes on from its last finished step."""
        return self._traced(who, "cancel the cycle", "", self.loop.cancel)

    def start_trial(self, who: str, version: str, share: float) -> str:
        """Let a version serve a share (0 to 1) of conversations; what was started, in words. Raises LoopError."""
        if not 0 < share <= 1:
            raise LoopError(f"A share of {100 * share:g} % of conversations is not possible: give 1 to 100.")
        self.versions.manifest(version)  # Known by name: nothing else is handed to a command.
        return self._traced(
            who,
            "start a live comparison",
            f"{version}, {100 * share:g} % of conversations",
            lambda: self.loop.call("trial", "start", version, "--share", f"{share:g}"),
        )

    def stop_trial(self, who: str) -> str:
        """End the live comparison; how it ended, in words. Raises LoopError."""
        under_way = live_comparison.read(self.home)
        detail = f"{under_way.candidate} beside {under_way.released}" if under_way else ""
        return self._traced(who, "stop the live comparison", detail, lambda: self.loop.call("trial", "stop"))

    def exported(self, who: str, what: str) -> None:
        """Write down that somebody takes rows away."""
        self.audit.write(who, "export", what)

    def _traced(self, who: str, what: str, detail: str, act: Callable[[], Done]) -> Done:
        try:
            self.audit.write(who, what, detail)
        except OSError as error:
            raise LoopError(
                f"{self.audit.path} cannot be written ({error.strerror}), and what cannot be traced is not done. "
                "Make room for it, or correct its permissions."
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
