"""Stop texts: the answer ends before the first of them, no part of one is shown, and none of its tokens is kept."""

from typing import Any

import pytest
from helpers.fake_chat import ANSWERS, FakeChat

from assistant.chat.reply_stream import Update
from assistant.chat.stop_strings import StopSearch
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from feedback_store import Reply

QUESTION = [{"role": "user", "content": "table"}]


@pytest.mark.parametrize(
    ("text", "stops", "shown", "stopped"),
    [
        ("one two", ("two",), "one ", True),
        ("one two three", ("three", "two"), "one ", True),
        ("one tw", ("two",), "one ", False),
        ("one t", ("two", "tea"), "one ", False),
        ("one tx", ("two",), "one tx", False),
        ("aab", ("aabc",), "", False),
        ("", ("x",), "", False),
        ("text", (), "text", False),
        # Space before the first word is not read.
        ("\n\none", ("\n",), "\n\none", False),
        ("\n\none\ntwo", ("\n",), "\n\none", True),
        ("\nUser: hi", ("\nUser:",), "", True),
        (" one", (" one",), "", True),
    ],
)
def test_a_stop_text_is_held_back_as_it_arrives(
    text: str, stops: tuple[str, ...], shown: str, stopped: bool
) -> None:
    assert StopSearch(stops, ()).until_stop(text, 0, ended=False) == (shown, stopped)


def test_a_text_that_only_began_like_a_stop_text_is_shown_at_the_end() -> None:
    assert StopSearch(("two",), ()).until_stop("one tw", 0, ended=True) == ("one tw", False)


@pytest.mark.parametrize(
    ("text", "kept"),
    [("Four.\nUse", "Four."), ("Four.\nU", "Four."), ("Four.\n", "Four.\n"), ("Four.\nUp", "Four.\nUp")],
)
def test_the_beginning_of_the_persons_next_line_is_left_out_at_the_end_too(text: str, kept: str) -> None:
    assert StopSearch((), ("\nUser:",)).until_stop(text, 0, ended=True) == (kept, False)


async def completed(chat: FakeChat, think: bool, **settings: Any) -> tuple[list[Update], Reply]:
    """The updates of an answer to `QUESTION`, and what is stored of it."""
    updates = [
        update
        async for update in chat.complete(
            QUESTION, think=think, rater="ann", sampling=Sampling(logprobs=0, **settings)
        )
    ]
    return updates, chat.store.reply(updates[-1].reply_id)


@pytest.mark.parametrize("letters", [1, 2, 3, None])
@pytest.mark.parametrize("stop", ["\n\n", "\n", "4", "print(2", "think", "<", "|\n"])
async def test_a_stop_text_ends_the_answer_and_never_the_thought(letters: int | None, stop: str) -> None:
    chat = FakeChat()
    chat.letters_at_once = letters
    updates, reply = await completed(chat, think=True, stop=(stop,))
    expected = ANSWERS["table"].partition(stop)[0].strip()
    assert updates[-1].answer == reply.answer == expected
    assert "So 347 + 285 = 632." in updates[-1].thought
    assert updates[-1].finish_reason == "end"


@pytest.mark.parametrize("letters", [1, 2, 3, None])
@pytest.mark.parametrize("think", [False, True])
async def test_tokens_usage_and_log_probabilities_end_where_the_text_does(
    letters: int | None, think: bool
) -> None:
    chat = FakeChat()
    chat.letters_at_once = letters
    updates, reply = await completed(chat, think, stop=("---|\n| 2",))
    text = "".join(map(chr, reply.completion_ids))
    parsed = prompt.parse(text, think)
    assert (parsed.answer, text[-1]) == ("| n | n² |\n|---|", "|")
    for update in updates:
        said = "".join(chr(logprob.token_id) for logprob in update.logprobs)
        # Not a token more than was shown by then, whatever arrived with it.
        assert prompt.parse(said, think).answer == update.answer
        assert update.completion_tokens == len(said)
    assert updates[-1].completion_tokens == len(reply.completion_ids)


async def test_a_model_without_a_template_keeps_nothing_of_the_persons_next_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ANSWERS, "assistant:", "Four.\nUser: and 3+3?\nAssistant: Six.")
    monkeypatch.setattr("helpers.fake_chat.FakeServed._message", lambda self, prompt: "assistant:")
    chat = FakeChat()
    chat.has_template = False
    _, reply = await completed(chat, think=False)
    assert (reply.answer, "".join(map(chr, reply.completion_ids))) == ("Four.", "Four.")


async def test_a_reply_that_is_stopped_keeps_nothing_that_was_held_back() -> None:
    chat = FakeChat(seconds_between=0.01)
    updates = chat.complete(
        [{"role": "user", "content": "slow"}],
        think=False,
        rater="ann",
        sampling=Sampling(stop=("tick tick tick tock",)),
    )
    async for update in updates:
        if update.answer:
            await chat.in_progress.stop(update.reply_id)
    reply = chat.store.reply(update.reply_id)
    assert "".join(map(chr, reply.completion_ids)).strip() == reply.answer


async def test_a_token_that_is_read_in_part_is_left_out() -> None:
    words = ["The ", "answer", " is:\n", "4"]

    class Words:
        eos_token_id = pad_token_id = None
        added_tokens_decoder: dict[int, Any] = {}  # noqa: RUF012

        def decode(self, ids: list[int], **_: Any) -> str:
            return "".join(words[number] for number in ids)

    assert prompt.tokens_within(Words(), [0, 1, 2, 3], "The answer is:") == 2  # type: ignore[arg-type]
    assert prompt.tokens_within(Words(), [0, 1, 2, 3], "The answer is:\n") == 3  # type: ignore[arg-type]
