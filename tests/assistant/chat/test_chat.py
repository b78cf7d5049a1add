"""A chat on the starter: replies are stored whole, whatever ends them, and raters see only their own conversations."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.changed_version import changed

from assistant.chat.chat import Chat
from assistant.chat.reply_stream import Update
from assistant.errors import ConversationError, PromptError, UnknownModel
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.transformers_engine import TransformersEngine
from feedback_store import FeedbackStore, UnknownReply

SAMPLING = Sampling(temperature=0.0, max_new_tokens=60)
# Goes on until it is stopped: END, one token among thousands at this temperature, is drawn at times.
RAMBLING = Sampling(temperature=5.0, max_new_tokens=900, ignore_eos=True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersEngine]:
    home = tmp_path_factory.mktemp("conversation")
    serving = TransformersEngine(Versions(home), version_to_serve(home, "starter"))
    yield serving
    serving.close()


@pytest.fixture
def store(home: Path) -> Iterator[FeedbackStore]:
    home.mkdir()
    with FeedbackStore.open(home / "feedback.db") as opened:
        yield opened


@pytest.fixture
def chat(engine: TransformersEngine, store: FeedbackStore) -> Chat:
    return Chat(store, engine, SAMPLING)


async def ask(chat: Chat, message: str, **options: object) -> Update:
    options = {"think": False, "rater": "ann", **options}
    return [update async for update in chat.reply(message, **options)][-1]  # type: ignore[arg-type]


async def test_a_reply_is_stored_with_everything_that_determined_it(chat: Chat, store: FeedbackStore) -> None:
    last = await ask(chat, "What is 12 + 7?", think=True)
    reply = store.reply(last.reply_id)
    tokenizer = chat.engine._released.tokenizer
    assert (reply.answer, reply.thought or "", reply.version) == (last.answer, last.thought, "v1")
    assert reply.prompt_ids == prompt.render(
        tokenizer, [{"role": "user", "content": "What is 12 + 7?"}], True
    )
    parsed = prompt.parse(prompt.decode(tokenizer, reply.completion_ids), think=True)
    assert (parsed.thought, parsed.answer) == (last.thought, last.answer)
    settings = {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": 60}
    assert reply.sampling == {**settings, "engine": "transformers"}
    assert reply.finish_reason == last.finish_reason in ("end", "length")
    assert reply.first_token_seconds is not None
    assert 0 < reply.first_token_seconds <= reply.seconds
    assert store.verify() == []


async def test_a_follow_up_reads_earlier_messages_but_no_thoughts(chat: Chat, store: FeedbackStore) -> None:
    first = await ask(chat, "What is 12 + 7?", think=True)
    second = await ask(chat, "and plus 5?", conversation=first.conversation)
    read = prompt.decode(chat.engine._released.tokenizer, store.reply(second.reply_id).prompt_ids)
    assert "What is 12 + 7?" in read
    assert first.answer in read
    assert first.thought
    assert first.thought not in read


async def test_a_retry_is_a_sibling_and_an_edit_is_a_branch(chat: Chat, store: FeedbackStore) -> None:
    first = await ask(chat, "What is 12 + 7?")
    again = [update async for update in chat.retry(first.reply_id, think=True, rater="ann")][-1]
    assert store.reply(again.reply_id).parent_id == store.reply(first.reply_id).parent_id
    edited = await ask(chat, "What is 13 + 7?", conversation=first.conversation, parent="")
    shown = [turn.content for turn in chat.library.history(first.conversation, "ann")]
    assert shown == ["What is 13 + 7?", edited.answer]
    assert len(store.messages(first.conversation)) == 5


async def test_both_branches_can_be_shown_again_with_the_messages_below_them(chat: Chat) -> None:
    first = await ask(chat, "What is 12 + 7?")
    more = await ask(chat, "and plus 5?", conversation=first.conversation)
    again = [update async for update in chat.retry(first.reply_id, think=False, rater="ann")][-1]
    shown = chat.library.history(first.conversation, "ann")
    assert [turn.id for turn in shown][-1] == again.reply_id
    assert shown[-1].siblings == (first.reply_id, again.reply_id)
    assert shown[0].siblings == (shown[0].id,)
    chat.library.show(first.reply_id, "ann")
    assert [turn.id for turn in chat.library.history(first.conversation, "ann")][-1] == more.reply_id
    with pytest.raises(ConversationError, match="somebody else"):
        chat.library.show(again.reply_id, "bob")


async def test_settings_of_one_reply_are_stored_with_it(chat: Chat, store: FeedbackStore) -> None:
    hot = Sampling(temperature=1.5, top_p=0.9, top_k=7, max_new_tokens=12)
    last = await ask(chat, "What is 12 + 7?", sampling=hot, seed=5)
    again = await ask(chat, "What is 12 + 7?", sampling=hot, seed=5)
    reply = store.reply(last.reply_id)
    settings = {"temperature": 1.5, "top_p": 0.9, "top_k": 7, "max_new_tokens": 12}
    assert reply.sampling == {**settings, "engine": "transformers"}
    assert reply.seed == 5
    assert store.reply(again.reply_id).completion_ids == reply.completion_ids


async def test_a_system_prompt_stands_before_the_first_message_and_every_later_prompt(
    chat: Chat, store: FeedbackStore
) -> None:
    first = await ask(chat, "What is 12 + 7?", system="Be brief.")
    second = await ask(chat, "and plus 5?", conversation=first.conversation)
    assert [turn.role for turn in chat.library.history(first.conversation, "ann")] == [
        "system",
        *["user", "assistant"] * 2,
    ]
    tokenizer = chat.engine._released.tokenizer
    for reply in (first, second):
        read = tokenizer.decode(store.reply(reply.reply_id).prompt_ids)
        assert read.startswith("<|im_start|>system\nBe brief.")
    question = chat.library.history(first.conversation, "ann")[1]
    edited = await ask(
        chat, "What is 1 + 1?", conversation=first.conversation, parent=question.parent_id, system="Be long."
    )
    assert "Be long." in prompt.decode(tokenizer, store.reply(edited.reply_id).prompt_ids)
    assert store.verify() == []


@pytest.mark.parametrize("how", ["resample", "thinking"])
async def test_two_answers_to_one_message_stream_together_and_are_siblings(
    engine: TransformersEngine, store: FeedbackStore, how: str
) -> None:
    chat = Chat(store, engine, Sampling(temperature=0.0, max_new_tokens=40))
    pairs = [
        pair
        async for pair in chat.compare("What is 12 + 7?", how=how, think=False, rater="ann")  # type: ignore[arg-type]
    ]
    left, right = (store.reply(side.reply_id) for side in pairs[-1])
    assert left.parent_id == right.parent_id
    assert {left.think, right.think} == ({True, False} if how == "thinking" else {False})
    assert all(side.finish_reason in ("end", "length") for side in pairs[-1])
    assert engine._released.leases == 0


async def test_a_named_version_answers_retries_compares_and_continues_its_own_reply(
    engine: TransformersEngine, store: FeedbackStore
) -> None:
    chat = Chat(store, engine, Sampling(temperature=0.0, max_new_tokens=10))
    other = changed(engine.version, engine._registry, 8.0).id
    first = await ask(chat, "What is 12 + 7?", version=other)
    again = [u async for u in chat.retry(first.reply_id, think=False, rater="ann")][-1]
    both = chat.compare("And 5 + 5?", how="versions", think=False, rater="ann", other=other)
    pair = [pair async for pair in both][-1]
    goes_on = [u async for u in chat.continue_with(first.reply_id, 1, 5, rater="ann")][-1]
    assert [first.version, again.version, goes_on.version] == [other, "v1", other]
    assert {side.version for side in pair} == {"v1", other}
    assert [store.reply(update.reply_id).version for update in (first, again)] == [other, "v1"]
    assert store.reply(first.reply_id).completion_ids != store.reply(again.reply_id).completion_ids
    with pytest.raises(UnknownModel, match="no version 'v9'"):
        await ask(chat, "Hello", version="v9")
    for how, named in (("versions", None), ("resample", other)):
        with pytest.raises(ConversationError, match="id of the other version"):
            await anext(chat.compare("Hello", how=how, think=False, rater="ann", other=named))  # type: ignore[arg-type]
    assert engine._released.leases == engine._others[other].leases == 0


async def test_leaving_two_answers_in_mid_stream_stops_and_stores_both(
    engine: TransformersEngine, store: FeedbackStore
) -> None:
    chat = Chat(store, engine, RAMBLING)
    stream = chat.compare("Tell me a story.", how="resample", think=False, rater="ann")
    left, right = await anext(stream)
    await anext(stream)
    await stream.aclose()
    assert store.reply(left.reply_id).finish_reason == store.reply(right.reply_id).finish_reason == "stopped"
    assert engine._released.leases == 0


async def test_a_reply_continues_from_a_chosen_token(chat: Chat, store: FeedbackStore) -> None:
    first = store.reply((await ask(chat, "What is 12 + 7?")).reply_id)
    tokenizer = chat.engine._released.tokenizer
    other = tokenizer("7", add_special_tokens=False).input_ids[0]
    updates = [u async for u in chat.continue_with(first.id, 1, other, rater="ann")]
    second = store.reply(updates[-1].reply_id)
    assert second.parent_id == first.parent_id
    assert second.completion_ids[:2] == [first.completion_ids[0], other]
    assert second.prompt_ids == first.prompt_ids
    assert second.sampling["beginning"] == 2
    ended = [u async for u in chat.continue_with(first.id, 1, tokenizer.eos_token_id, rater="ann")][-1]
    assert store.reply(ended.reply_id).completion_ids == [first.completion_ids[0], tokenizer.eos_token_id]
    assert ended.finish_reason == "end"
    with pytest.raises(ConversationError, match="not in the reply"):
        await anext(chat.continue_with(first.id, 999, other, rater="ann"))


async def test_undo_takes_the_last_exchange_off_the_path_and_keeps_it_in_the_store(
    chat: Chat, store: FeedbackStore
) -> None:
    first = await ask(chat, "What is 12 + 7?")
    await ask(chat, "and plus 5?", conversation=first.conversation)
    assert chat.library.undo(first.conversation, "ann") == "and plus 5?"
    assert [turn.content for turn in chat.library.history(first.conversation, "ann")] == [
        "What is 12 + 7?",
        first.answer,
    ]
    assert chat.library.undo(first.conversation, "ann") == "What is 12 + 7?"
    with pytest.raises(ConversationError, match="nothing to undo"):
        chat.library.undo(first.conversation, "ann")
    assert len(store.messages(first.conversation)) == 4


async def test_a_stopped_reply_keeps_its_tokens(engine: TransformersEngine, store: FeedbackStore) -> None:
    chat = Chat(store, engine, RAMBLING)
    updates = []
    async for update in chat.reply("Tell me a very long story.", think=False, rater="ann"):
        updates.append(update)
        if len(updates) == 3:
            await chat.in_progress.stop(update.reply_id)
    reply = store.reply(updates[-1].reply_id)
    assert updates[-1].finish_reason == reply.finish_reason == "stopped"
    assert reply.answer == updates[-1].answer
    assert reply.completion_ids


async def test_a_reader_who_leaves_mid_stream_leaves_a_stopped_reply(
    engine: TransformersEngine, store: FeedbackStore
) -> None:
    chat = Chat(store, engine, RAMBLING)
    stream = chat.reply("Tell me a very long story.", think=False, rater="ann")
    update = await anext(stream)
    await stream.aclose()
    assert store.reply(update.reply_id).finish_reason == "stopped"
    assert engine._released.leases == 0


async def test_a_cancelled_reader_leaves_a_stopped_reply(
    engine: TransformersEngine, store: FeedbackStore
) -> None:
    chat = Chat(store, engine, RAMBLING)
    seen: list[Update] = []

    async def read() -> None:
        async for update in chat.reply("Tell me a very long story.", think=False, rater="ann"):
            seen.append(update)

    task = asyncio.create_task(read())
    async with asyncio.timeout(20):
        while len(seen) < 3:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(20):
        while True:
            try:
                reply = store.reply(seen[0].reply_id)
                break
            except UnknownReply:
                await asyncio.sleep(0.01)
    assert reply.finish_reason == "stopped"


@pytest.mark.parametrize(("message", "why"), [("", "empty"), (" \n", "empty"), ("好" * 3000, "too long")])
async def test_a_message_that_cannot_be_answered_is_refused_before_anything_is_stored(
    chat: Chat, store: FeedbackStore, message: str, why: str
) -> None:
    with pytest.raises(PromptError, match=why):
        await ask(chat, message)
    assert store.conversations("ann") == []


async def test_a_conversation_belongs_to_its_rater(chat: Chat) -> None:
    first = await ask(chat, "Hello")
    with pytest.raises(ConversationError, match="somebody else"):
        chat.library.history(first.conversation, "bob")
    with pytest.raises(ConversationError, match="somebody else"):
        await ask(chat, "Hello", conversation=first.conversation, rater="bob")
    with pytest.raises(ConversationError, match="not here any more"):
        await ask(chat, "Hello", conversation="no-such-conversation")


async def test_only_a_rating_may_come_from_a_rater_whose_conversation_it_is_not(
    chat: Chat, store: FeedbackStore
) -> None:
    first = await ask(chat, "Hello")
    again = [update async for update in chat.retry(first.reply_id, think=False, rater="ann")][-1]
    for refused in (
        lambda: chat.library.correct(first.reply_id, "Good day.", "bob"),
        lambda: chat.library.choose(first.reply_id, again.reply_id, "left", "resample", "bob"),
        lambda: chat.library.reply(first.reply_id, "bob"),
        lambda: chat.library.undo(first.conversation, "bob"),
        lambda: chat.library.rename(first.conversation, "Mine", "bob"),
        lambda: chat.library.delete(first.conversation, "bob"),
    ):
        with pytest.raises(ConversationError, match="somebody else"):
            refused()
    # The API and /rate promise it: whoever knows a reply's id may rate it, and it counts as their own rating.
    chat.library.rate(first.reply_id, -1, [], "", "bob")
    ratings = {rating.rater: rating.value for rating, _ in store.ratings()}
    assert ratings == {"bob": -1}
    assert chat.library.turn(first.reply_id, "ann").rating == 0


async def test_ratings_are_shown_with_their_reply(chat: Chat) -> None:
    first = await ask(chat, "Hello")
    chat.library.rate(first.reply_id, -1, ["wrong"], "no", "ann")
    turn = chat.library.history(first.conversation, "ann")[-1]
    assert (turn.rating, turn.reasons, turn.comment) == (-1, ("wrong",), "no")


def test_updates_are_frequent_for_a_few_replies_and_rarer_for_many(chat: Chat) -> None:
    pauses = []
    for replies in (1, 4, 16, 1000):
        chat.in_progress._stops = {str(number): asyncio.Event() for number in range(replies)}
        pauses.append(chat.in_progress.pause())
    assert pauses == pytest.approx([0.05, 0.05, 0.2, 0.5])


async def test_a_deleted_conversation_is_gone_from_what_cycles_asked_again(
    engine: TransformersEngine, store: FeedbackStore, home: Path
) -> None:
    chat = Chat(store, engine, SAMPLING, Versions(home))
    library = chat.library
    kept, deleted = await ask(chat, "What is 12 + 7?"), await ask(chat, "What is my name?")
    library.correct(kept.reply_id, "19", "ann")
    library.correct(deleted.reply_id, "Ann Lee", "ann")
    probes = home / "cycles" / "1" / "probes-v2.json"
    probes.parent.mkdir(parents=True)
    rows = [
        {"asked": "What is 12 + 7?", "correction": "19"},
        {"asked": "What is my name?", "correction": "Ann Lee"},
    ]
    probes.write_text(json.dumps(rows), encoding="utf-8")
    library.delete(deleted.conversation, "ann")
    assert json.loads(probes.read_text(encoding="utf-8")) == rows[:1]
