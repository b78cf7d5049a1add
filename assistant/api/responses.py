"""Replies in the shapes of OpenAI's chat completions: whole, and as chunks of a stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from assistant.chat.reply_stream import Update
from assistant.serving.engine import Logprob

FINISH = {"end": "stop", "length": "length", "stopped": "stop"}


@dataclass
class Shape:
    """One completion on its way out: remembers what of it was sent."""

    PREFIX: ClassVar[str] = "chatcmpl-"

    model: str
    created: int
    tokenizer: Any
    thought: str = ""
    answer: str = ""
    tokens: int = 0

    def opening(self, update: Update, with_usage: bool) -> dict[str, Any]:
        """The first chunk: who speaks."""
        return self._with_choice(update, {"role": "assistant", "content": ""}, with_usage=with_usage)

    def chunks(self, update: Update, with_usage: bool) -> Iterator[dict[str, Any]]:
        """What is new since the last update, thought before answer; at the end also why it ended."""
        delta: dict[str, Any] = {}
        thought, self.thought = _grown(self.thought, update.thought)
        answer, self.answer = _grown(self.answer, update.answer)
        if thought:
            delta["reasoning_content"] = thought
        if answer:
            delta["content"] = answer
        logprobs = update.logprobs[self.tokens :]
        if delta or logprobs:
            self.tokens = len(update.logprobs)
            yield self._with_choice(update, delta, logprobs, with_usage=with_usage)
        if update.finish_reason is not None:
            yield self._with_choice(update, {}, with_usage=with_usage, finish=FINISH[update.finish_reason])

    def chunk(
        self, update: Update, choices: list[dict[str, Any]], usage: dict[str, int] | None
    ) -> dict[str, Any]:
        """One chunk around `choices`."""
        # OpenAI has no field for it: how many of the oldest messages did not fit the model's window.
        dropped = {"dropped_messages": update.dropped} if update.dropped else {}
        return {
            "id": self.PREFIX + update.reply_id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": update.version,
            "choices": choices,
            "usage": usage,
            **dropped,
        }

    def logprobs(self, logprobs: Sequence[Logprob]) -> dict[str, Any] | None:
        """Log-probabilities by the tokens' text and bytes; None where there are none."""
        if not logprobs:
            return None
        return {
            "content": [
                {
                    **self._named(one.token_id, one.logprob),
                    "top_logprobs": [self._named(*likely) for likely in one.likeliest],
                }
                for one in logprobs
            ],
            "refusal": None,
        }

    def _with_choice(
        self,
        update: Update,
        delta: dict[str, Any],
        logprobs: Sequence[Logprob] = (),
        *,
        with_usage: bool,
        finish: str | None = None,
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": self.logprobs(logprobs), "finish_reason": finish}
        made = self.chunk(update, [choice], usage=None)
        if not with_usage:
            del made["usage"]
        return made

    def _named(self, token_id: int, logprob: float) -> dict[str, Any]:
        text = self.tokenizer.decode([token_id])
        # JSON has no infinity; OpenAI writes a very small number for "never".
        return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(text.encode())}


def answer_of(shape: Shape, update: Update) -> dict[str, Any]:
    """A whole completion."""
    message: dict[str, Any] = {"role": "assistant", "content": update.answer, "refusal": None}
    if update.thought:
        message["reasoning_content"] = update.thought
    choice = {
        "index": 0,
        "message": message,
        "logprobs": shape.logprobs(update.logprobs),
        "finish_reason": FINISH[update.finish_reason or "end"],
    }
    return {
        **shape.chunk(update, [choice], usage_of(update)),
        "object": "chat.completion",
    }


def usage_of(update: Update) -> dict[str, int]:
    """Tokens read and written."""
    return {
        "prompt_tokens": update.prompt_tokens,
        "completion_tokens": update.completion_tokens,
        "total_tokens": update.prompt_tokens + update.completion_tokens,
    }


def _grown(sent: str, now: str) -> tuple[str, str]:
    """What to send, and all that was sent then. A text that changed before its end waits until it fits again."""
    return (now[len(sent) :], now) if now.startswith(sent) else ("", sent)
