"""The fields that every request for a completion has: how it is drawn, how long it may be, whether it is streamed."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from assistant.api.answer_format import Unsupported, as_text, schema_of
from assistant.sampling_settings import MAX_PENALTY, MAX_TEMPERATURE, Sampling

MAX_INT64 = 2**63 - 1


class _StreamOptions(BaseModel):
    include_usage: bool = False


class SamplingFields(BaseModel):
    """What the bodies of all completions share. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0.0, le=MAX_TEMPERATURE)
    top_p: float | None = Field(None, gt=0.0, le=1.0)
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0.0, le=1.0)
    frequency_penalty: float | None = Field(None, ge=-MAX_PENALTY, le=MAX_PENALTY)
    presence_penalty: float | None = Field(None, ge=-MAX_PENALTY, le=MAX_PENALTY)
    seed: int | None = Field(None, ge=-MAX_INT64, le=MAX_INT64)
    stop: str | list[str] | None = None
    min_tokens: int | None = Field(None, ge=0)
    ignore_eos: bool | None = None
    response_format: dict[str, Any] | None = None
    user: str | None = Field(None, max_length=1_000)

    @field_validator("stop")
    @classmethod
    def _check_stops(cls, stop: str | list[str] | None) -> str | list[str] | None:
        stops = [stop] if isinstance(stop, str) else stop or []
        if len(stops) > 16 or not all(0 < len(text) <= 1_000 for text in stops):
            raise ValueError("at most 16 texts of 1 to 1,000 characters")
        return stop

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise Unsupported("stream_options", "only with 'stream': true")
        if (self.min_tokens or 0) > (self.limit or MAX_INT64):
            raise Unsupported("min_tokens", "must not be above max_tokens")
        if self.schema_text is not None and (self.min_tokens or self.ignore_eos):
            name = "min_tokens" if self.min_tokens else "ignore_eos"
            raise Unsupported(name, "not with 'response_format': the answer ends where its format ends")
        return self

    @property
    def schema_text(self) -> str | None:
        """The JSON schema that the answer must follow, as JSON. Raises Unsupported."""
        schema = schema_of(self.response_format)
        return None if schema is None else as_text(schema)

    @property
    def limit(self) -> int | None:
        """Maximum length of the reply in tokens; None if the request does not limit it."""
        return self.max_tokens

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with the numbers of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage

    def drawn(self, default: Sampling, logprobs: int | None) -> Sampling:
        """The sampling settings, with those of `default` where the request has none."""
        return Sampling(
            temperature=default.temperature if self.temperature is None else self.temperature,
            top_p=default.top_p if self.top_p is None else self.top_p,
            top_k=default.top_k if self.top_k is None else max(self.top_k, 0),
            min_p=default.min_p if self.min_p is None else self.min_p,
            frequency_penalty=default.frequency_penalty
            if self.frequency_penalty is None
            else self.frequency_penalty,
            presence_penalty=default.presence_penalty
            if self.presence_penalty is None
            else self.presence_penalty,
            max_new_tokens=self.limit or max(default.max_new_tokens, self.min_tokens or 0),
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            min_tokens=self.min_tokens or 0,
            ignore_eos=bool(self.ignore_eos),
            logprobs=logprobs,
            schema=self.schema_text,
        )
