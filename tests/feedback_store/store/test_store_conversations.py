"""Searching and renaming conversations, the order of branches, and forgetting."""

import pytest
from helpers.store_fixtures import StoreLocation, new_reply, one_turn, rows_of
from sqlalchemy import text

from feedback_store import (
    FeedbackStore,
    InvalidMessage,
    InvalidRating,
    UnknownConversation,
    UnknownMessage,
)


def test_a_title_that_a_person_chose_stays(store: FeedbackStore) -> None:
    conversation = store.new_conversation("ann")
    renamed = store.rename(conversation, "  My\n sums ")
    assert (renamed.title, renamed.renamed) == ("My sums", True)
    store.add_message(conversation, None, "user", "What is 2+2?")
    assert store.conversation(conversation).title == "My sums"
    back = store.rename(conversation, "")
    assert (back.title, back.renamed) == ("What is 2+2?", False)
    assert store.conversation(conversation) == back


def test_the_message_that_a_transcript_leads_to_is_found_in_the_raters_own_conversations(
    store: FeedbackStore,
) -> None:
    first, newest = one_turn(store), one_turn(store)
    other = one_turn(store, rater="bob")
    talk = [{"role": "user", "content": "What is 2+2?"}, {"role": "assistant", "content": "\n4 "}]
    assert store.message_that_ends(talk, "ann") == newest.id
    assert store.message_that_ends(talk, "bob") == other.id
    assert store.message_that_ends(talk, "eve") is None
    asked = store.add_message(first.conversation_id, first.id, "user", "and 2 more?")
    assert store.message_that_ends([*talk, {"role": "user", "content": "and 2 more? "}], "ann") == asked.id
    assert store.message_that_ends([{"role": "user", "content": "and 2 more?"}], "ann") is None
    deeper = store.add_reply(new_reply(first.conversation_id, asked.id, answer="4"))
    longer = [*talk, {"role": "user", "content": "and 2 more?"}, talk[1]]
    assert store.message_that_ends(longer, "ann") == deeper.id
    # The same words after another question, or none, are another transcript.
    assert store.message_that_ends([{"role": "user", "content": "What is 3+1?"}, talk[1]], "ann") is None
    assert store.message_that_ends(talk[1:], "ann") is None
    for content in ("5", "a\x00", "\ud800"):
        assert store.message_that_ends([talk[0], {"role": "assistant", "content": content}], "ann") is None


def test_renaming_does_not_move_a_conversation(store: FeedbackStore) -> None:
    first, second = one_turn(store).conversation_id, one_turn(store).conversation_id
    store.rename(first, "first")
    assert [conversation.id for conversation in store.conversations("ann")] == [second, first]


@pytest.mark.parametrize("title", ["x" * 201, "\ud800", "a\x00", None])
def test_a_title_that_cannot_be_kept_is_refused(store: FeedbackStore, title: str) -> None:
    conversation = one_turn(store).conversation_id
    with pytest.raises(InvalidMessage):
        store.rename(conversation, title)
    with pytest.raises(UnknownConversation):
        store.rename("nowhere", "x")
    assert store.conversation(conversation).title == "What is 2+2?"


def test_search_finds_titles_and_messages_of_every_branch_in_any_case(store: FeedbackStore) -> None:
    sums = one_turn(store, text="What is ZWEI plus zwei?", answer="Vier, natürlich.").conversation_id
    summer = one_turn(store, text="Un poème sur l'ÉTÉ").conversation_id
    store.add_message(summer, None, "user", "another branch")
    store.rename(sums, "Arithmetic")
    one_turn(store, "bob", "What is zwei plus zwei?")

    def search(text: str) -> list[str]:
        return [conversation.id for conversation in store.search("ann", text)]

    assert search("zwei") == search("ARITHMETIC") == search("NATÜRLICH") == [sums]
    assert search("été") == search("l'été") == [summer]
    assert search("") == search("  ") == [summer, sums]
    assert search("a") == [summer, sums]
    assert search("never said") == []
    assert store.search("nobody", "zwei") == []


@pytest.mark.parametrize("sign", ["%", "_", "\\", "/", "'", "[a]", "100%"])
def test_signs_of_a_search_pattern_are_only_themselves(store: FeedbackStore, sign: str) -> None:
    one_turn(store, text="plain words")
    conversation = one_turn(store, text=f"some {sign} sign").conversation_id
    assert [match.id for match in store.search("ann", sign)] == [conversation]


def test_a_search_for_too_much_is_refused(store: FeedbackStore) -> None:
    one_turn(store)
    assert store.search("ann", "x" * 1_000) == []
    for words in ("x" * 1_001, "a\x00b", "\ud800"):
        with pytest.raises(InvalidMessage):
            store.search("ann", words)


def test_siblings_are_the_messages_under_one_parent_in_order(store: FeedbackStore) -> None:
    reply = one_turn(store)
    edited = store.add_message(reply.conversation_id, None, "user", "What is 3+3?")
    retry = store.add_reply(new_reply(reply.conversation_id, reply.parent_id))
    one_turn(store)
    assert store.siblings(reply.id) == store.siblings(retry.id) == [reply.id, retry.id]
    assert store.siblings(reply.parent_id) == store.siblings(edited.id) == [reply.parent_id, edited.id]
    with pytest.raises(UnknownMessage):
        store.siblings("nowhere")


def test_nul_is_refused_because_not_every_database_can_hold_it(store: FeedbackStore) -> None:
    reply = one_turn(store)
    with pytest.raises(InvalidMessage, match="NUL"):
        store.add_message(reply.conversation_id, reply.id, "user", "a\x00b")
    for changes in ({"answer": "\x00"}, {"thought": "a\x00"}, {"version": "v\x00"}, {"id": "\x00"}):
        with pytest.raises(InvalidMessage):
            store.add_reply(new_reply(reply.conversation_id, reply.parent_id, **changes))
    with pytest.raises(InvalidRating):
        store.rate(reply.id, "a\x00nn", 1)
    with pytest.raises(InvalidRating, match="NUL"):
        store.rate(reply.id, "ann", 1, comment="\x00")
    with pytest.raises(InvalidRating):
        store.rate(reply.id, "ann", 1, ["\x00"])
    assert len(store.messages(reply.conversation_id)) == 2


def test_forgetting_a_conversation_leaves_the_others(store: FeedbackStore) -> None:
    gone, kept = one_turn(store), one_turn(store)
    for reply in (gone, kept):
        store.rate(reply.id, "bob", 1)
        store.correct(reply.id, "bob", "better")
    counts = store.forget_conversation(gone.conversation_id)
    assert {table: number for table, number in counts.items() if number} == {
        "conversations": 1,
        "messages": 2,
        "replies": 1,
        "ratings": 1,
        "rating_history": 1,
        "corrections": 1,
        "correction_history": 1,
    }
    assert [reply.id for _, reply in store.ratings()] == [kept.id]
    with pytest.raises(UnknownConversation):
        store.forget_conversation(gone.conversation_id)
    assert store.verify() == []


@pytest.mark.parametrize("whole_person", [True, False])
def test_a_conversation_deeper_than_a_cascade_can_be_forgotten(
    store: FeedbackStore, place: StoreLocation, whole_person: bool
) -> None:
    conversation = store.new_conversation("ann")
    with store._engine.begin() as connection:
        for number in range(1_500):
            connection.execute(
                text(
                    "INSERT INTO messages (id, conversation_id, parent_id, role, content, created_at)"
                    " VALUES (:id, :conversation, :parent, 'user', 'again', '2026-01-01 00:00:00.000000')"
                ),
                {
                    "id": f"m{number}",
                    "conversation": conversation,
                    "parent": f"m{number - 1}" if number else None,
                },
            )
    if whole_person:
        store.forget("ann")
    else:
        store.forget_conversation(conversation)
    assert rows_of(place, "SELECT count(*) FROM messages") == [(0,)]
