"""Responses in OpenAI's shape: whole chat completions, and the chunks of a stream."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, ClassVar

from assistant.api.api_errors import as_api_error
from assistant.api.http_io import event
from assistant.chat.reply_stream import Update, together
from assistant.serving.engine import Logprob
from assistant.serving.tokenizing.token_bytes import token_bytes, token_text
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer

FINISH = {"end": "stop", "length": "length", "stopped": "stop"}


@dataclass
class CompletionWriter:
    """Writes one choice of a completion, whole or in chunks; remembers how much of it the chunks so far hold."""

    PREFIX: ClassVar[str] = "chatcmpl-"

    model: str
    created: int
    tokenizer: Tokenizer
    index: int = 0
    id: str = ""
    """Of the completion; empty until its first reply has one. The other choices' replies have ids of their own."""
    thought: str = ""
    answer: str = ""
    """At the start, what the client has written of it already."""
    prefilled: int = 0
    """Tokens of that."""
    tool: str | None = None
    """The name of the tool that the answer calls: it is the tool's arguments."""
    tokens: int = 0

    def opening(self, update: Update, with_usage: bool) -> dict[str, Any]:
        """The first chunk, which names the role."""
        delta: dict[str, Any] = {"role": "assistant", "content": "" if self.tool is None else None}
        if self.tool is not None:
            delta["tool_calls"] = [{"index": 0, **self._call(update, "")}]
        return self._with_choice(update, delta, with_usage=with_usage)

    def chunks(self, update: Update, with_usage: bool) -> Iterator[dict[str, Any]]:
        """Chunks of what is new since the last update, thought before answer; at the end the finish reason."""
        delta: dict[str, Any] = {}
        thought, answer = self._new_texts(update)
        if thought:
            delta["reasoning_content"] = thought
        if answer and self.tool is not None:
            delta["tool_calls"] = [{"index": 0, "function": {"arguments": answer}}]
        elif answer:
            delta["content"] = answer
        logprobs = update.logprobs[self.tokens :]
        if delta or logprobs:
            self.tokens = len(update.logprobs)
            yield self._with_choice(update, delta, logprobs, with_usage=with_usage)
        if update.finish_reason is not None:
            yield self._with_choice(update, {}, with_usage=with_usage, finish=self._finish(update))

    def chunk(
        self, update: Update, choices: list[dict[str, Any]], usage: dict[str, int] | None
    ) -> dict[str, Any]:
        """One chunk with `choices`."""
        # OpenAI has no field for the number of oldest messages that did not fit the context window.
        dropped = {"dropped_messages": update.dropped} if update.dropped else {}
        return {
            "id": self.id or self.PREFIX + update.reply_id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": update.version,
            "choices": choices,
            "usage": usage,
            **dropped,
        }

    def choice(self, update: Update) -> dict[str, Any]:
        """The whole choice."""
        thought, answer = self._new_texts(update)
        message: dict[str, Any] = {"role": "assistant", "content": answer, "refusal": None}
        if self.tool is not None:
            message |= {"content": None, "tool_calls": [self._call(update, answer)]}
        if thought:
            message["reasoning_content"] = thought
        return {
            "index": self.index,
            "message": message,
            "logprobs": self.logprobs(update.logprobs),
            "finish_reason": self._finish(update),
            **self._reply_id(update),
        }

    def logprobs(self, logprobs: Sequence[Logprob]) -> dict[str, Any] | None:
        """Log-probabilities with the tokens' texts and bytes; None if there are none."""
        if not logprobs:
            return None
        return {
            "content": [
                {
                    **self._token(logprob.token_id, logprob.logprob),
                    "top_logprobs": [self._token(*likely) for likely in logprob.likeliest],
                }
                for logprob in logprobs
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
        choice = {
            "index": self.index,
            "delta": delta,
            "logprobs": self.logprobs(logprobs),
            "finish_reason": finish,
            **self._reply_id(update),
        }
        chunk = self.chunk(update, [choice], usage=None)
        if not with_usage:
            del chunk["usage"]
        return chunk

    def _call(self, update: Update, arguments: str) -> dict[str, Any]:
        function = {"name": self.tool, "arguments": arguments}
        return {"id": f"call_{update.reply_id}", "type": "function", "function": function}

    def _finish(self, update: Update) -> str:
        reason = update.finish_reason or "end"
        return "tool_calls" if self.tool is not None and reason == "end" else FINISH[reason]

    def _reply_id(self, update: Update) -> dict[str, str]:
        """The id to rate this choice by, where it is not the completion's."""
        own = self.PREFIX + update.reply_id
        return {} if self.id in ("", own) else {"reply_id": own}

    def _new_texts(self, update: Update) -> tuple[str, str]:
        thought, self.thought = _new_text(self.thought, update.thought)
        answer, self.answer = _new_text(self.answer, update.answer)
        return thought, answer

    def _token(self, token_id: int, logprob: float) -> dict[str, Any]:
        return {
            "token": token_text(self.tokenizer, token_id),
            # JSON has no infinity; OpenAI writes a very small number instead.
            "logprob": max(logprob, -9999.0),
            "bytes": list(token_bytes(self.tokenizer, token_id)),
        }


def completion(writers: Sequence[CompletionWriter], updates: Sequence[Update]) -> dict[str, Any]:
    """A whole completion; one writer and one update for each choice."""
    choices = [writer.choice(update) for writer, update in zip(writers, updates, strict=True)]
    return {
        **writers[0].chunk(updates[0], choices, usage_of(writers, updates)),
        "object": "chat.completion",
    }


def usage_of(writers: Sequence[CompletionWriter], updates: Sequence[Update]) -> dict[str, int]:
    """Numbers of prompt and completion tokens; what the client wrote of the answer counts as its prompt."""
    prefilled = writers[0].prefilled
    prompt = updates[0].prompt_tokens + prefilled
    completed = sum(max(update.completion_tokens - prefilled, 0) for update in updates)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completed,
        "total_tokens": prompt + completed,
    }


async def chat_events(
    writers: Sequence[CompletionWriter],
    opening: Sequence[Update],
    streams: Sequence[AsyncGenerator[Update, None]],
    with_usage: bool,
) -> AsyncGenerator[bytes, None]:
    """The chunks of a streamed answer. An error becomes a chunk too, since the status has been sent already."""
    latest = tuple(opening)
    try:
        async with aclosing(together(streams, opening)) as changes:
            for writer, update in zip(writers, opening, strict=True):
                yield event(writer.opening(update, with_usage))
                for chunk in writer.chunks(update, with_usage):
                    yield event(chunk)
            async for updates in changes:
                for writer, update, before in zip(writers, updates, latest, strict=True):
                    if update is not before:
                        for chunk in writer.chunks(update, with_usage):
                            yield event(chunk)
                latest = updates
            if with_usage:
                yield event(writers[0].chunk(latest[0], [], usage=usage_of(writers, latest)))
    except Exception as error:
        yield event(as_api_error(error).body)
        return
    yield b"data: [DONE]\n\n"


def _new_text(sent: str, text: str) -> tuple[str, str]:
    """The new end of a text, and all that will have been sent.

    A text whose beginning has changed is not sent until it begins again with what was sent.
    """
    return (text[len(sent) :], text) if text.startswith(sent) else ("", sent)
