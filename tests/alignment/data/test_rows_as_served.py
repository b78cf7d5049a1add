"""Every stage trains on the token ids that were served: of long, imported, stopped and corrected conversations."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from alignment.data import prompts, served_ids
from alignment.data.demonstration_rows import demonstrations_of_store, tokenize_demonstrations
from alignment.data.feedback_rows import feedback_rows
from alignment.data.token_pairs import pairs_of_store
from assistant.bases.base import STARTER_FOLDER
from assistant.serving import prompt
from feedback_store import FeedbackStore, NewReply

LONG_AGO = "word " * 30


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")


def reply(
    store: FeedbackStore, parent: Any, conversation: str, prompt_ids: list[int], ids: list[int], **text: Any
) -> Any:
    """A stored reply to the message `parent`; `text`: its thought, answer and so on."""
    values = {"thought": None, "answer": "", "think": False, "finish_reason": "end"} | text
    return store.add_reply(
        NewReply(
            id=uuid.uuid4().hex,
            conversation_id=conversation,
            parent_id=parent.id,
            sampling={},
            seed=1,
            version="v1",
            prompt_ids=prompt_ids,
            completion_ids=ids,
            first_token_seconds=0.1,
            seconds=0.2,
            thought_seconds=None,
            **values,
        )
    )


def trimmed_talk(store: FeedbackStore, tokenizer: Any) -> tuple[list[int], list[Any]]:
    """A conversation whose first exchange did not fit any more: the second's prompt ids, and two replies to it."""
    conversation = store.new_conversation("ann")
    first = store.add_message(conversation, None, "user", LONG_AGO)
    thinking = prompt.completion(tokenizer, "Let me see.", "Fine.", think=True)
    answered = reply(
        store, first, conversation, [9] * 40, thinking, thought="Let me see.", answer="Fine.", think=True
    )
    question = "What is 3 + 4?"
    second = store.add_message(conversation, answered.id, "user", question)
    served = prompt.render(tokenizer, [{"role": "user", "content": question}], think=False)
    replies = [
        reply(store, second, conversation, served, prompt.completion(tokenizer, "", text, False), answer=text)
        for text in ("7", "8")
    ]
    return served, replies


def test_a_trimmed_conversation_is_trained_on_as_it_was_served(home: Path, tokenizer: Any) -> None:
    home.mkdir()
    with FeedbackStore.open_home(home) as store:
        served, (right, wrong) = trimmed_talk(store, tokenizer)
        store.rate(right.id, "ann", 1)
        store.rate(wrong.id, "ann", -1)
        store.correct(wrong.id, "ann", "It is 7.")
    ended = [tokenizer.eos_token_id]
    seven, eight, whole = (
        [*tokenizer(text, add_special_tokens=False).input_ids, *ended] for text in ("7", "8", "It is 7.")
    )
    thumbs = served_ids.with_token_ids(feedback_rows(home, None, "unpaired").rows, tokenizer)
    assert {(tuple(row.prompt_ids), tuple(row.completion_ids)) for row in thumbs} == {
        (tuple(served), tuple(seven)),
        (tuple(served), tuple(eight)),
    }
    pairs = pairs_of_store(feedback_rows(home, None, "preference").rows, tokenizer)
    assert {(tuple(pair.chosen_ids), tuple(pair.rejected_ids)) for pair in pairs} == {
        (tuple(seven), tuple(eight)),
        (tuple(whole), tuple(eight)),
    }
    assert all(pair.prompt_ids == served for pair in pairs)
    demonstrations, too_long = tokenize_demonstrations(demonstrations_of_store(home), tokenizer, 60)
    row: Any = demonstrations[0]
    assert (len(demonstrations), too_long) == (1, 0)
    assert row["input_ids"] == [*served, *whole]
    assert row["labels"] == [-100] * len(served) + whole
    asked = [item.rendered(tokenizer) for item in prompts.from_store(home)]
    assert asked == [[9] * 40, served]


def test_earlier_thoughts_are_in_no_later_prompt(home: Path, tokenizer: Any) -> None:
    home.mkdir()
    with FeedbackStore.open_home(home) as store:
        trimmed_talk(store, tokenizer)
    later = prompts.from_store(home)[-1]
    assert [message["content"] for message in later.messages] == [LONG_AGO, "Fine.", "What is 3 + 4?"]


def test_an_imported_thumb_is_rendered_as_the_app_would_have_served_it(home: Path, tokenizer: Any) -> None:
    home.mkdir()
    with FeedbackStore.open_home(home) as store:
        conversation = store.new_conversation("import:x")
        question = store.add_message(conversation, None, "user", "What is 3 + 4?")
        first = reply(store, question, conversation, [], [], answer="7")
        more = store.add_message(conversation, first.id, "user", "And 5 more?")
        second = reply(store, more, conversation, [], [], answer="12")
        store.rate(second.id, "import:x", 1)
    (row,) = served_ids.with_token_ids(feedback_rows(home, None, "unpaired").rows, tokenizer)
    talk = [("user", "What is 3 + 4?"), ("assistant", "7"), ("user", "And 5 more?")]
    messages = [{"role": role, "content": text} for role, text in talk]
    assert row.prompt_ids == prompt.render(tokenizer, messages, think=False)
    assert row.completion_ids == prompt.completion(tokenizer, "", "12", think=False)


def test_a_reply_that_a_stop_text_cut_is_trained_on_as_it_was_seen(home: Path, tokenizer: Any) -> None:
    home.mkdir()
    seen = tokenizer("Seven", add_special_tokens=False).input_ids
    with FeedbackStore.open_home(home) as store:
        conversation = store.new_conversation("ann")
        question = store.add_message(conversation, None, "user", "What is 3 + 4?")
        cut = reply(store, question, conversation, [5, 6], seen, answer="Seven")
        store.rate(cut.id, "ann", 1)
    (row,) = served_ids.with_token_ids(feedback_rows(home, None, "unpaired").rows, tokenizer)
    # Without END, which the model did not write.
    assert (row.prompt_ids, row.completion_ids) == ([5, 6], seen)
