"""A free thought before an answer that follows a schema, wherever the model begins and ends the thought."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from helpers.fake_chat import END, FakeTokenizer

from assistant.chat.formatted_answer import thought_and_formatted_answer
from assistant.sampling_settings import Sampling
from assistant.serving.engine import Chunk, Logprob

ANSWER = '{"value": 19}'


class Scripted:
    """Writes `free` in these pieces without a schema, and the answer with one. A character is a token."""

    tokenizer = FakeTokenizer()

    def __init__(self, free: list[str], reason: str = "end") -> None:
        self._free, self._reason = free, reason
        self.asked: list[tuple[str, Sampling]] = []

    async def stream(self, prompt_ids: list[int], sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        self.asked.append(("".join(map(chr, prompt_ids)), sampling))
        yield Chunk([], None, waiting=1)
        for text in self._free if sampling.schema is None else [ANSWER]:
            yield self._chunk(text, None)
        last = chr(END) if self._reason == "end" else ""
        yield self._chunk(last, self._reason if sampling.schema is None else "end")

    def _chunk(self, text: str, reason: Any) -> Chunk:
        ids = [ord(letter) for letter in text]
        return Chunk(ids, reason, tuple(Logprob(token, -1.0) for token in ids))


async def written(
    served: Scripted, prompt: str = "?", room: int = 500
) -> tuple[str, str | None, list[float]]:
    """Text, finish reason and log-probabilities of the reply."""
    ids, logprobs, reason = [], [], None
    sampling = Sampling(max_new_tokens=room, schema="{}", logprobs=0)
    async for chunk in thought_and_formatted_answer(served, [ord(c) for c in prompt], sampling):  # type: ignore[arg-type]
        ids += chunk.token_ids
        logprobs += [entry.logprob for entry in chunk.logprobs]
        reason = chunk.finish_reason
    return "".join(map(chr, ids)).rstrip(chr(END)), reason, logprobs


@pytest.mark.parametrize(
    ("free", "prompt", "whole"),
    [
        (["<thi", "nk>\n12", " + 7\n</think>", "\n\n19"], "?", f"<think>\n12 + 7\n</think>\n\n{ANSWER}"),
        # The piece that ends the thought begins the answer.
        (["<think>12", "+7</think>The answer"], "?", f"<think>12+7</think>\n\n{ANSWER}"),
        # The prompt has opened the thought.
        (["12 + 7", "</think>", "19"], "?<think>\n", f"12 + 7</think>\n\n{ANSWER}"),
        # The model ends in its thought.
        (["<think>\n", "12 + 7"], "?", f"<think>\n12 + 7\n</think>\n\n{ANSWER}"),
        # The model does not think.
        (["The", " answer is 19."], "?", ANSWER),
        (["<b", "old>"], "?", ANSWER),
        ([], "?", ANSWER),
    ],
)
async def test_the_thought_is_kept_and_the_answer_follows_it(
    free: list[str], prompt: str, whole: str
) -> None:
    served = Scripted(free)
    text, reason, logprobs = await written(served, prompt)
    assert (text, reason) == (whole, "end")
    assert [sampling.schema for _, sampling in served.asked] == [None, "{}"]
    assert served.asked[1][0] == prompt + whole.removesuffix(ANSWER)
    assert served.asked[1][1].max_new_tokens == 500 - len(whole) + len(ANSWER)
    # One for each token, also for those that were put there.
    assert len(logprobs) == len(whole) + 1


async def test_a_thought_without_end_leaves_no_answer() -> None:
    served = Scripted(["<think>", "12 + 7"], reason="length")
    assert (await written(served))[:2] == ("<think>12 + 7", "length")
    assert len(served.asked) == 1


async def test_a_thought_that_takes_all_room_leaves_no_answer() -> None:
    served = Scripted(["<think>12</think>", "\n\n"])
    text, reason, _ = await written(served, room=19)
    assert (text, reason) == ("<think>12</think>\n\n", "length")
