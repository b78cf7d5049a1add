"""The messages of a request, and the transcript of plain texts that they are for the model and the store."""

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator


class _Part(BaseModel):
    """A part of a message's content. Only text is supported."""

    type: Literal["text"]
    text: str


class _Function(BaseModel):
    name: str
    arguments: str | dict[str, Any] = ""


class _ToolCall(BaseModel):
    id: str | None = None
    function: _Function


class TranscriptMessage(BaseModel):
    """One message as clients send it."""

    model_config = ConfigDict(strict=True)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    name: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: _Function | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _check_parts(cls, content: Any) -> Any:
        kinds = (
            {part.get("type") for part in content if isinstance(part, dict)}
            if isinstance(content, list)
            else set()
        )
        if others := sorted(str(kind) for kind in kinds - {"text"}):
            raise ValueError(f"only parts of the type 'text' are read here, not {', '.join(others)[:100]!r}")
        return content

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""

    @property
    def calls(self) -> list[_ToolCall]:
        """The tools that it calls."""
        own = [_ToolCall(function=self.function_call)] if self.function_call else []
        return [*own, *(self.tool_calls or [])]

    @property
    def uses_tools(self) -> bool:
        """Whether it calls a tool, or gives the result of a call."""
        return self.role in ("tool", "function") or bool(self.calls)


def transcript_of(messages: Sequence[TranscriptMessage]) -> list[dict[str, str]]:
    """Role (system, user or assistant) and text of each message.

    A developer's is a system message. Calls of tools are text of the assistant, their results text of the user. System
    messages that follow the user's last message before an answer are put before it: an answer is one to a user.
    """
    names = {call.id: call.function.name for message in messages for call in message.calls}
    plain = [_plain(message, names) for message in messages]
    ordered: list[dict[str, str]] = []
    for _, group in groupby(plain, key=lambda message: message["role"] == "assistant"):
        ordered += _user_last(list(group))
    return ordered


def _plain(message: TranscriptMessage, names: dict[str | None, str]) -> dict[str, str]:
    if message.role in ("tool", "function"):
        name = message.name or (names.get(message.tool_call_id) if message.tool_call_id else None)
        return {"role": "user", "content": f"Result of {name or 'the tool'}: {message.text}"}
    role = "system" if message.role == "developer" else message.role
    calls = [f"Call of {call.function.name}: {_arguments(call.function)}" for call in message.calls]
    return {"role": role, "content": "\n\n".join(text for text in (message.text, *calls) if text)}


def _arguments(function: _Function) -> str:
    arguments = function.arguments
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _user_last(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    last = max((place for place, message in enumerate(messages) if message["role"] == "user"), default=None)
    if last is None:
        return messages
    return [*messages[:last], *messages[last + 1 :], messages[last]]
