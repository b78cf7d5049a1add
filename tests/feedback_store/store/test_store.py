"""The message tree of a conversation, and the messages that the store refuses."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from helpers.store_fixtures import StoreLocation, new_reply, one_turn, sql
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from feedback_store import (
    FeedbackStore,
    InvalidMessage,
    UnknownConversation,
    UnknownMessage,
    UnknownRater,
    UnknownReply,
)

# The tree


def test_a_retry_adds_a_sibling_and_moves_the_head(store: FeedbackStore) -> None:
    reply = one_turn(store)
    retry = store.add_reply(new_reply(reply.conversation_id, reply.parent_id, answer="four"))

    assert [message.content for message in store.path(reply.id)] == ["What is 2+2?", "4"]
    assert [message.content for message in store.path(retry.id)] == ["What is 2+2?", "four"]
    assert [message.id for message in store.messages(reply.conversation_id)] == [
        reply.parent_id,
        reply.id,
        retry.id,
    ]
    assert store.head(reply.conversation_id) == retry.id


def test_an_edited_question_begins_a_second_branch(store: FeedbackStore) -> None:
    reply = one_turn(store)
    edited = store.add_message(reply.conversation_id, None, "user", "What is 3+3?")

    assert [message.id for message in store.path(edited.id)] == [edited.id]
    assert store.head(reply.conversation_id) == edited.id
    store.set_head(reply.conversation_id, reply.id)
    assert store.head(reply.conversation_id) == reply.id
    store.set_head(reply.conversation_id, None)
    assert store.head(reply.conversation_id) is None


def test_a_path_carries_the_reply_where_there_is_one(store: FeedbackStore) -> None:
    reply = one_turn(store)
    question, answer = store.path(reply.id)
    assert (question.role, question.reply, question.thought) == ("user", None, None)
    assert (answer.role, answer.reply, answer.thought) == ("assistant", reply, "2 and 2 make 4")


def test_a_reply_is_read_back_as_it_was_written(place: StoreLocation) -> None:
    with FeedbackStore.open(place) as store:
        conversation = store.new_conversation("ann")
        question = store.add_message(conversation, None, "user", "二加二？")
        # No number in the settings is rounded, not even one larger than a machine word.
        odd = {"sampling": {"top_p": 0.1, "user": 2**70, "stop": ["。", "\u2028"]}, "prompt_ids": [2**31 - 1]}
        new = new_reply(
            conversation, question.id, answer="四。", thought=None, first_token_seconds=None, **odd
        )
        store.add_reply(new)
    with FeedbackStore.open(place) as store:
        stored = dataclasses.asdict(store.reply(new.id))
        assert store.replies([new.id, "unknown"]) == {new.id: store.reply(new.id)}
    assert stored.pop("created_at").utcoffset() == timedelta(0)
    assert stored == dataclasses.asdict(new)


def test_a_conversation_takes_its_title_from_the_first_user_message(store: FeedbackStore) -> None:
    conversation = store.new_conversation("ann")
    assert store.conversation(conversation).title == ""
    system = store.add_message(conversation, None, "system", "Be brief.")
    assert store.conversation(conversation).title == ""
    question = store.add_message(conversation, system.id, "user", "\n  " + "word " * 30 + "\nsecond line")
    store.add_message(conversation, question.id, "user", "something else")
    title = store.conversation(conversation).title
    assert title.startswith("word word")
    assert title.endswith("…")
    assert len(title) <= 60


def test_conversations_of_a_rater_come_last_touched_first(store: FeedbackStore) -> None:
    first, second = store.new_conversation("ann"), store.new_conversation("ann")
    store.new_conversation("bob")
    assert [conversation.id for conversation in store.conversations("ann")] == [second, first]
    store.add_message(first, None, "user", "hello")
    assert [conversation.id for conversation in store.conversations("ann")] == [first, second]
    assert store.conversation(first).rater == "ann"
    assert store.conversations("nobody") == []


def test_a_parent_must_be_in_the_same_conversation(store: FeedbackStore) -> None:
    reply = one_turn(store)
    other = store.new_conversation("ann")
    with pytest.raises(UnknownMessage):
        store.add_message(other, reply.id, "user", "go on")
    with pytest.raises(UnknownMessage):
        store.add_reply(new_reply(other, reply.parent_id))
    with pytest.raises(UnknownMessage):
        store.set_head(other, reply.id)
    assert store.messages(other) == []


def test_unknown_ids_are_named_errors(store: FeedbackStore) -> None:
    for unknown_conversation in (store.conversation, store.head, store.messages):
        with pytest.raises(UnknownConversation, match="nowhere"):
            unknown_conversation("nowhere")
    with pytest.raises(UnknownConversation):
        store.add_message("nowhere", None, "user", "hello")
    with pytest.raises(UnknownMessage):
        store.path("nowhere")
    with pytest.raises(UnknownReply):
        store.reply("nowhere")
    with pytest.raises(UnknownReply):
        store.rate("nowhere", "ann", 1)
    with pytest.raises(UnknownRater):
        store.forget("nobody")
    assert store.counts()["raters"] == 0


# Refused messages


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"answer": "\ud800"},
        {"version": ""},
        {"finish_reason": "tired"},
        {"seed": 2**64},
        {"prompt_ids": [1, "2"]},
        {"completion_ids": [True]},
        {"completion_ids": [-1]},
        {"seconds": float("nan")},
        {"sampling": {"temperature": float("inf")}},
        {"sampling": {"stop": {1}}},
    ],
    ids=str,
)
def test_a_reply_that_cannot_be_kept_whole_is_refused_whole(
    store: FeedbackStore, changes: dict[str, Any]
) -> None:
    conversation = store.new_conversation("ann")
    question = store.add_message(conversation, None, "user", "hello")
    with pytest.raises(InvalidMessage):
        store.add_reply(new_reply(conversation, question.id, **changes))
    assert [message.id for message in store.messages(conversation)] == [question.id]
    assert store.head(conversation) == question.id


def test_a_reply_answers_a_user(store: FeedbackStore) -> None:
    reply = one_turn(store)
    with pytest.raises(InvalidMessage, match="user"):
        store.add_reply(new_reply(reply.conversation_id, reply.id))


def test_messages_of_the_model_come_only_as_replies(store: FeedbackStore) -> None:
    conversation = store.new_conversation("ann")
    with pytest.raises(InvalidMessage, match="add_reply"):
        store.add_message(conversation, None, "assistant", "hello")  # type: ignore[arg-type]
    with pytest.raises(InvalidMessage, match="Unicode"):
        store.add_message(conversation, None, "user", "\udfff")


def test_a_conversation_begins_with_its_messages_in_one_piece(store: FeedbackStore) -> None:
    last = store.begin_conversation("ann", [("system", "Be short."), ("user", "What is 2+2?")], "talk")
    assert [(message.role, message.content) for message in store.path(last.id)] == [
        ("system", "Be short."),
        ("user", "What is 2+2?"),
    ]
    assert store.head("talk") == last.id
    assert store.conversation("talk").title == "What is 2+2?"
    assert store.verify() == []


def test_a_conversation_whose_beginning_cannot_be_kept_is_not_begun(store: FeedbackStore) -> None:
    with pytest.raises(InvalidMessage, match="Unicode"):
        store.begin_conversation("ann", [("system", "Be short."), ("user", "\udfff")])
    with pytest.raises(InvalidMessage, match="begins with a message"):
        store.begin_conversation("ann", [])
    store.begin_conversation("ann", [("user", "hello")], "talk")
    with pytest.raises(InvalidMessage, match="exists already"):
        store.begin_conversation("ann", [("user", "hello again")], "talk")
    assert [conversation.id for conversation in store.conversations("ann")] == ["talk"]
    assert [message.content for message in store.messages("talk")] == ["hello"]


def test_a_reply_is_never_written_twice(store: FeedbackStore) -> None:
    reply = one_turn(store)
    with pytest.raises(InvalidMessage, match="already stored"):
        store.add_reply(new_reply(reply.conversation_id, reply.parent_id, id=reply.id, answer="5"))
    assert store.reply(reply.id).answer == "4"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE replies SET thought = 'other'",
        "UPDATE messages SET content = 'other'",
        "UPDATE rating_history SET value = -1",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_written(
    store: FeedbackStore, place: StoreLocation, statement: str
) -> None:
    store.rate(one_turn(store).id, "ann", 1)
    with pytest.raises(DatabaseError, match="never changed"), sql(place) as connection:
        connection.execute(text(statement))
