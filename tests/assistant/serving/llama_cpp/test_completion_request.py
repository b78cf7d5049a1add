"""A completion's tokens and its end reach the reader, whenever the thread that draws them runs."""

import asyncio
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from assistant.sampling_settings import Sampling
from assistant.serving.llama_cpp import attached_version
from assistant.serving.llama_cpp.attached_version import AttachedVersion
from assistant.serving.llama_cpp.completion_request import CompletionRequest


class EndsBeforeTake(CompletionRequest):
    """A completion whose last token and end come after the reader has woken, and just before it takes what has come."""

    def take(self) -> Any:
        if self.finish_reason is None:
            self._add([8], [])
            self._finish("end")
        return super().take()


class Server:
    """Answers every request with one token; the test says when the rest comes."""

    base = SimpleNamespace(capacity=1000, window=1000, ends=[0])
    adapters: ClassVar[dict[str, int]] = {}

    def submit(self, request: CompletionRequest) -> None:
        request._add([7], [])

    def position(self, request: CompletionRequest) -> int:
        return 0

    def withdraw(self, request: CompletionRequest) -> None:
        pass


async def test_an_end_that_comes_while_the_reader_wakes_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached_version, "CompletionRequest", EndsBeforeTake)
    version: Any = SimpleNamespace(id="v1")
    server: Any = Server()

    async def read() -> list[tuple[list[int], str | None]]:
        stream = AttachedVersion(version, server).stream([1, 2], Sampling(max_new_tokens=10))
        return [(chunk.token_ids, chunk.finish_reason) async for chunk in stream]

    assert await asyncio.wait_for(read(), 5) == [([7, 8], "end")]


async def test_what_comes_is_taken_once_and_its_end_with_it() -> None:
    base: Any = None
    request = CompletionRequest(asyncio.get_running_loop(), base, [1], Sampling(), 4, None, 0)
    request._add([7], [])
    assert request.take() == ([7], (), None)
    assert request.take() == ([], (), None)
    request._add([8], [])
    request._finish("length")
    await asyncio.wait_for(request.changed.wait(), 5)
    assert request.take() == ([8], (), "length")
