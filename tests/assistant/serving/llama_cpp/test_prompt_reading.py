"""Prompts in pieces: what llama.cpp is asked to read, in which order, and what of it is known."""

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from helpers.engines import collect, ids_of

from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving.llama_cpp import prompt_reading
from assistant.serving.llama_cpp.completion_request import CompletionRequest
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine
from assistant.serving.llama_cpp.prompt_reading import PromptReading

Each = Callable[[dict[str, Any]], bool]


@pytest.fixture(autouse=True)
def _pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_reading, "PIECE", 10)


def request_of(ids: list[int], adapter: int | None = None) -> CompletionRequest:
    base: Any = None
    loop = asyncio.new_event_loop()
    loop.close()
    return CompletionRequest(loop, base, ids, Sampling(), 4, adapter, 0)


class Llama:
    """Notes how long the prompts are that it is asked to read."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def complete(self, body: dict[str, Any], each: Each) -> None:
        assert body["n_predict"] == 0
        self.lengths.append(len(body["prompt"]))
        assert each({"choices": [{"text": "x", "finish_reason": None}]})


def nobody_draws() -> bool:
    return False


def test_a_long_prompt_is_read_up_to_its_last_piece() -> None:
    llama, request = Llama(), request_of(list(range(35)))
    assert PromptReading().read(request, llama.complete, nobody_draws)
    assert llama.lengths == [10, 20, 30]
    assert request.has_read


@pytest.mark.parametrize("length", [1, 9, 10])
def test_a_short_prompt_is_left_to_its_completion(length: int) -> None:
    llama, request = Llama(), request_of(list(range(length)))
    assert PromptReading().read(request, llama.complete, nobody_draws)
    assert llama.lengths == []
    assert request.has_read


def test_what_was_read_before_is_not_cut_short() -> None:
    # llama.cpp would drop what follows the piece: the first one begins where the known tokens end.
    reading, llama = PromptReading(), Llama()
    before = request_of(list(range(23)), adapter=1)
    reading.read(before, llama.complete, nobody_draws)
    before.generated += [100, 101]
    reading.remember(before)
    llama.lengths.clear()
    following = [*range(23), 100, 101, *range(200, 220)]
    reading.read(request_of(following, adapter=1), llama.complete, nobody_draws)
    reading.read(request_of([*range(15), *range(300, 315)], adapter=1), llama.complete, nobody_draws)
    reading.read(request_of(following, adapter=2), llama.complete, nobody_draws)
    assert llama.lengths == [35, 25, 10, 20, 30, 40]


def test_a_conversation_is_remembered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_reading, "REMEMBERED", 2)
    reading, llama = PromptReading(), Llama()
    for ids in (list(range(500, 515)), list(range(12)), list(range(14)), list(range(18))):
        request = request_of(ids)
        reading.read(request, llama.complete, nobody_draws)
        reading.remember(request)
    llama.lengths.clear()
    reading.read(request_of(list(range(500, 540))), llama.complete, nobody_draws)
    assert llama.lengths == [25, 35]


def test_a_reply_that_is_left_ends_after_its_piece() -> None:
    llama, request = Llama(), request_of(list(range(100)))

    def complete(body: dict[str, Any], each: Each) -> None:
        llama.complete(body, each)
        request.cancelled = len(llama.lengths) == 2

    reading = PromptReading()
    assert not reading.read(request, complete, nobody_draws)
    assert llama.lengths == [10, 20]
    assert request.read == 20
    assert not request.has_read
    # Who asks the same again goes on from there.
    reading.remember(request)
    reading.read(request_of(list(range(35))), llama.complete, nobody_draws)
    assert llama.lengths == [10, 20, 30]


def test_an_error_of_llama_cpp_is_that_of_the_reply() -> None:
    request = request_of(list(range(100)))

    def complete(_: dict[str, Any], each: Each) -> None:
        assert each({"error": {"message": "no memory"}})

    assert not PromptReading().read(request, complete, nobody_draws)
    assert request.error is not None
    assert "no memory" in request.error


def test_long_prompts_take_turns() -> None:
    reading, order = PromptReading(), []
    both = threading.Barrier(2)

    def read(name: str) -> None:
        request = request_of(list(range(45)))

        def complete(_: dict[str, Any], each: Each) -> None:
            if name not in order:
                order.append(name)
                return
            order.append(name)
            # Long enough for the other to ask for its turn.
            threading.Event().wait(0.1)
            each({"choices": []})

        both.wait()
        reading.read(request, complete, nobody_draws)

    threads = [threading.Thread(target=read, args=[name]) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    changes = sum(one != other for one, other in pairwise(order))
    assert sorted(order) == list("aaaabbbb")
    assert changes >= 5


def test_replies_that_are_drawn_have_as_much_time_as_a_piece_takes() -> None:
    llama, looked = Llama(), []

    def complete(body: dict[str, Any], each: Each) -> None:
        threading.Event().wait(0.1)
        llama.complete(body, each)

    def somebody_draws() -> bool:
        looked.append(len(llama.lengths))
        return len(llama.lengths) == 1

    PromptReading().read(request_of(list(range(35))), complete, somebody_draws)
    # It rests after the first piece alone: then nobody draws any more.
    assert looked.count(1) > 1
    assert looked[-2:] == [2, 3]


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("pieces")
    opened = LlamaCppEngine(Versions(home), version_to_serve(home, "starter"))
    yield opened
    opened.close()


async def test_a_prompt_in_pieces_has_the_reply_that_it_has_whole(
    engine: LlamaCppEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    greedy = Sampling(temperature=0.0, max_new_tokens=12, ignore_eos=True)

    async def reply_of(opened: LlamaCppEngine, piece: int) -> list[int]:
        monkeypatch.setattr(prompt_reading, "PIECE", piece)
        with opened.lease() as served:
            ids = ids_of(served, "One apple and two pears. " * 110 + "How many?")
            assert 700 < len(ids) < 1000
            return (await collect(served, ids, greedy))[0]

    whole = await reply_of(engine, 2000)
    # With a cache of its own, in which nothing of the prompt is found.
    other = LlamaCppEngine(engine._registry, engine.version)
    try:
        assert await reply_of(other, 200) == whole
    finally:
        other.close()


async def test_a_short_question_is_answered_while_a_long_prompt_is_read(
    engine: LlamaCppEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_reading, "PIECE", 20)
    with engine.lease() as served:
        lane = served.server._lanes[0]
        complete, lengths, released = lane.complete, [], threading.Event()

        def noted(body: dict[str, Any], each: Each) -> None:
            lengths.append(len(body["prompt"]))
            if len(lengths) == 5:
                released.wait(20)
            complete(body, each)

        monkeypatch.setattr(lane, "complete", noted)
        asked = Sampling(temperature=0.0, max_new_tokens=4, ignore_eos=True)
        reading = asyncio.create_task(collect(served, [*range(20, 920)], asked))
        async with asyncio.timeout(20):
            while len(lengths) < 5:
                await asyncio.sleep(0.01)
            assert (await collect(served, [5, 6, 7], asked))[1] == "length"
        assert not reading.done()
        released.set()
        assert (await reading)[1] == "length"
        assert max(lengths) == 900
        # Its pieces, and the question.
        assert len(lengths) == 46


async def test_a_long_prompt_that_is_left_is_not_read_on(
    engine: LlamaCppEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_reading, "PIECE", 20)
    with engine.lease() as served:
        lane = served.server._lanes[0]
        complete, lengths = lane.complete, []

        def noted(body: dict[str, Any], each: Each) -> None:
            lengths.append(len(body["prompt"]))
            complete(body, each)
            threading.Event().wait(0.05)

        monkeypatch.setattr(lane, "complete", noted)
        reading = asyncio.create_task(collect(served, [*range(20, 920)], Sampling(max_new_tokens=4)))
        async with asyncio.timeout(20):
            while not lengths:
                await asyncio.sleep(0.01)
            reading.cancel()
            while served.server._running():
                await asyncio.sleep(0.01)
        assert len(lengths) < 40
