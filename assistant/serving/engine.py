"""The `Engine` protocol: lease a version, stream token chunks. Prompt token ids go in, completion token ids come out.

Every engine serves the released version of one registry, follows its releases, and serves other versions on request.
`transformers_engine` and `llama_cpp` run models in this process; `remote` asks an OpenAI-compatible server. The rest of
the tree uses only the protocols of this file, and this file needs no model library.
"""

import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from assistant.errors import AssistantError
from assistant.registry.versions import Manifest, Version, Versions
from assistant.sampling_settings import Sampling
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer

log = logging.getLogger(__name__)

MAX_OTHER_VERSIONS = 2
"""Versions that may serve beside the released one: a live comparison's candidate, and one to compare with."""


LONGEST_PAUSE = 30.0
"""Seconds, at most, until a released version that could not be served is tried again."""


@dataclass(frozen=True)
class Logprob:
    """One token of a reply and its natural log-probability under the model, before temperature, top-k and top-p."""

    token_id: int
    logprob: float
    likeliest: tuple[tuple[int, float], ...] = ()
    """(token id, log-probability), the likeliest first."""


@dataclass(frozen=True)
class Chunk:
    """The tokens that a reply gained since its last chunk."""

    token_ids: list[int]
    finish_reason: Literal["end", "length"] | None
    """None while the reply goes on; then "end" (the model ended it) or "length" (it reached its limit)."""
    logprobs: tuple[Logprob, ...] = ()
    """One for each token, if the sampling settings ask for them."""
    waiting: int = 0
    """Position in the queue, 1 for the next reply to begin; 0 once the reply is being generated."""


@dataclass(frozen=True)
class TokenScore:
    """How likely one token of a completion was, and which tokens were the likeliest in its place."""

    probability: float
    likeliest: tuple[tuple[int, float], ...]
    """(token id, probability), the likeliest first; only tokens that could be drawn."""


class ServedVersion(Protocol):
    """One version in service, as a lease hands it out."""

    @property
    def version(self) -> Version:
        """The version on disk."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The base's tokenizer."""

    @property
    def window(self) -> int:
        """Longest sequence in tokens, prompt and completion together."""

    @property
    def parameters(self) -> int | None:
        """Number of the model's parameters; None if the engine does not know it."""

    def check_schema(self, schema: str) -> None:
        """Raises FormatRefused if completions cannot be held to this JSON schema. May block: not for an event loop."""

    def stream(self, prompt_ids: list[int], sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Generate one completion and yield its tokens as they come, several a chunk if the reader is slow.

        Closing the iterator cancels the generation. Raises TooLong if the prompt leaves no room in the window,
        EngineBusy if too many replies wait already, EngineError if generation fails.
        """

    def score(
        self, prompt_ids: list[int], completion_ids: list[int], sampling: Sampling, alternatives: int
    ) -> list[TokenScore]:
        """How likely each token of a completion was under these sampling settings, with its likeliest alternatives.

        With temperature 0 the probabilities are the model's own. Blocks for one forward pass: not for an event loop.
        Raises NoTokens if this engine cannot score.
        """


class Engine(Protocol):
    """Serves the released version of a registry, follows its releases, and serves other versions by their id."""

    name: str
    """What generates the replies, such as "llama.cpp"; a stored reply records it."""

    @property
    def version(self) -> Version:
        """The released version: new replies come from it unless they name another."""

    @property
    def versions(self) -> list[str]:
        """Ids of the versions that a reply may name, oldest first. One that is not in memory is loaded on demand."""

    @property
    def running(self) -> bool:
        """Whether replies can be generated now."""

    def manifest(self, version_id: str) -> Manifest:
        """What a version is, whether it is in memory or not. Raises VersionError if it does not exist."""

    def lease(self, version_id: str | None = None) -> AbstractContextManager[ServedVersion]:
        """Hold a version for one reply; None is the released one. A release neither changes nor stops it meanwhile.

        A version that is not in memory is loaded first, which blocks: on an event loop, await `prepare` in a thread
        before. Raises what `prepare` raises.
        """

    def prepare(self, version_id: str | None) -> None:
        """Load a version, if it is not in memory yet; None is the released one.

        Raises UnknownModel if no such version can chat, EngineBusy if as many versions as fit are in use, EngineError,
        VersionError or ModelError if it cannot be loaded.
        """

    def close(self) -> None:
        """Stop serving. Replies that are being generated in this process fail."""


class ReleaseFollower:
    """A thread that calls `serve` with the id of a version when it is released.

    If the released version cannot be served, the one before stays in service. The reason is logged once, and the
    version is tried again after pauses that double up to LONGEST_PAUSE: each try may load a whole model.
    """

    def __init__(
        self,
        registry: Versions,
        current: Callable[[], str],
        serve: Callable[[str], None],
        seconds: float,
        after_check: Callable[[], None] = lambda: None,
    ) -> None:
        """Starts the thread. `current`: id of the version in service. `seconds`: time between two checks.

        `serve` may raise what it likes. `after_check` is called after each check.
        """
        self._registry = registry
        self._current = current
        self._serve = serve
        self._seconds = seconds
        self._after_check = after_check
        self._logged = ""
        self._refused: str | None = None
        """The released version that could not be served at the last try."""
        self._pause = 0.0
        self._next_try = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow-releases", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and wait until it has ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            released = None
            try:
                released = self._registry.released()
                if released in (None, self._current()):
                    self._refused, self._logged = None, ""
                elif released != self._refused or time.monotonic() >= self._next_try:
                    self._serve(str(released))
            except Exception as error:
                # A damaged release must not take the assistant down.
                self._pause = (
                    min(2 * self._pause, LONGEST_PAUSE) if released == self._refused else self._seconds
                )
                self._refused, self._next_try = released, time.monotonic() + self._pause
                if str(error) != self._logged:
                    unexpected = None if isinstance(error, AssistantError) else error
                    log.error("Still serving %s: %s", self._current(), error, exc_info=unexpected)
                self._logged = str(error)
            self._after_check()
