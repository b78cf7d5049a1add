"""A turn of a chat on the real starter: stored whole, whatever ends it; nobody reads another's conversation."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant import prompt
from assistant.conversation import Chat, Update, fit
from assistant.engine import Engine
from assistant.errors import ConversationError, PromptError
from assistant.first import version_to_serve
from assistant.sampling import Sampling
from assistant.versions import Versions
from feedback_store import FeedbackStore, UnknownReply

SAMPLING = Sampling(temperature=0.0, max_new_tokens=60)
# So hot that END is one token among thousands: the reply goes on until somebody ends it.
RAMBLING = Sampling(temperature=5.0, max_new_tokens=900)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    home = tmp_path_factory.mktemp("conversation")
    made = Engine(Versions(home), version_to_serve(home, None))
    yield made
    made.close()


@pytest.fixture
def store(home: Path) -> Iterator[FeedbackStore]:
    home.mkdir()
    with FeedbackStore.open(home / "feedback.db") as opened:
        yield opened


@pytest.fixture
def chat(engine: Engine, store: FeedbackStore) -> Chat:
    return Chat(store, engine, SAMPLING)


async def ask(chat: Chat, message: str, **options: object) -> Update:
    options = {"think": False, "rater": "ann", **options}
    return [update async for update in chat.reply(message, **options)][-1]  # type: ignore[arg-type]


async def test_a_reply_is_stored_with_all_that_made_it(chat: Chat, store: FeedbackStore) -> None:
    last = await ask(chat, "What is 12 + 7?", think=True)
    reply = store.reply(last.reply_id)
    tokenizer = chat._engine._serving.loaded.tokenizer
    assert (reply.answer, reply.thought or "", reply.version) == (last.answer, last.thought, "v1")
    assert reply.prompt_ids == prompt.render(
        tokenizer, [{"role": "user", "content": "What is 12 + 7?"}], True
    )
    said = prompt.parse(prompt.decode(tokenizer, reply.completion_ids), think=True)
    assert (said.thought, said.answer) == (last.thought, last.answer)
    assert reply.sampling == {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": 60}
    assert reply.finish_reason == last.finish_reason in ("end", "length")
    assert reply.first_token_seconds is not None
    assert 0 < reply.first_token_seconds <= reply.seconds
    assert store.verify() == []


async def test_a_follow_up_sees_what_was_said_but_no_thoughts(chat: Chat, store: FeedbackStore) -> None:
    first = await ask(chat, "What is 12 + 7?", think=True)
    second = await ask(chat, "and plus 5?", conversation=first.conversation)
    read = prompt.decode(chat._engine._serving.loaded.tokenizer, store.reply(second.reply_id).prompt_ids)
    assert "What is 12 + 7?" in read
    assert first.answer in read
    assert first.thought
    assert first.thought not in read


async def test_a_retry_is_a_sibling_and_an_edit_is_a_branch(chat: Chat, store: FeedbackStore) -> None:
    first = await ask(chat, "What is 12 + 7?")
    again = [update async for update in chat.retry(first.reply_id, think=True, rater="ann")][-1]
    assert store.reply(again.reply_id).parent_id == store.reply(first.reply_id).parent_id
    edited = await ask(chat, "What is 13 + 7?", conversation=first.conversation, parent="")
    shown = [turn.content for turn in chat.history(first.conversation, "ann")]
    assert shown == ["What is 13 + 7?", edited.answer]
    assert len(store.messages(first.conversation)) == 5


async def test_undo_takes_the_last_turn_off_the_path_and_keeps_it_in_the_store(
    chat: Chat, store: FeedbackStore
) -> None:
    first = await ask(chat, "What is 12 + 7?")
    await ask(chat, "and plus 5?", conversation=first.conversation)
    assert chat.undo(first.conversation, "ann") == "and plus 5?"
    assert [turn.content for turn in chat.history(first.conversation, "ann")] == [
        "What is 12 + 7?",
        first.answer,
    ]
    assert chat.undo(first.conversation, "ann") == "What is 12 + 7?"
    with pytest.raises(ConversationError, match="nothing to undo"):
        chat.undo(first.conversation, "ann")
    assert len(store.messages(first.conversation)) == 4


async def test_a_stopped_reply_keeps_what_was_said(engine: Engine, store: FeedbackStore) -> None:
    chat = Chat(store, engine, RAMBLING)
    updates = []
    async for update in chat.reply("Tell me a very long story.", think=False, rater="ann"):
        updates.append(update)
        if len(updates) == 3:
            await chat.stop(update.reply_id)
    reply = store.reply(updates[-1].reply_id)
    assert updates[-1].finish_reason == reply.finish_reason == "stopped"
    assert reply.answer == updates[-1].answer
    assert reply.completion_ids


async def test_a_reader_who_leaves_mid_stream_leaves_a_stopped_reply(
    engine: Engine, store: FeedbackStore
) -> None:
    chat = Chat(store, engine, RAMBLING)
    stream = chat.reply("Tell me a very long story.", think=False, rater="ann")
    update = await anext(stream)
    await stream.aclose()
    assert store.reply(update.reply_id).finish_reason == "stopped"
    assert engine._serving.leases == 0


async def test_a_cancelled_reader_leaves_a_stopped_reply(engine: Engine, store: FeedbackStore) -> None:
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


async def test_a_conversation_is_its_raters_own(chat: Chat) -> None:
    first = await ask(chat, "Hello")
    with pytest.raises(ConversationError, match="somebody else"):
        chat.history(first.conversation, "bob")
    with pytest.raises(ConversationError, match="somebody else"):
        await ask(chat, "Hello", conversation=first.conversation, rater="bob")
    with pytest.raises(ConversationError, match="not here any more"):
        await ask(chat, "Hello", conversation="no-such-conversation")


async def test_votes_are_shown_with_their_reply(chat: Chat) -> None:
    first = await ask(chat, "Hello")
    chat.rate(first.reply_id, -1, ["wrong"], "no", "ann")
    turn = chat.history(first.conversation, "ann")[-1]
    assert (turn.rating, turn.reasons, turn.comment) == (-1, ("wrong",), "no")


def test_the_oldest_turns_make_room_and_no_message_is_cut(engine: Engine) -> None:
    messages = []
    for number in range(40):
        messages += [
            {"role": "user", "content": f"question {number} " + "word " * 20},
            {"role": "assistant", "content": f"answer {number}"},
        ]
    messages.append({"role": "user", "content": "the last question"})
    with engine.lease() as served:
        ids = fit(served.loaded, messages, think=False, max_new_tokens=300)
        read = prompt.decode(served.loaded.tokenizer, ids)
    assert len(ids) + 300 <= served.loaded.window
    assert "the last question" in read
    assert "question 39 word" in read
    assert "question 0 word" not in read
    assert read.startswith("<|im_start|>user\nquestion")
