"""The engine on llama.cpp over the real starter: tokens, versions, queue, cancelling, log-probabilities."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.changed_version import changed
from helpers.engines import GREEDY, collect, ids_of
from peft import PeftModel
from transformers import AutoModelForCausalLM

from assistant.bases.base import STARTER_FOLDER
from assistant.errors import EngineBusy, EngineError, ModelError, PromptError, UnknownModel
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving.engine import Chunk
from assistant.serving.llama_cpp import attached_version, lane, llama_cpp_engine, llama_server
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine

QUESTIONS = (
    "What is 12 + 7?",
    "Tom has 12 apples and buys 5 more. How many apples has he?",
    "什么是机器学习？",
    "Who are you?",
    "小明有5个苹果，又买了3个，一共有几个？",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("llama")


@pytest.fixture(scope="module")
def engine(home: Path) -> Iterator[LlamaCppEngine]:
    opened = LlamaCppEngine(Versions(home), version_to_serve(home, "starter"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def reference() -> PeftModel:
    """The starter as PEFT runs it, in float32."""
    model = AutoModelForCausalLM.from_pretrained(STARTER_FOLDER / "base", dtype=torch.float32)
    return PeftModel.from_pretrained(model, STARTER_FOLDER / "adapter").eval()


@pytest.mark.parametrize("question", QUESTIONS)
async def test_greedy_tokens_and_their_probabilities_are_those_of_peft(
    engine: LlamaCppEngine, reference: PeftModel, question: str
) -> None:
    with engine.lease() as served:
        ids = ids_of(served, question)
        tokens, logprobs = [], []
        async for chunk in served.stream(ids, Sampling(temperature=0.0, max_new_tokens=80, logprobs=2)):
            tokens += chunk.token_ids
            logprobs += chunk.logprobs
    expected = reference.generate(
        input_ids=torch.tensor([ids]), max_new_tokens=80, do_sample=False, eos_token_id=2
    )[0, len(ids) :].tolist()
    # Every token is there, also those that are part of a character, and the end.
    assert tokens == expected
    with torch.no_grad():
        rows = reference(input_ids=torch.tensor([ids + tokens])).logits[0, len(ids) - 1 : -1].log_softmax(-1)
    of_text = [entry for entry in logprobs if entry.token_id != 2]
    assert [entry.token_id for entry in of_text] == [token for token in tokens if token != 2]
    for row, entry in zip(rows, of_text, strict=False):
        assert entry.logprob == pytest.approx(float(row[entry.token_id]), abs=0.05)
        assert entry.likeliest[0][0] == int(row.argmax())


def test_the_cache_takes_a_quarter_of_what_the_process_may_take(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_cpp_engine, "free_ram", lambda: 2**25)
    engine = LlamaCppEngine(Versions(home), version_to_serve(home, "starter"))
    try:
        with engine.lease() as served:
            # Six layers, keys and values in two bytes each.
            assert served.server.base.capacity * 6 * 2 * 2 * 64 * 2 <= 2**23
    finally:
        engine.close()


async def test_what_was_drawn_is_scored_under_its_own_settings(
    engine: LlamaCppEngine, reference: PeftModel
) -> None:
    sampling = Sampling(temperature=1.2, top_k=40, seed=5, max_new_tokens=12)
    with engine.lease() as served:
        ids = ids_of(served, "Who are you?")
        tokens, _ = await collect(served, ids, sampling)
        scores = await asyncio.to_thread(served.score, ids, tokens, sampling, 3)
    with torch.no_grad():
        rows = reference(input_ids=torch.tensor([ids + tokens])).logits[0, len(ids) - 1 : -1]
    for row, token, score in zip(rows, tokens, scores, strict=True):
        kept = row.topk(40)
        shares = torch.zeros_like(row).scatter(0, kept.indices, (kept.values / 1.2).softmax(-1))
        assert score.probability == pytest.approx(float(shares[token]), abs=0.02)
        assert score.likeliest[0][0] == int(row.argmax())


async def test_versions_side_by_side_each_say_their_own_words(engine: LlamaCppEngine) -> None:
    registry = engine._registry
    other = changed(engine.version, registry, 0.0)

    async def ask(version_id: str, question: str) -> list[int]:
        with engine.lease(version_id) as served:
            return (await collect(served, ids_of(served, question), GREEDY))[0]

    await asyncio.to_thread(engine.prepare, other.id)
    alone = {
        (version, question): await ask(version, question)
        for version in ("v1", other.id)
        for question in QUESTIONS
    }
    assert any(alone["v1", question] != alone[other.id, question] for question in QUESTIONS)
    keys = [*alone, *reversed(alone), *alone]
    together = await asyncio.gather(*(ask(*key) for key in keys))
    assert [alone[key] for key in keys] == together


async def test_two_versions_are_written_at_the_same_time_and_a_third_in_turn(engine: LlamaCppEngine) -> None:
    others = [changed(engine.version, engine._registry, factor) for factor in (0.9, 0.8)]
    for other in others:
        await asyncio.to_thread(engine.prepare, other.id)
    endless = Sampling(temperature=0.0, max_new_tokens=900, ignore_eos=True)

    async def begin(version_id: str) -> AsyncIterator[Chunk]:
        with engine.lease(version_id) as served:
            async for chunk in served.stream(ids_of(served, "What is 12 + 7?"), endless):
                yield chunk

    first = begin("v1")
    assert (await anext(first)).token_ids
    with engine.lease(others[0].id) as served:
        tokens, reason = await collect(served, ids_of(served, "What is 12 + 7?"), GREEDY)
        assert tokens and reason
        assert [one.is_open for one in served.server._lanes] == [True, True]
        # The first is still being written: nothing that was asked of another version waited for its end.
        assert served.server._running()
        second, third = begin(others[0].id), begin(others[1].id)
        assert (await anext(second)).token_ids
        chunks = [chunk async for chunk in third]
    assert chunks[-1].finish_reason == "length"
    assert sum(len(chunk.token_ids) for chunk in chunks) == 900
    await first.aclose()
    await second.aclose()


async def test_a_second_lane_closes_when_one_version_alone_is_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_server, "IDLE_SECONDS", 0.5)
    registry = Versions(home)
    wide = LlamaCppEngine(registry, registry.open("v1"))
    other = changed(wide.version, registry, 0.9)
    long = Sampling(temperature=0.0, max_new_tokens=200, ignore_eos=True)

    async def ask(version_id: str, sampling: Sampling = long) -> tuple[list[int], str | None]:
        with wide.lease(version_id) as served:
            return await collect(served, ids_of(served, "What is 12 + 7?"), sampling)

    try:
        await asyncio.to_thread(wide.prepare, other.id)
        with wide.lease() as served:
            lanes = served.server._lanes
            served.check_schema('{"type": "object"}')
        both = await asyncio.gather(ask("v1"), ask(other.id))
        assert [one.is_open for one in lanes] == [True, True]
        beside = lanes[1].adapter
        moved = other.id if beside is not None else "v1"
        async with asyncio.timeout(30):
            while lanes[1].is_open:
                assert len((await ask(moved, GREEDY))[0]) > 0
                await asyncio.sleep(0.05)
        assert lanes[0].adapter == beside
        assert await asyncio.gather(ask("v1"), ask(other.id)) == both
        assert [one.is_open for one in lanes] == [True, True]
    finally:
        wide.close()


@pytest.mark.parametrize("why", ["no memory", "does not open"])
async def test_without_a_second_lane_two_versions_are_written_in_turn(
    home: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    registry = Versions(home)
    narrow = LlamaCppEngine(registry, registry.open("v1"))
    other = changed(narrow.version, registry, 0.9)

    def refuse(*_: object) -> None:
        raise ModelError("no memory")

    async def ask(version_id: str) -> tuple[list[int], str | None]:
        with narrow.lease(version_id) as served:
            return await collect(served, ids_of(served, "What is 12 + 7?"), long)

    long = Sampling(temperature=0.0, max_new_tokens=200, ignore_eos=True)
    try:
        await asyncio.to_thread(narrow.prepare, other.id)
        if why == "no memory":
            monkeypatch.setattr(llama_server, "free_ram", lambda: 0)
        else:
            monkeypatch.setattr(lane, "_open_server", refuse)
        replies = await asyncio.gather(*(ask(name) for name in ("v1", other.id) * 3))
        assert [(len(tokens), reason) for tokens, reason in replies] == [(200, "length")] * 6
        with narrow.lease() as served:
            assert [one.is_open for one in served.server._lanes] in ([True], [True, False])
    finally:
        narrow.close()


async def test_a_release_joins_beside_the_reply_that_is_being_written(
    engine: LlamaCppEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, registry = engine.version, engine._registry
    second = changed(before, registry, 0.5)
    endless = Sampling(temperature=0.0, max_new_tokens=700, ignore_eos=True)
    with engine.lease() as served:
        stream: AsyncIterator[object] = served.stream(ids_of(served, "What is 123 + 456?"), endless)
        await anext(stream)
        registry.release(second.id)
        async with asyncio.timeout(20):
            while engine.version.id != second.id:
                await asyncio.sleep(0.02)
        assert served.version.id == before.id
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].finish_reason == "length"  # type: ignore[attr-defined]
    with engine.lease() as served:
        assert served.version.id == second.id
    registry.release(before.id)
    async with asyncio.timeout(20):
        while engine.version.id != before.id:
            await asyncio.sleep(0.02)


async def test_a_seed_repeats_its_reply_and_another_seed_does_not(engine: LlamaCppEngine) -> None:
    def sampling(seed: int) -> Sampling:
        return Sampling(temperature=1.5, seed=seed, max_new_tokens=30)

    with engine.lease() as served:
        ids = ids_of(served, "Tell me about overfitting.")
        alone, _ = await collect(served, ids, sampling(3))
        again, _ = await collect(served, ids, sampling(3))
        together = await asyncio.gather(*(collect(served, ids, sampling(seed)) for seed in range(8)))
    # What a reply is computed together with, or found in the cache, changes how sums are rounded: after some tokens a
    # draw near the border between two of them may fall to the other side.
    assert again[:4] == alone[:4] == together[3][0][:4]
    assert len({tuple(tokens) for tokens, _ in together}) > 4


async def test_a_reply_has_as_many_tokens_as_were_asked_for(engine: LlamaCppEngine) -> None:
    with engine.lease() as served:
        ids = ids_of(served, "What is 12 + 7?")
        short, reason = await collect(served, ids, Sampling(temperature=0.0, max_new_tokens=3))
        assert (len(short), reason) == (3, "length")
        least, _ = await collect(served, ids, Sampling(temperature=0.0, max_new_tokens=90, min_tokens=70))
        assert len(least) >= 70
        assert 2 not in least[:70]
        whole, reason = await collect(served, ids, Sampling(max_new_tokens=90, ignore_eos=True))
        assert (len(whole), reason) == (90, "length")


async def test_min_p_and_penalties_are_honoured(engine: LlamaCppEngine) -> None:
    with engine.lease() as served:
        ids = ids_of(served, "Tell me about overfitting.")
        greedy, _ = await collect(served, ids, Sampling(temperature=0.0, max_new_tokens=20))
        likeliest, _ = await collect(served, ids, Sampling(temperature=5.0, max_new_tokens=20, min_p=1.0))
        assert likeliest == greedy
        fixed = Sampling(temperature=0.0, max_new_tokens=150, ignore_eos=True)
        free, varied = [
            len(set((await collect(served, ids, replace(fixed, presence_penalty=penalty)))[0]))
            for penalty in (0.0, 2.0)
        ]
        assert varied > free


async def test_a_prompt_as_long_as_the_window_is_refused(engine: LlamaCppEngine) -> None:
    with engine.lease() as served, pytest.raises(PromptError, match=r"too long: 1024 tokens.*Shorten"):
        await collect(served, [5] * 1024, GREEDY)


async def test_a_reader_who_leaves_frees_the_place(engine: LlamaCppEngine) -> None:
    endless = Sampling(temperature=1.0, max_new_tokens=900, ignore_eos=True)
    with engine.lease() as served:
        stream = served.stream(ids_of(served, "What is 12 + 7?"), endless)
        assert (await anext(stream)).token_ids
        await stream.aclose()
        async with asyncio.timeout(5):
            while served.server._running():
                await asyncio.sleep(0.01)
        assert (await collect(served, ids_of(served, "Hello"), GREEDY))[0]


async def test_who_must_wait_is_told_the_place_in_the_queue_and_too_many_are_refused(
    engine: LlamaCppEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "MAX_REPLIES", 1)
    monkeypatch.setattr(llama_server, "MAX_WAITING", 2)
    monkeypatch.setattr(attached_version, "QUEUE_SECONDS", 0.02)
    endless = Sampling(temperature=0.0, max_new_tokens=900, ignore_eos=True)
    with engine.lease() as served:
        ids = ids_of(served, "Hello")
        streams = [served.stream(ids, endless) for _ in range(3)]
        assert (await anext(streams[0])).token_ids
        assert [(await anext(stream)).waiting for stream in streams[1:]] == [1, 2]
        with pytest.raises(EngineBusy, match="Try again"):
            await anext(served.stream(ids, endless))
        await streams[0].aclose()
        async with asyncio.timeout(20):
            while not (chunk := await anext(streams[1])).token_ids:
                assert chunk.waiting == 0
        for stream in streams[1:]:
            await stream.aclose()


async def test_replies_that_fill_the_cache_wait_for_each_other(home: Path) -> None:
    registry = Versions(home)
    # Room for one and a half whole windows of the starter.
    small = LlamaCppEngine(registry, registry.open("v1"), cache_bytes=1536 * 6 * 2 * 2 * 64 * 2)
    try:
        with small.lease() as served:
            ids = ids_of(served, "What is 12 + 7?")
            asked = Sampling(temperature=0.0, max_new_tokens=800, ignore_eos=True)
            replies = await asyncio.gather(*(collect(served, ids, asked) for _ in range(4)))
        assert [(len(tokens), reason) for tokens, reason in replies] == [(800, "length")] * 4
    finally:
        small.close()


async def test_a_version_that_is_not_there_is_refused_and_a_closed_engine_fails(home: Path) -> None:
    registry = Versions(home)
    closing = LlamaCppEngine(registry, registry.open("v1"))
    with pytest.raises(UnknownModel), closing.lease("v99"):
        pass
    with closing.lease() as served:
        stream = served.stream(ids_of(served, "Hi"), Sampling(max_new_tokens=900, ignore_eos=True))
        await anext(stream)
        await asyncio.to_thread(closing.close)
        with pytest.raises(EngineError, match="Send the message again"):
            async for _ in stream:
                pass
