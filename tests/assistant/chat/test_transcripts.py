"""Transcripts of stateless clients: another process on the same store, or a new start, recognises them too."""

from pathlib import Path

from helpers.store_fixtures import new_reply

from assistant.chat.transcripts import Transcripts
from feedback_store import FeedbackStore


def exchange(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


MORE = {"role": "user", "content": "and plus 5?"}


def answered(store: FeedbackStore, transcripts: Transcripts, messages: list[dict[str, str]]) -> str:
    """Store `messages` with the answer that they end with, as a chat does; the answer's id."""
    question = transcripts.add(messages[:-1], "ann")
    reply = store.add_reply(new_reply(question.conversation_id, question.id, answer=messages[-1]["content"]))
    transcripts.remember(messages[:-1], messages[-1]["content"], "ann", reply.id)
    return reply.id


def test_a_transcript_that_another_process_answered_goes_on_in_its_conversation(tmp_path: Path) -> None:
    with FeedbackStore.open(tmp_path / "feedback.db") as store:
        one, two = Transcripts(store), Transcripts(store)
        first = answered(store, one, exchange("What is 12 + 7?", "19"))
        talk = [*exchange("What is 12 + 7?", " 19\n"), MORE]
        second = answered(store, two, [*talk, {"role": "assistant", "content": "24"}])
        # The first process knows the beginning, and the store the rest.
        third = one.add([*talk, {"role": "assistant", "content": "24"}, MORE], "ann")
        assert [message.id for message in store.path(third.id)][1::2] == [first, second]
        assert one.conversation([*talk, {"role": "assistant", "content": "24"}, MORE], "ann") == (
            third.conversation_id
        )


def test_another_history_another_answer_and_another_person_begin_a_conversation(tmp_path: Path) -> None:
    with FeedbackStore.open(tmp_path / "feedback.db") as store:
        answered(store, Transcripts(store), exchange("What is 12 + 7?", "19"))
        for messages, rater in (
            ([*exchange("What is 13 + 6?", "19"), MORE], "ann"),
            ([*exchange("What is 12 + 7?", "20"), MORE], "ann"),
            ([*exchange("What is 12 + 7?", "19"), MORE], "bob"),
        ):
            assert Transcripts(store).conversation(messages, rater) is None


def test_after_a_restart_the_same_request_goes_to_the_same_message(tmp_path: Path) -> None:
    with FeedbackStore.open(tmp_path / "feedback.db") as store:
        talk = [*exchange("What is 12 + 7?", "19"), MORE]
        asked = Transcripts(store).add(talk, "ann")
        assert Transcripts(store).add(talk, "ann").id == asked.id
        first = Transcripts(store).add(talk[:1], "ann")
        assert first.id == store.path(asked.id)[0].id
        assert Transcripts(store).conversation(talk[:1], "bob") is None


def test_after_a_restart_a_transcript_with_an_edited_answer_branches_where_it_differs(tmp_path: Path) -> None:
    with FeedbackStore.open(tmp_path / "feedback.db") as store:
        talk = [
            *exchange("What is 12 + 7?", "19"),
            *exchange("and plus 5?", "24"),
            *exchange("Sure?", "Yes."),
        ]
        first = Transcripts(store).add([*talk, MORE], "ann")
        talk[-1] = {"role": "assistant", "content": "No."}
        branch = Transcripts(store).add([*talk, MORE], "ann")
        assert branch.conversation_id == first.conversation_id
        assert store.path(branch.id)[3].id == store.path(first.id)[3].id
        assert store.path(branch.id)[5].content == "No."
        assert store.verify() == []
