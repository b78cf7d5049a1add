"""The engine of this process: transformers' continuous batching over the released version, and others on request.

A reply holds its version from its first token to its last: a version that is replaced finishes its replies, then
stops. Weights that two versions share are in memory once.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from assistant.errors import EngineBusy, UnknownModel
from assistant.registry.versions import Manifest, Version, Versions
from assistant.serving.batch import BatchedVersion
from assistant.serving.bitsandbytes_compat import share_memory
from assistant.serving.engine import MAX_OTHER_VERSIONS, ReleaseFollower
from assistant.serving.loading import Placement, load_for_serving
from assistant.serving.peft_compat import weights_by_name

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.2
"""How often the registry is asked which version is released."""
IDLE_SECONDS = 300.0
"""How long a version that a request named stays in memory after its last reply."""


class TransformersEngine:
    """An `Engine` whose models run in this process."""

    name = "transformers"

    def __init__(self, registry: Versions, version: Version, placement: Placement | None = None) -> None:
        """Load `version` and start to serve it. Raises ModelError or VersionError if it cannot be loaded.

        `placement`: the device and number type; None chooses the best.
        """
        self._registry = registry
        self._placement = placement or Placement()
        self._released = BatchedVersion(version, load_for_serving(version, registry.home, self._placement))
        self._others: dict[str, BatchedVersion] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._follower = ReleaseFollower(
            registry, lambda: self.version.id, self._swap, CHECK_SECONDS, self._retire_idle
        )

    @property
    def version(self) -> Version:
        """The released version."""
        return self._released.version

    @property
    def versions(self) -> list[str]:
        """Ids of the versions that a reply may name, oldest first."""
        return [manifest.id for manifest in self._registry.servable()]

    @property
    def in_memory(self) -> list[str]:
        """Ids of the versions that are loaded, the released one first."""
        with self._lock:
            return [self._released.version.id, *self._others]

    @property
    def running(self) -> bool:
        """Whether replies can be generated now."""
        return self._released.running

    def manifest(self, version_id: str) -> Manifest:
        """See `Engine.manifest`."""
        return self._registry.manifest(version_id)

    @contextmanager
    def lease(self, version_id: str | None = None) -> Iterator[BatchedVersion]:
        """See `Engine.lease`."""
        while (served := self._take(version_id)) is None:
            self.prepare(version_id)
        try:
            yield served
        finally:
            with self._lock:
                served.leases -= 1
                if version_id is not None:
                    served.last_named = time.monotonic()

    def prepare(self, version_id: str | None) -> None:
        """See `Engine.prepare`."""
        with self._loading:
            with self._lock:
                served = self._find(version_id)
                if served is not None:
                    served.last_named = time.monotonic() if version_id else served.last_named
                    return
            if version_id not in self.versions:
                raise UnknownModel(f"There is no version {version_id!r} here that can chat.")
            self._make_room(str(version_id))
            served = self._load(str(version_id))
            served.last_named = time.monotonic()
            with self._lock:
                self._others[served.version.id] = served
        log.info("Serving %s beside %s", version_id, self.version.id)

    def close(self) -> None:
        """See `Engine.close`."""
        self._follower.close()
        for served in [self._released, *self._others.values()]:
            served.stop()

    def _take(self, version_id: str | None) -> BatchedVersion | None:
        with self._lock:
            served = self._find(version_id)
            if served is not None:
                served.leases += 1
            return served

    def _find(self, version_id: str | None) -> BatchedVersion | None:
        if version_id in (None, self._released.version.id):
            return self._released
        return self._others.get(str(version_id))

    def _load(self, version_id: str) -> BatchedVersion:
        version = self._registry.open(version_id)
        loaded = load_for_serving(version, self._registry.home, self._placement)
        share_weights(loaded.model, self._released.model)
        return BatchedVersion(version, loaded)

    def _make_room(self, version_id: str) -> None:
        with self._lock:
            idle = sorted(
                (served for served in self._others.values() if not served.leases),
                key=lambda served: served.last_named,
            )
            while len(self._others) >= MAX_OTHER_VERSIONS and idle:
                self._others.pop(idle[0].version.id)
                idle.pop(0).retire()
            if len(self._others) >= MAX_OTHER_VERSIONS:
                raise EngineBusy(
                    f"{version_id} cannot be loaded now: {', '.join(self._others)} are in use beside "
                    f"{self.version.id}. Try again in a moment."
                )

    def _swap(self, version_id: str) -> None:
        with self._loading:
            # A version that is in memory takes over as it is, so that a rollback happens at once.
            served = self._others.get(version_id) or self._load(version_id)
            with self._lock:
                self._others.pop(version_id, None)
                before, self._released = self._released, served
                self._others[before.version.id] = before
        log.info("Now serving %s instead of %s", version_id, before.version.id)

    def _retire_idle(self) -> None:
        """Stop versions that no reply uses: a replaced one at once, one that a request named after IDLE_SECONDS."""
        oldest = time.monotonic() - IDLE_SECONDS
        with self._lock:
            idle = [
                served for served in self._others.values() if not served.leases and served.last_named < oldest
            ]
            for served in idle:
                del self._others[served.version.id]
                served.retire()


def share_weights(model: Any, other: Any) -> int:
    """Let `model` use `other`'s memory for every weight that is the same in both; returns the bytes saved.

    With an adapter merged, these are the weights that the adapter does not change (embeddings, norms); with the
    adapter beside a quantized base, the whole base. Neither model may be trained after this.
    """
    candidates, saved = weights_by_name(other), 0
    for name, weight in weights_by_name(model).items():
        same = candidates.get(name)
        if same is None or _kind(same) != _kind(weight) or same.data_ptr() == weight.data_ptr():
            continue
        if torch.equal(same, weight):
            share_memory(weight, same)
            saved += weight.nbytes
    return saved


def _kind(weight: torch.Tensor) -> tuple[torch.Size, torch.dtype, torch.device]:
    return weight.shape, weight.dtype, weight.device
