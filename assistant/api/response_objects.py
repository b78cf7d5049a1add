"""`/v1/responses`, OpenAI's newer form of a chat completion: its text case, whole and streamed."""

import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.api.api_errors import ApiError, as_api_error
from assistant.api.http_io import named_event
from assistant.api.requests import ChatRequest, refusal
from assistant.chat.reply_stream import Update

PREFIX = "resp_"
_TEXTS = ("input_text", "output_text", "text")


class ResponseRequest(BaseModel):
    """The body of `/v1/responses`. Its fields are checked as those of a chat completion; unknown ones are ignored."""

    model_config = ConfigDict(strict=True)

    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    previous_response_id: str | None = None
    max_output_tokens: int | None = None
    reasoning: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    stream: bool | None = None
    background: bool | None = None
    temperature: Any = None
    top_p: Any = None
    tools: Any = None
    tool_choice: Any = None
    user: Any = None

    def as_chat(self, before: Sequence[dict[str, str]]) -> ChatRequest:
        """The same as a chat completion that continues the transcript `before`. Raises ApiError."""
        if self.background:
            raise ApiError(400, "background: only false is supported; leave it out.", param="background")
        if self.tool_choice not in (None, "none", "auto"):
            raise ApiError(
                400,
                "tool_choice: only 'none' and 'auto' are supported here; the call of a tool can be demanded of "
                "/v1/chat/completions, and an answer in a given format by 'text.format'.",
                param="tool_choice",
                code="invalid_value",
            )
        items = [{"role": "user", "content": self.input}] if isinstance(self.input, str) else self.input
        messages = [message for item in items if (message := _message(item)) is not None]
        if self.instructions is not None:
            before = [message for message in before if message["role"] != "system"]
            messages = [{"role": "system", "content": self.instructions}, *before, *messages]
        else:
            messages = [*before, *messages]
        fields = {
            "model": self.model,
            "messages": messages,
            "stream": self.stream,
            "max_tokens": self.max_output_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "tools": self.tools,
            "user": self.user,
            "reasoning_effort": (self.reasoning or {}).get("effort"),
            "response_format": _response_format((self.text or {}).get("format")),
        }
        try:
            return ChatRequest.model_validate(fields)
        except ValidationError as error:
            raise in_own_fields(refusal(error)) from error


def in_own_fields(error: ApiError) -> ApiError:
    """An error whose `param` is a field of a chat completion, with the field of a response instead."""
    names = {"messages": "input", "max_tokens": "max_output_tokens", "response_format": "text.format"}
    if error.param is None:
        return error
    name, dot, rest = error.param.partition(".")
    own = f"{names.get(name, name)}{dot}{rest}".replace("format.json_schema", "format")
    message = str(error).replace(f"{error.param}:", f"{own}:", 1)
    return ApiError(error.status, message, param=own, code=error.code, retry_after=error.retry_after)


def _response_format(wanted: Any) -> Any:
    """`text.format` as a chat completion's `response_format`, which has the schema's fields one level deeper."""
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        return {
            "type": "json_schema",
            "json_schema": {name: wanted[name] for name in wanted if name != "type"},
        }
    return wanted


def _message(item: dict[str, Any]) -> dict[str, Any] | None:
    """An item of the input as a message of a chat completion; None for a thought, which no prompt holds."""
    match item.get("type", "message"):
        case "reasoning":
            return None
        case "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            return {"role": "assistant", "tool_calls": [{"id": item.get("call_id"), "function": function}]}
        case "function_call_output":
            return {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}
    content = item.get("content")
    if isinstance(content, list):
        content = [
            {"type": "text", "text": part.get("text")}
            if isinstance(part, dict) and part.get("type") in _TEXTS
            else part
            for part in content
        ]
    return {"role": item.get("role"), "content": content}


class ResponseWriter:
    """Writes one response, whole or as the events of a stream; remembers what the events so far hold."""

    def __init__(self, body: ResponseRequest) -> None:
        self._body, self._created = body, int(time.time())
        self._number = 0
        self._sent = {"reasoning": "", "message": ""}
        self._open: list[str] = []
        """The kinds of the items that have begun, in the order of the output."""

    def whole(self, update: Update) -> dict[str, Any]:
        """The response as far as it is written."""
        reason, texts = update.finish_reason, _texts(update)
        kinds = [kind for kind in texts if texts[kind] or (kind == "message" and reason)]
        cut = reason == "length"
        status = "in_progress" if reason is None else "incomplete" if cut else "completed"
        return {
            "id": PREFIX + update.reply_id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self._body.model,
            "output": [_item(kind, update, status) for kind in kinds],
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "instructions": self._body.instructions,
            "previous_response_id": self._body.previous_response_id,
            "text": {"format": (self._body.text or {}).get("format") or {"type": "text"}},
            "parallel_tool_calls": False,
            "tool_choice": "none",
            "tools": [],
            "usage": {
                "input_tokens": update.prompt_tokens,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": update.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": update.prompt_tokens + update.completion_tokens,
            },
        }

    def opening(self, update: Update) -> Iterator[bytes]:
        """The events before the first text."""
        for name in ("response.created", "response.in_progress"):
            yield self._event(name, response=self.whole(update) | {"output": []})

    def events(self, update: Update) -> Iterator[bytes]:
        """The events of what is new since the last update; at the end those that close the response."""
        for kind, text in _texts(update).items():
            sent = self._sent[kind]
            if not text.startswith(sent) or len(text) == len(sent):
                continue
            if kind not in self._open:
                yield from self._begin(kind, update)
            self._sent[kind] = text
            yield self._event(
                f"{_part_event(kind)}.delta", **self._place(kind, update), delta=text[len(sent) :]
            )
        if update.finish_reason is not None:
            if "message" not in self._open:
                yield from self._begin("message", update)
            for kind in self._open:
                yield from self._end(kind, update)
            response = self.whole(update)
            yield self._event(f"response.{response['status']}", response=response)

    def _begin(self, kind: str, update: Update) -> Iterator[bytes]:
        self._open.append(kind)
        item = _item(kind, update, "in_progress") | {"content": []}
        yield self._event("response.output_item.added", output_index=len(self._open) - 1, item=item)
        part = _part(kind, "")
        yield self._event("response.content_part.added", **self._place(kind, update), part=part)

    def _end(self, kind: str, update: Update) -> Iterator[bytes]:
        text, place = _texts(update)[kind], self._place(kind, update)
        yield self._event(f"{_part_event(kind)}.done", **place, text=text)
        yield self._event("response.content_part.done", **place, part=_part(kind, text))
        item = _item(kind, update, "completed")
        yield self._event("response.output_item.done", output_index=place["output_index"], item=item)

    def _place(self, kind: str, update: Update) -> dict[str, Any]:
        place = {
            "item_id": _item_id(kind, update),
            "output_index": self._open.index(kind),
            "content_index": 0,
        }
        return place | ({"logprobs": []} if kind == "message" else {})

    def _event(self, name: str, **fields: Any) -> bytes:
        self._number += 1
        return named_event(name, {"type": name, "sequence_number": self._number - 1, **fields})


async def response_events(
    writer: ResponseWriter, first: Update, rest: AsyncGenerator[Update, None]
) -> AsyncGenerator[bytes, None]:
    """The events of a streamed response. An error becomes an event too, since the status has been sent already."""
    try:
        async with aclosing(rest) as updates:
            for event in (*writer.opening(first), *writer.events(first)):
                yield event
            async for update in updates:
                for event in writer.events(update):
                    yield event
    except Exception as error:
        body = as_api_error(error).body
        spread = {name: body["error"][name] for name in ("code", "message", "param")}
        # OpenAI's event has the error's fields; its client raises an exception for an `error` alone.
        yield named_event("error", {"type": "error", **spread, **body})


def _texts(update: Update) -> dict[str, str]:
    return {"reasoning": update.thought, "message": update.answer}


def _item_id(kind: str, update: Update) -> str:
    return f"{'rs' if kind == 'reasoning' else 'msg'}_{update.reply_id}"


def _item(kind: str, update: Update, status: str) -> dict[str, Any]:
    item = {"id": _item_id(kind, update), "type": kind, "status": status}
    content = [_part(kind, _texts(update)[kind])]
    extra: dict[str, Any] = {"summary": []} if kind == "reasoning" else {"role": "assistant"}
    return {**item, **extra, "content": content}


def _part(kind: str, text: str) -> dict[str, Any]:
    if kind == "reasoning":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _part_event(kind: str) -> str:
    return "response.reasoning_text" if kind == "reasoning" else "response.output_text"
