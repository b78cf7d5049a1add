"""Requests in OpenAI's shape, validated as a whole before they are handled."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from assistant.api.answer_format import ForcedTool, Unsupported, as_text, forced_tool
from assistant.api.api_errors import ApiError
from assistant.api.sampling_fields import SamplingFields
from assistant.api.transcript_messages import TranscriptMessage, transcript_of
from assistant.chat.library import check_reasons
from assistant.errors import UnknownReason
from assistant.sampling_settings import MAX_LOGPROBS, Sampling

MAX_CHOICES = 4


class _TemplateOptions(BaseModel):
    enable_thinking: bool | None = None


class ChatRequest(SamplingFields):
    """The body of `/v1/chat/completions`."""

    messages: list[TranscriptMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    chat_template_kwargs: _TemplateOptions | None = None
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)

    # A model may call tools or not, and none here does, unless the request demands the call of one.
    tools: list[Any] | None = None
    tool_choice: Any = None
    functions: list[Any] | None = None
    function_call: Any = None

    # Sent by clients that do not depend on them; any value but the default is refused.
    logit_bias: dict[str, Any] | None = None
    repetition_penalty: float | None = None

    @model_validator(mode="after")
    def _refuse_unsupported(self) -> Self:
        unsupported = {
            "logit_bias": (self.logit_bias, {}),
            "repetition_penalty": (self.repetition_penalty, 1.0),
        }
        for name, (value, default) in unsupported.items():
            if value not in (None, default):
                raise Unsupported(name, "this is not supported; leave it out")
        if self.function_call not in (None, "none", "auto"):
            raise Unsupported("function_call", "only 'none' and 'auto' are supported; use 'tool_choice'")
        if not self.transcript or self.transcript[-1]["role"] != "user":
            raise Unsupported(
                "messages", "the last message must be a user's, a tool's, or an answer to continue"
            )
        if self.prefill and self.schema_text is not None:
            raise Unsupported(
                "response_format", "not for an answer that the last message begins: leave one out"
            )
        if self.top_logprobs is not None and not self.logprobs:
            raise Unsupported("top_logprobs", "only with 'logprobs': true")
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
        return self.messages[-1].text if self._is_begun else ""

    @property
    def transcript(self) -> list[dict[str, str]]:
        """The messages that are answered, as dictionaries of role and content."""
        return transcript_of(self.messages[:-1] if self._is_begun else self.messages)

    @property
    def _is_begun(self) -> bool:
        last = self.messages[-1]
        return last.role == "assistant" and not last.uses_tools

    @property
    def uses_tools(self) -> bool:
        """Whether the messages hold calls of tools or their results."""
        return any(message.uses_tools for message in self.messages)

    @property
    def tool(self) -> ForcedTool | None:
        """The tool that the answer must call; None if it need not. Raises Unsupported."""
        return forced_tool(self.tools or [], self.tool_choice)

    @property
    def schema_text(self) -> str | None:
        """The JSON schema that the answer must follow: of the tool's arguments, if it must call one."""
        return super().schema_text if self.tool is None else as_text(self.tool.schema)

    def sampling(self, default: Sampling) -> Sampling:
        """The sampling settings, with those of `default` where the request has none."""
        return self.drawn(default, (self.top_logprobs or 0) if self.logprobs else None)


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
        try:
            check_reasons(self.value or 0, self.reasons)
        except UnknownReason as error:
            raise Unsupported("reasons", str(error).removesuffix(".")) from error
        return self


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
