"""The engine of this process on the starter: streams, seeds, batches, cancelling, releases, restarts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from helpers.engines import GREEDY, collect, ids_of
from helpers.toy_models import make
from safetensors.torch import load_file, save_file
from transformers.generation.continuous_batching.requests import RequestState

from assistant.errors import EngineError, PromptError
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Manifest, Version, Versions, now
from assistant.sampling_settings import Sampling
from assistant.serving import batch
from assistant.serving.engine import Chunk
from assistant.serving.transformers_engine import TransformersEngine


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersEngine]:
    home = tmp_path_factory.mktemp("engine")
    engine = TransformersEngine(Versions(home), version_to_serve(home, "starter"))
    yield engine
    engine.close()


def copy_of(version: Version, versions: Versions) -> Version:
    """The same adapter once more, under the next id."""
    parent = version.manifest
    manifest = Manifest(
        id=versions.next_id(), base=parent.base, parent=version.id, stage="sft", created=now(), adapter=True
    )
    with versions.staging() as folder:
        for name in parent.files:
            (folder / name).write_bytes((version.folder / name).read_bytes())
        return versions.add(manifest, folder)


async def test_greedy_replies_equal_those_of_generate(shared: TransformersEngine) -> None:
    with shared.lease() as served:
        ids = ids_of(served, "What is 12 + 7?")
        tokens, reason = await collect(served, ids, GREEDY)
    # The same version loaded once more, without a batch.
    import torch

    from assistant.serving.loading import load_for_serving

    alone = load_for_serving(shared.version, shared._registry.home)
    expected = alone.model.generate(
        torch.tensor([ids]), max_new_tokens=40, do_sample=False, eos_token_id=alone.tokenizer.eos_token_id
    )
    assert tokens == expected[0, len(ids) :].tolist()
    assert reason == ("end" if tokens[-1] == alone.tokenizer.eos_token_id else "length")


async def test_a_seed_repeats_its_reply_alone_and_in_a_batch(shared: TransformersEngine) -> None:
    def sampling(seed: int) -> Sampling:
        return Sampling(temperature=1.5, seed=seed, max_new_tokens=30)

    with shared.lease() as served:
        ids = ids_of(served, "Tell me about overfitting.")
        alone, _ = await collect(served, ids, sampling(3))
        together = await asyncio.gather(*(collect(served, ids, sampling(seed)) for seed in range(8)))
    assert together[3][0] == alone
    assert len({tuple(tokens) for tokens, _ in together}) > 1


async def test_a_reply_ends_at_its_limit_and_says_so(shared: TransformersEngine) -> None:
    with shared.lease() as served:
        ids = ids_of(served, "What is 123 + 456?")
        tokens, reason = await collect(served, ids, Sampling(temperature=0.0, max_new_tokens=3))
    assert (len(tokens), reason) == (3, "length")


async def test_a_prompt_as_long_as_the_window_is_refused(shared: TransformersEngine) -> None:
    with shared.lease() as served, pytest.raises(PromptError, match=r"too long: 1024 tokens.*Shorten"):
        await collect(served, [5] * 1024, GREEDY)


async def test_a_reader_who_leaves_frees_room_in_the_batch(shared: TransformersEngine) -> None:
    with shared.lease() as served:
        stream = served.stream(
            ids_of(served, "What is 12 + 7?"), Sampling(temperature=1.0, max_new_tokens=900)
        )
        assert (await anext(stream)).token_ids
        await stream.aclose()
        assert served._requests == {}
        # The batch goes on for others.
        assert (await collect(served, ids_of(served, "Hello"), GREEDY))[0]


async def test_a_release_is_followed_and_a_reply_in_flight_stays_with_its_version(home: Path) -> None:
    versions = Versions(home)
    engine = TransformersEngine(versions, version_to_serve(home, "starter"))
    try:
        second = copy_of(engine.version, versions)
        with engine.lease() as served:
            stream: AsyncIterator[object] = served.stream(
                ids_of(served, "What is 123 + 456?"), Sampling(temperature=0.0, max_new_tokens=60)
            )
            await anext(stream)
            versions.release(second.id)
            async with asyncio.timeout(20):
                while engine.version.id != second.id:
                    await asyncio.sleep(0.05)
            assert served.version.id == "v1"
            assert [chunk async for chunk in stream][-1].finish_reason is not None  # type: ignore[attr-defined]
        with engine.lease() as served:
            assert served.version.id == "v2"
            assert (await collect(served, ids_of(served, "Hello"), GREEDY))[0]
    finally:
        engine.close()


async def test_a_waiting_reply_reports_its_position_in_the_queue(
    shared: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_RUNNING", 1)
    monkeypatch.setattr(batch, "QUEUE_SECONDS", 0.02)
    long = Sampling(temperature=0.0, max_new_tokens=900, ignore_eos=True)
    with shared.lease() as served:
        # The library keeps its own limit of replies at once: one here.
        monkeypatch.setattr(served._manager.batch_processor.scheduler, "max_requests_per_batch", 1)
        ids = ids_of(served, "What is 12 + 7?")
        first = served.stream(ids, long)
        assert (await anext(first)).token_ids
        second, third = served.stream(ids, long), served.stream(ids, GREEDY)
        assert await anext(second) == Chunk([], None, waiting=1)
        assert await anext(third) == Chunk([], None, waiting=2)
        await first.aclose()
        while not (now_written := await anext(second)).token_ids:
            assert now_written == Chunk([], None, waiting=0)
        assert await anext(third) == Chunk([], None, waiting=1)
        await second.aclose()
        assert [token async for chunk in third for token in chunk.token_ids]


async def test_a_reply_without_finite_logits_fails_alone(home: Path, tmp_path: Path) -> None:
    # Whatever reads the token 250 computes NaN.
    toy = make("qwen3", tmp_path / "toy")
    weights = load_file(toy / "model.safetensors")
    weights["model.embed_tokens.weight"][250] = float("nan")
    save_file(weights, toy / "model.safetensors", metadata={"format": "pt"})
    engine = TransformersEngine(Versions(home), version_to_serve(home, str(toy)))
    prompts = [[5, 6, 7, 8], [9, 10, 11], [5, 6, 7, 12, 13]]
    settings = [
        Sampling(temperature=0.0, max_new_tokens=40, ignore_eos=True),
        Sampling(temperature=1.0, top_k=2, seed=3, max_new_tokens=40, ignore_eos=True),
    ]
    try:
        with engine.lease() as served:

            async def failure(drawn: Sampling) -> str:
                with pytest.raises(EngineError, match="v1 computes no finite numbers") as raised:
                    await collect(served, [5, 6, 250, 7], drawn)
                return str(raised.value)

            async def replies() -> list[tuple[list[int], str | None]]:
                return await asyncio.gather(
                    *(collect(served, ids, drawn) for ids in prompts for drawn in settings)
                )

            alone = [await collect(served, ids, drawn) for ids in prompts for drawn in settings]
            loop = served._manager
            for drawn in (*settings, Sampling(temperature=1.0, max_new_tokens=1)):
                together, _, _ = await asyncio.gather(replies(), failure(drawn), failure(drawn))
                assert together == alone
            # Nothing was started again, and what the failed replies left in the cache is not read.
            assert served._manager is loop and served.running
            assert await replies() == alone
            assert served._requests == {}
    finally:
        engine.close()


async def test_after_a_fatal_error_the_batch_loop_starts_again(
    shared: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shared.lease() as served:
        ids = ids_of(served, "What is 12 + 7?")

        def fail() -> None:
            monkeypatch.undo()
            raise RuntimeError("the batch broke")

        monkeypatch.setattr(served._manager, "_generation_step", fail)
        with pytest.raises(EngineError, match="Send the message again"):
            await collect(served, ids, GREEDY)
        async with asyncio.timeout(20):
            while not served.running:
                await asyncio.sleep(0.05)
        assert (await collect(served, ids, GREEDY))[0]


async def test_a_reply_that_had_to_make_room_continues_as_if_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three pages are too few for three replies of two: some lose their keys on the way, and start again.
    monkeypatch.setattr(batch, "_cache_pages", lambda model, window: 3)
    engine = TransformersEngine(Versions(home), version_to_serve(home, "starter"))
    again = []
    restart = RequestState.create_equivalent_initial_request

    def counted(state: RequestState) -> RequestState:
        again.append(state.request_id)
        return restart(state)

    monkeypatch.setattr(RequestState, "create_equivalent_initial_request", counted)
    try:
        with engine.lease() as served:
            ids = ids_of(served, "What is 12 + 7?")

            async def tokens_of(seed: int) -> tuple[list[int], int]:
                drawn = Sampling(temperature=1.5, seed=seed, max_new_tokens=90, ignore_eos=True, logprobs=0)
                chunks = [chunk async for chunk in served.stream(ids, drawn)]
                tokens = [token for chunk in chunks for token in chunk.token_ids]
                return tokens, sum(len(chunk.logprobs) for chunk in chunks)

            alone = [await tokens_of(seed) for seed in range(3)]
            assert not again
            together = await asyncio.gather(*(tokens_of(seed) for seed in range(3)))
            assert again
            assert together == alone
            assert {(len(tokens), logprobs) for tokens, logprobs in together} == {(90, 90)}
    finally:
        engine.close()
