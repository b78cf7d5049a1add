"""Versions beside the released one: each writes its own words, memory is shared, idle ones are unloaded."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.changed_version import changed
from helpers.engines import GREEDY, collect, ids_of

from assistant.errors import EngineBusy, UnknownModel, VersionError
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving import transformers_engine as engine_module
from assistant.serving.loading import Placement, load_for_serving
from assistant.serving.transformers_engine import TransformersEngine, share_weights


@pytest.fixture
def engine(home: Path) -> Iterator[TransformersEngine]:
    serving = TransformersEngine(Versions(home), version_to_serve(home, "starter"))
    yield serving
    serving.close()


async def tokens_of(engine: TransformersEngine, version_id: str | None) -> list[int]:
    with engine.lease(version_id) as served:
        return (await collect(served, ids_of(served, "What is 12 + 7?"), GREEDY))[0]


async def test_two_versions_at_once_each_write_their_own_words(engine: TransformersEngine) -> None:
    versions = engine._registry
    for factor in (8.0, -8.0):
        changed(engine.version, versions, factor)
    expected = {name: await tokens_of(engine, name) for name in ("v1", "v2")}
    assert expected["v1"] != expected["v2"]
    assert engine.in_memory == ["v1", "v2"]
    together = await asyncio.gather(*(tokens_of(engine, name) for name in ["v1", "v2", None] * 4))
    assert together == [expected["v1"], expected["v2"], expected["v1"]] * 4
    # It writes the same words once it is released.
    versions.release("v2")
    async with asyncio.timeout(60):
        while engine.version.id != "v2":
            await asyncio.sleep(0.05)
    assert await tokens_of(engine, None) == expected["v2"]
    assert await tokens_of(engine, "v1") == expected["v1"]


async def test_a_release_of_a_version_that_serves_already_does_not_load_it_again(
    engine: TransformersEngine,
) -> None:
    second = changed(engine.version, engine._registry, 8.0)
    with engine.lease(second.id) as served:
        engine._registry.release(second.id)
        async with asyncio.timeout(60):
            while engine.version.id != second.id:
                await asyncio.sleep(0.05)
        assert engine._released is served
    async with asyncio.timeout(60):
        while engine.in_memory != [second.id]:
            await asyncio.sleep(0.05)


async def test_an_idle_version_is_unloaded_after_a_while(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(engine.version, engine._registry, 8.0)
    monkeypatch.setattr(engine_module, "IDLE_SECONDS", 0.0)
    with engine.lease("v2") as served:
        await asyncio.sleep(1.2)
        assert engine.in_memory == ["v1", "v2"]
    async with asyncio.timeout(60):
        while engine.in_memory != ["v1"]:
            await asyncio.sleep(0.05)
        while served._watcher.is_alive():
            await asyncio.sleep(0.05)
    assert await tokens_of(engine, "v2")


async def test_a_few_versions_fit_in_memory_and_idle_ones_make_room(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "MAX_OTHER_VERSIONS", 1)
    for factor in (8.0, -8.0):
        changed(engine.version, engine._registry, factor)
    with (
        engine.lease("v2"),
        pytest.raises(EngineBusy, match="v3 cannot be loaded now: v2"),
        engine.lease("v3"),
    ):
        pass
    with engine.lease("v3"):
        assert engine.in_memory == ["v1", "v3"]


def test_a_version_that_cannot_chat_is_refused_and_the_released_one_serves_on(
    engine: TransformersEngine,
) -> None:
    changed(engine.version, engine._registry, 1.0, stage="reward")
    broken = changed(engine.version, engine._registry, 8.0)
    (broken.folder / "adapter_model.safetensors").write_bytes(b"damaged")
    assert engine.versions == ["v1", "v3"]
    for name, error in (
        ("v2", UnknownModel),
        ("v9", UnknownModel),
        ("../v1", UnknownModel),
        ("v3", VersionError),
    ):
        with pytest.raises(error), engine.lease(name):
            pass
    assert engine.in_memory == ["v1"]
    assert asyncio.run(tokens_of(engine, None))


@pytest.mark.parametrize("bits", [None, "8bit", "4bit"])
def test_weights_that_two_versions_share_are_in_memory_once(home: Path, bits: str | None) -> None:
    versions = Versions(home)
    first = version_to_serve(home, "starter")
    second = changed(first, versions, 8.0)
    placement = Placement(device="cpu", quantize=bits)  # type: ignore[arg-type]
    first_model = load_for_serving(first, home, placement).model
    second_model = load_for_serving(second, home, placement).model
    saved = share_weights(second_model, first_model)
    own, shared = (
        bytes_of(second_model, without=first_model),
        bytes_of(second_model) - bytes_of(second_model, without=first_model),
    )
    assert shared == saved > 0
    if bits is not None:
        # The whole base is shared, and the part of the adapter that is the same in both.
        assert own == sum(w.nbytes for name, w in second_model.named_parameters() if "lora_B" in name)
    embedding = second_model.get_input_embeddings().weight
    assert embedding.data_ptr() == first_model.get_input_embeddings().weight.data_ptr()
    fresh = load_for_serving(second, home, placement).model
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        assert torch.equal(second_model(ids).logits, fresh(ids).logits)
        assert not torch.equal(second_model(ids).logits, first_model(ids).logits)


def bytes_of(model: torch.nn.Module, without: torch.nn.Module | None = None) -> int:
    others = {weight.data_ptr() for weight in without.parameters()} if without is not None else set()
    return sum(weight.nbytes for weight in model.parameters() if weight.data_ptr() not in others)
