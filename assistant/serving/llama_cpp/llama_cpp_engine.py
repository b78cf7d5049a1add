"""The engine of this process on a CPU: llama.cpp over one base in memory, with an adapter for each request.

Every request names the adapter of its version, so that any number of versions are served side by side, and a version
that is trained while the app runs joins by opening the base again beside the running replies: its weights are mapped
from one file, and opening takes a fraction of a second.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from assistant.bases.base import Base, FileBits
from assistant.errors import UnknownModel
from assistant.free_memory import free_ram
from assistant.registry.versions import Manifest, Version, Versions
from assistant.serving.engine import ReleaseFollower
from assistant.serving.llama_cpp.attached_version import AttachedVersion
from assistant.serving.llama_cpp.llama_base import LlamaBase
from assistant.serving.llama_cpp.llama_server import LlamaServer

log = logging.getLogger(__name__)

MAX_ADAPTERS = 8
"""Versions whose adapters are attached to the base; of more, the one that was named the longest ago is left out."""
CACHE_BYTES = 512 * 2**20
"""Most memory of the keys and values of all replies; never more than a quarter of what is free."""
CHECK_SECONDS = 0.2
"""How often the registry is asked which version is released."""


class LlamaCppEngine:
    """An `Engine` on llama.cpp."""

    name = "llama.cpp"

    def __init__(
        self,
        registry: Versions,
        version: Version,
        cache_bytes: int | None = None,
        quantize: FileBits | None = None,
    ) -> None:
        """Load `version` and start to serve it.

        `cache_bytes`: most memory of all replies' keys and values; None chooses. `quantize`: see `base_file`. Raises
        ModelError if the base cannot be converted or loaded, VersionError if the adapter does not fit it.
        """
        self._registry = registry
        self._cache_bytes = cache_bytes or min(CACHE_BYTES, free_ram() // 4)
        self._quantize = quantize
        self._servers: dict[Base, LlamaServer] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._released = version
        self._attach(version)
        self._follower = ReleaseFollower(registry, lambda: self.version.id, self._swap, CHECK_SECONDS)

    @property
    def version(self) -> Version:
        """The released version."""
        return self._released

    @property
    def versions(self) -> list[str]:
        """Ids of the versions that a reply may name, oldest first."""
        return [manifest.id for manifest in self._registry.servable()]

    @property
    def running(self) -> bool:
        """Whether replies can be generated now."""
        return bool(self._servers)

    def manifest(self, version_id: str) -> Manifest:
        """See `Engine.manifest`."""
        return self._registry.manifest(version_id)

    @contextmanager
    def lease(self, version_id: str | None = None) -> Iterator[AttachedVersion]:
        """See `Engine.lease`."""
        while (attached := self._take(version_id)) is None:
            self.prepare(version_id)
        try:
            yield attached
        finally:
            attached.server.give_back()

    def prepare(self, version_id: str | None) -> None:
        """See `Engine.prepare`."""
        if version_id is None or self._find(version_id) is not None:
            return
        if version_id not in self.versions:
            raise UnknownModel(f"There is no version {version_id!r} here that can chat.")
        self._attach(self._registry.open(version_id))
        log.info("Serving %s beside %s", version_id, self.version.id)

    def close(self) -> None:
        """Stop serving. Replies that are being generated end with an error."""
        self._follower.close()
        with self._lock:
            servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.retire(at_once=True)

    def _take(self, version_id: str | None) -> AttachedVersion | None:
        with self._lock:
            attached = self._find(version_id)
            if attached is not None:
                attached.server.take()
            return attached

    def _find(self, version_id: str | None) -> AttachedVersion | None:
        name = version_id or self._released.id
        for server in list(self._servers.values()):
            if name in server.versions:
                return AttachedVersion(server.versions[name], server)
        return None

    def _swap(self, version_id: str) -> None:
        version = self._registry.open(version_id)
        self._attach(version)
        before, self._released = self._released, version
        log.info("Now serving %s instead of %s", version_id, before.id)

    def _attach(self, version: Version) -> None:
        """Open the version's base again, with its adapter beside those that are attached already."""
        with self._loading:
            known = version.manifest.base
            before = self._servers.get(known)
            if before is not None and version.id in before.versions:
                before.versions.move_to_end(version.id)
                return
            base = (
                before.base
                if before
                else LlamaBase.read(known, self._registry.home, self._cache_bytes, self._quantize)
            )
            versions = OrderedDict(before.versions if before else {})
            versions[version.id] = version
            while len(versions) > MAX_ADAPTERS:
                del versions[next(name for name in versions if name not in (self._released.id, version.id))]
            server = LlamaServer(base, versions, before)
            with self._lock:
                self._servers[known] = server
            if before is not None:
                before.retire()
