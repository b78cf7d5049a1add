"""How a reply was written: the probabilities of the engine that serves, on its own copy of the weights."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
import torch
from helpers.changed_version import changed
from helpers.engines import GREEDY, collect, ids_of

from assistant.chat.chat import Chat
from assistant.chat.token_steps import ALTERNATIVES, token_steps
from assistant.errors import NoTokens
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving import transformers_engine
from assistant.serving.loading import Placement, load_for_serving
from assistant.serving.sampling import probabilities
from assistant.serving.transformers_engine import TransformersEngine
from feedback_store import FeedbackStore, Reply

WARM = Sampling(temperature=0.8, top_k=20, top_p=0.95, max_new_tokens=30, seed=3)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture(scope="module")
def engine(home: Path) -> Iterator[TransformersEngine]:
    engine = TransformersEngine(Versions(home), version_to_serve(home, "starter"), Placement(dtype="bf16"))
    yield engine
    engine.close()


@pytest.fixture
def chat(engine: TransformersEngine, tmp_path: Path) -> Iterator[Chat]:
    with FeedbackStore.open(tmp_path / "feedback.db") as store:
        yield Chat(store, engine, GREEDY)


async def reply_to(chat: Chat, message: str, think: bool = False, sampling: Sampling = GREEDY) -> Reply:
    updates = chat.reply(message, think=think, rater="ann", sampling=sampling, seed=sampling.seed)
    last = [update async for update in updates][-1]
    return chat.library.reply(last.reply_id, "ann")


def expected(home: Path, dtype: str, reply: Reply, sampling: Sampling) -> torch.Tensor:
    """The distribution at each token, from a model that is loaded for this alone; [tokens, vocabulary]."""
    version = Versions(home).open(reply.version)
    model = load_for_serving(version, home, Placement(dtype=dtype)).model  # type: ignore[arg-type]
    with torch.no_grad():
        ids = torch.tensor([[*reply.prompt_ids, *reply.completion_ids]])
        logits = model(ids).logits[0, len(reply.prompt_ids) - 1 : -1].float()
    if sampling.temperature == 0:
        return logits.softmax(dim=-1)
    return probabilities(logits, [sampling] * len(logits))


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "drawn"])
async def test_each_token_has_the_probability_that_it_was_drawn_with(
    chat: Chat, engine: TransformersEngine, home: Path, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = await reply_to(chat, "What is 12 + 7?", sampling=sampling)
    # It is the served model that reads, in the number type that was asked for: nothing is loaded.
    with monkeypatch.context() as patch:
        patch.setattr(transformers_engine, "load_for_serving", None)
        steps = token_steps(reply, engine)
    shares = expected(home, "bf16", reply, sampling)
    assert [step.token_id for step in steps] == reply.completion_ids
    for step, row in zip(steps, shares, strict=True):
        assert step.probability == pytest.approx(float(row[step.token_id]), abs=0.03)
        assert len(step.alternatives) <= ALTERNATIVES
        assert all(alternative.probability > 0 for alternative in step.alternatives)
        likeliest = [alternative.probability for alternative in step.alternatives]
        assert likeliest == sorted(likeliest, reverse=True)
    assert all(step.probability > 0 for step in steps)


async def test_a_tag_is_a_mark_and_the_end_is_the_end(chat: Chat, engine: TransformersEngine) -> None:
    longer = Sampling(temperature=0.0, max_new_tokens=200)
    steps = token_steps(await reply_to(chat, "What is 12 + 7?", think=True, sampling=longer), engine)
    assert [part for part, _ in groupby(step.part for step in steps)] == [
        "mark", "thought", "mark", "answer", "end",
    ]  # fmt: skip
    assert "".join(step.text for step in steps if step.part == "answer").strip()


async def test_another_version_reads_its_own_reply(
    chat: Chat, engine: TransformersEngine, home: Path
) -> None:
    other = changed(engine.version, engine._registry, 8.0).id
    updates = chat.reply("What is 12 + 7?", think=False, rater="ann", version=other)
    reply = chat.library.reply([update async for update in updates][-1].reply_id, "ann")
    steps = token_steps(reply, engine)
    shares = expected(home, "bf16", reply, GREEDY)
    for step, row in zip(steps, shares, strict=True):
        assert step.probability == pytest.approx(float(row[step.token_id]), abs=0.03)


async def test_reading_a_reply_leaves_one_that_is_being_written_as_it_is(
    chat: Chat, engine: TransformersEngine
) -> None:
    reply = await reply_to(chat, "What is 12 + 7?")
    long = Sampling(temperature=0.0, max_new_tokens=60, ignore_eos=True)
    with engine.lease() as served:
        ids = ids_of(served, "What is 123 + 456?")
        alone, _ = await collect(served, ids, long)
        writing = asyncio.create_task(collect(served, ids, long))
        first = token_steps(reply, engine)
        while not writing.done():
            assert await asyncio.to_thread(token_steps, reply, engine) == first
        assert (await writing)[0] == alone


async def test_a_reply_without_tokens_or_version_cannot_be_shown(
    chat: Chat, engine: TransformersEngine
) -> None:
    reply = await reply_to(chat, "What is 12 + 7?")
    for without in (replace(reply, completion_ids=[]), replace(reply, version="v99")):
        with pytest.raises(NoTokens, match="No tokens are kept"):
            token_steps(without, engine)
