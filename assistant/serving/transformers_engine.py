"""Which versions serve: the released one, and others beside it for as long as somebody asks for them.

A reply holds its version from its first token to its last: a version that is replaced finishes its replies, then
stops. What two versions have in common is in memory once.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from assistant.errors import AssistantError, EngineBusy, UnknownModel
from assistant.registry.versions import Manifest, Version, Versions
from assistant.serving.batch import Chunk, Served, ends_of
from assistant.serving.loading import Placement, load_for_serving
from assistant.serving.weight_sharing import share_weights

__all__ = ["Chunk", "Engine", "Served", "ends_of"]

log = logging.getLogger(__name__)

BESIDE = 2
"""Versions that may serve beside the released one: a live trial's candidate, and one to compare with."""
LOOK_SECONDS = 0.2
"""How often the registry is asked what is released."""
IDLE_SECONDS = 300.0
"""How long a version that was asked for by name stays loaded after its last reply."""


class Engine:
    """Serves the released version of a registry, follows its releases, and loads other versions as they are named."""

    def __init__(self, versions: Versions, version: Version, placement: Placement | None = None) -> None:
        """Loads `version` and starts to serve it. Raises ModelError or VersionError if it cannot be loaded.

        `placement`: on which device and how; the best one if left out.
        """
        self._versions = versions
        self._placement = placement or Placement()
        self._serving = Served(version, load_for_serving(version, versions.home, self._placement))
        self._beside: dict[str, Served] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._refused = ""
        self._stop = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="follow-releases", daemon=True)
        self._follower.start()

    @property
    def version(self) -> Version:
        """The version that new replies come from where no other is named."""
        return self._serving.version

    @property
    def serving(self) -> list[str]:
        """Ids of the versions that a request may name, oldest first; one that is not loaded is loaded then."""
        return [manifest.id for manifest in self._versions.servable()]

    @property
    def loaded(self) -> list[str]:
        """Ids of the versions that are in memory, the released one first."""
        with self._lock:
            return [self._serving.version.id, *self._beside]

    def manifest(self, version_id: str) -> Manifest:
        """What a version is, loaded or not. Raises VersionError if there is none of this name."""
        return self._versions.manifest(version_id)

    @property
    def running(self) -> bool:
        """Whether replies can be made now."""
        return self._serving.running

    @contextmanager
    def lease(self, version_id: str | None = None) -> Iterator[Served]:
        """A version held through one reply, the released one if none is named: a swap neither changes nor stops it.

        One that is not in memory is loaded, which takes a while: on an event loop, await `prepare` in a thread
        before. Raises UnknownModel, EngineBusy, VersionError and ModelError as `prepare` does.
        """
        while (served := self._take(version_id)) is None:
            self.prepare(version_id)
        try:
            yield served
        finally:
            with self._lock:
                served.leases -= 1
                if version_id is not None:
                    served.named_at = time.monotonic()

    def prepare(self, version_id: str | None) -> None:
        """Load a version beside the released one, where it is not in memory yet. None is the released one.

        Raises UnknownModel if there is no such version that can chat, EngineBusy if as many as may are in use,
        VersionError or ModelError if it cannot be loaded.
        """
        with self._loading:
            with self._lock:
                served = self._find(version_id)
                if served is not None:
                    served.named_at = time.monotonic() if version_id else served.named_at
                    return
            if version_id not in self.serving:
                raise UnknownModel(f"There is no version {version_id!r} here that can chat.")
            self._make_room(str(version_id))
            served = self._load(str(version_id))
            served.named_at = time.monotonic()
            with self._lock:
                self._beside[served.version.id] = served
        log.info("Serving %s beside %s", version_id, self._serving.version.id)

    def close(self) -> None:
        """Stop serving; replies in flight fail."""
        self._stop.set()
        self._follower.join()
        for served in [self._serving, *self._beside.values()]:
            served.stop()

    def _take(self, version_id: str | None) -> Served | None:
        with self._lock:
            served = self._find(version_id)
            if served is not None:
                served.leases += 1
            return served

    def _find(self, version_id: str | None) -> Served | None:
        if version_id in (None, self._serving.version.id):
            return self._serving
        return self._beside.get(str(version_id))

    def _load(self, version_id: str) -> Served:
        version = self._versions.open(version_id)
        loaded = load_for_serving(version, self._versions.home, self._placement)
        share_weights(loaded.model, self._serving.loaded.model)
        return Served(version, loaded)

    def _make_room(self, version_id: str) -> None:
        with self._lock:
            idle = sorted(
                (served for served in self._beside.values() if not served.leases),
                key=lambda served: served.named_at,
            )
            while len(self._beside) >= BESIDE and idle:
                self._beside.pop(idle[0].version.id)
                idle.pop(0).retire()
            if len(self._beside) >= BESIDE:
                raise EngineBusy(
                    f"{version_id} cannot be loaded now: {', '.join(self._beside)} are in use beside "
                    f"{self._serving.version.id}. Try again in a moment."
                )

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                released = self._versions.released()
                if released not in (None, self._serving.version.id):
                    self._swap(str(released))
                self._refused = ""
            except AssistantError as error:
                # A damaged release must not take the assistant down: the version before goes on serving.
                if str(error) != self._refused:
                    log.error("Still serving %s: %s", self._serving.version.id, error)
                self._refused = str(error)
            self._retire_idle()

    def _swap(self, released: str) -> None:
        with self._loading:
            # One that serves beside already, or still, takes over as it is: a way back is at once.
            served = self._beside.get(released) or self._load(released)
            with self._lock:
                self._beside.pop(released, None)
                before, self._serving = self._serving, served
                self._beside[before.version.id] = before
        log.info("Now serving %s instead of %s", released, before.version.id)

    def _retire_idle(self) -> None:
        """Stop what nobody uses: a version that was replaced at once, one that was named after a while."""
        longest_ago = time.monotonic() - IDLE_SECONDS
        with self._lock:
            over = [one for one in self._beside.values() if not one.leases and one.named_at < longest_ago]
            for served in over:
                del self._beside[served.version.id]
                served.retire()
