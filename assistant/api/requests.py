"""Requests in OpenAI's shape, validated as a whole before they are handled."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from assistant.api.api_errors import ApiError
from assistant.api.transcript_messages import TranscriptMessage, transcript_of
from assistant.sampling_settings import MAX_LOGPROBS, MAX_PENALTY, MAX_TEMPERATURE, Sampling

MAX_CHOICES = 4
MAX_INT64 = 2**63 - 1
HINTS = {
    "tools": ", because no model is asked to call them, unless 'tool_choice' is 'none'",
    "response_format": ", because no engine here forces a format: ask for it in a message",
}
"""Why a field is not supported, or what else helps."""


class _StreamOptions(BaseModel):
    include_usage: bool = False


class _TemplateOptions(BaseModel):
    enable_thinking: bool | None = None


class ChatRequest(BaseModel):
    """The body of `/v1/chat/completions`. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    model: str
    messages: list[TranscriptMessage] = Field(min_length=1)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0.0, le=MAX_TEMPERATURE)
    top_p: float | None = Field(None, gt=0.0, le=1.0)
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0.0, le=1.0)
    frequency_penalty: float | None = Field(None, ge=-MAX_PENALTY, le=MAX_PENALTY)
    presence_penalty: float | None = Field(None, ge=-MAX_PENALTY, le=MAX_PENALTY)
    seed: int | None = Field(None, ge=-MAX_INT64, le=MAX_INT64)
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    min_tokens: int | None = Field(None, ge=0)
    ignore_eos: bool | None = None
    user: str | None = Field(None, max_length=1_000)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    chat_template_kwargs: _TemplateOptions | None = None

    n: int | None = Field(None, ge=1, le=MAX_CHOICES)

    # Sent by clients that do not depend on them; any value but the default is refused.
    tools: list[Any] | None = None
    tool_choice: Any = None
    functions: list[Any] | None = None
    function_call: Any = None
    response_format: dict[str, Any] | None = None
    logit_bias: dict[str, Any] | None = None
    repetition_penalty: float | None = None

    @field_validator("stop")
    @classmethod
    def _check_stops(cls, stop: str | list[str] | None) -> str | list[str] | None:
        stops = [stop] if isinstance(stop, str) else stop or []
        if len(stops) > 16 or not all(0 < len(text) <= 1_000 for text in stops):
            raise ValueError("at most 16 texts of 1 to 1,000 characters")
        return stop

    @model_validator(mode="after")
    def _refuse_unsupported(self) -> Self:
        unsupported = {
            # Tools that must not be called change nothing.
            "tools": (None if self.tool_choice == "none" else self.tools, []),
            "functions": (None if self.function_call == "none" else self.functions, []),
            "response_format": (self.response_format, {"type": "text"}),
            "logit_bias": (self.logit_bias, {}),
            "repetition_penalty": (self.repetition_penalty, 1.0),
        }
        for name, (value, default) in unsupported.items():
            if value not in (None, default):
                raise Unsupported(
                    name, f"only {default!r} is supported{HINTS.get(name, '')}; leave {name!r} out"
                )
        if self.tool_choice == "required" or isinstance(self.tool_choice, dict):
            raise Unsupported("tool_choice", "no tools are called here; leave it out, or choose 'none'")
        if not self.transcript or self.transcript[-1]["role"] != "user":
            raise Unsupported(
                "messages", "the last message must be a user's, a tool's, or an answer to continue"
            )
        if self.stream_options is not None and not self.stream:
            raise Unsupported("stream_options", "only with 'stream': true")
        if self.top_logprobs is not None and not self.logprobs:
            raise Unsupported("top_logprobs", "only with 'logprobs': true")
        if (self.min_tokens or 0) > (self.limit or MAX_INT64):
            raise Unsupported("min_tokens", "must not be above max_tokens")
        return self

    @property
    def limit(self) -> int | None:
        """Maximum length of the reply in tokens; None if the request does not limit it."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def think(self) -> bool | None:
        """Whether to think before the answer; None leaves it to the model."""
        if self.chat_template_kwargs is not None and self.chat_template_kwargs.enable_thinking is not None:
            return self.chat_template_kwargs.enable_thinking
        return None if self.reasoning_effort is None else self.reasoning_effort != "none"

    @property
    def prefill(self) -> str:
        """How the answer begins, if the last message is the assistant's; the answer goes on from there."""
        last = self.messages[-1]
        return last.text if last.role == "assistant" and not last.uses_tools else ""

    @property
    def transcript(self) -> list[dict[str, str]]:
        """The messages that are answered, as dictionaries of role and content."""
        last = self.messages[-1]
        begun = last.role == "assistant" and not last.uses_tools
        return transcript_of(self.messages[:-1] if begun else self.messages)

    @property
    def uses_tools(self) -> bool:
        """Whether the messages hold calls of tools or their results."""
        return any(message.uses_tools for message in self.messages)

    def sampling(self, default: Sampling) -> Sampling:
        """The sampling settings, with those of `default` where the request has none."""
        limit = self.limit or max(default.max_new_tokens, self.min_tokens or 0)
        return Sampling(
            temperature=default.temperature if self.temperature is None else self.temperature,
            top_p=default.top_p if self.top_p is None else self.top_p,
            top_k=default.top_k if self.top_k is None else max(self.top_k, 0),
            min_p=default.min_p if self.min_p is None else self.min_p,
            frequency_penalty=self.frequency_penalty or 0.0,
            presence_penalty=self.presence_penalty or 0.0,
            max_new_tokens=limit,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            min_tokens=self.min_tokens or 0,
            ignore_eos=bool(self.ignore_eos),
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )


class FeedbackRequest(BaseModel):
    """The body of `/v1/feedback`: a rating of a completion, a correction, or both."""

    model_config = ConfigDict(strict=True)

    id: str = Field(min_length=1, max_length=200)
    value: Literal[-1, 0, 1] | None = None
    reasons: list[str] = Field(default_factory=list)
    comment: str = ""
    correction: str | None = None
    user: str | None = Field(None, max_length=1_000)

    @model_validator(mode="after")
    def _check_feedback(self) -> Self:
        if self.value is None and self.correction is None:
            raise Unsupported("value", "1 (up), -1 (down) or 0 (withdrawn), or a 'correction', is needed")
        return self


class Unsupported(ValueError):
    """A field has an unsupported value, or one that contradicts another field."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


def refusal(error: ValidationError) -> ApiError:
    """The first validation error of a body, with the name of its field."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    param = cause.param if isinstance(cause, Unsupported) else _name(first["loc"])
    return ApiError(
        400, f"{param or 'The body'}: {cause or first['msg']}.", param=param, code="invalid_value"
    )


def _name(location: Sequence[int | str]) -> str | None:
    # Pydantic adds the members of unions; the client knows only fields and positions.
    names = ["" if part in ("str", "function-after") else str(part) for part in location]
    return ".".join(name for name in names if name and not name.startswith(("list[", "_"))) or None
