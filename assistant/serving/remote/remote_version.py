"""A version that another server serves: what a lease of the engine over that server hands out."""

import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx

from assistant.errors import EngineError, FormatRefused, NoTokens
from assistant.registry.versions import Version
from assistant.sampling_settings import Sampling
from assistant.serving.context_window import completion_limit
from assistant.serving.engine import Chunk, Logprob, TokenScore
from assistant.serving.remote.remote_errors import raise_refusal, reason_of, text_of
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer, start_of_text

STREAM_TIMEOUT = httpx.Timeout(10.0, read=300.0)
"""Seconds to connect, and until the next token."""
CHECK_TIMEOUT = httpx.Timeout(10.0, read=120.0)
"""Seconds to connect, and until a server says whether it follows a schema."""
SCHEMA_FIELDS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "vllm": lambda schema: {"structured_outputs": {"json": schema}},
    "llamacpp": lambda schema: {"json_schema": schema},
}
"""The field that holds an answer to a JSON schema, by the owner of the server's models."""
MOST_SCHEMAS = 100
"""Schemas that are known to be followed; any other is tried first."""


class RemoteVersion:
    """A `ServedVersion` whose model runs on the server."""

    parameters = None

    def __init__(
        self,
        version: Version,
        tokenizer: Tokenizer,
        window: int,
        url: str,
        headers: dict[str, str],
        name: str,
        owner: str = "",
    ) -> None:
        """`name`: the model's name on the server at `url`. `headers` are sent with each request.

        `owner`: whose the server says that its models are, which tells what kind of server it is.
        """
        self.version = version
        self.tokenizer = tokenizer
        self.window = window
        self._url, self._headers, self._name = url, headers, name
        self._takes_ids = True
        self._schema_field = SCHEMA_FIELDS.get(owner)
        self._followed: set[str] = set()
        """Schemas that the server is known to follow."""

    def check_schema(self, schema: str) -> None:
        """See `ServedVersion.check_schema`. Raises EngineError if the server cannot be asked.

        It is asked for one token: in a stream it would refuse after the thought.
        """
        if self._schema_field is None:
            raise FormatRefused(
                f"The replies come from the server {self._url}, which may ignore a format: of its kind that is not "
                "known, as it is of vLLM and llama.cpp. Leave the format out, and ask for it in a message."
            )
        if schema in self._followed:
            return
        body = {"model": self._name, "prompt": "?", "max_tokens": 1} | self._schema_field(json.loads(schema))
        try:
            url = f"{self._url}/v1/completions"
            response = httpx.post(url, json=body, headers=self._headers, timeout=CHECK_TIMEOUT)
        except httpx.HTTPError as error:
            raise EngineError(
                f"The server {self._url} did not answer: {reason_of(error)}. Try again."
            ) from error
        if response.status_code in (400, 422):
            why = text_of(response, self._name)
            raise FormatRefused(f"The server {self._url} refused an answer in this format: {why}.")
        raise_refusal(response, self._url, self._name)
        if len(self._followed) >= MOST_SCHEMAS:
            self._followed.clear()
        self._followed.add(schema)

    async def stream(self, prompt_ids: list[int], sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """See `ServedVersion.stream`. Closing the iterator closes the connection, which is how such servers cancel.

        Token ids are the server's if it sends them (vLLM); else its text is tokenized again here.
        """
        limit = completion_limit(self, prompt_ids, sampling)
        try:
            async with httpx.AsyncClient(
                base_url=self._url, headers=self._headers, timeout=STREAM_TIMEOUT
            ) as client:
                if self._takes_ids:
                    body = self._body(sampling, limit) | {"prompt": prompt_ids}
                    async with client.stream("POST", "/v1/completions", json=body) as response:
                        if response.status_code not in (400, 422):
                            async for chunk in self._chunks(response):
                                yield chunk
                            return
                    # Such a server takes text only. If it refused something else, the second request shows it.
                    self._takes_ids = False
                body = self._body(sampling, limit) | {"prompt": self._as_text(prompt_ids)}
                async with client.stream("POST", "/v1/completions", json=body) as response:
                    if not response.is_success:
                        self._takes_ids = True
                    async for chunk in self._chunks(response):
                        yield chunk
        except httpx.HTTPError as error:
            raise EngineError(
                f"The server {self._url} did not answer: {reason_of(error)}. Send the message again."
            ) from error

    def score(
        self, prompt_ids: list[int], completion_ids: list[int], sampling: Sampling, alternatives: int
    ) -> list[TokenScore]:
        """Raises NoTokens: these servers report the likelihood of what they write, not of a text that exists."""
        raise NoTokens(
            f"The replies are written by the server {self._url}, which cannot read them again token by token."
        )

    def _body(self, sampling: Sampling, limit: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._name,
            "stream": True,
            "max_tokens": limit,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        # Stop texts are not sent: such a server searches the raw text, and would end a thought by them.
        # Not OpenAI's but vLLM's and llama.cpp's: sent only if asked for, because other servers may refuse them.
        extensions: dict[str, Any] = {
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": sampling.presence_penalty,
            "min_tokens": sampling.min_tokens,
            "ignore_eos": sampling.ignore_eos,
        }
        body |= {name: value for name, value in extensions.items() if value}
        if sampling.schema is not None and self._schema_field is not None:
            body |= self._schema_field(json.loads(sampling.schema))
        if sampling.logprobs is not None:
            body["logprobs"] = sampling.logprobs
        if self._takes_ids:
            # Tags and ends as the model wrote them, with their ids.
            body |= {"skip_special_tokens": False, "return_token_ids": True}
        return body

    def _as_text(self, prompt_ids: list[int]) -> str:
        # The server itself puts the beginning-of-text token before a text.
        start = start_of_text(self.tokenizer)
        without_start = prompt_ids[len(start) :] if prompt_ids[: len(start)] == start else prompt_ids
        return str(self.tokenizer.decode(without_start, skip_special_tokens=False))

    async def _chunks(self, response: httpx.Response) -> AsyncGenerator[Chunk, None]:
        if not response.is_success:
            await response.aread()
            raise_refusal(response, self._url, self._name)
        text, sent = "", 0
        async for line in response.aiter_lines():
            data = line.removeprefix("data:").strip()
            if not line.startswith("data:") or data == "[DONE]":
                continue
            event = _parsed(data)
            if "error" in event:
                raise EngineError(f"The server {self._url} failed: {event['error']}. Send the message again.")
            for choice in event.get("choices") or []:
                reason = {"stop": "end", "length": "length"}.get(choice.get("finish_reason") or "")
                ids = choice.get("token_ids")
                if ids is None:
                    text += choice.get("text") or ""
                    tokenized = self.tokenizer(text, add_special_tokens=False).input_ids
                    # The last token may still grow with the text after it.
                    stable = len(tokenized) if reason else max(len(tokenized) - 1, sent)
                    ids, sent = tokenized[sent:stable], stable
                if ids or reason:
                    yield Chunk(list(ids), reason, _logprobs(choice, list(ids)))  # type: ignore[arg-type]
                if reason:
                    return
        raise EngineError(f"The server {self._url} broke off its reply. Send the message again.")


def _logprobs(choice: dict[str, Any], ids: list[int]) -> tuple[Logprob, ...]:
    values = (choice.get("logprobs") or {}).get("token_logprobs") or []
    if len(values) != len(ids):
        return ()
    return tuple(Logprob(token, float(value or 0.0)) for token, value in zip(ids, values, strict=True))


def _parsed(data: str) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError as error:
        raise EngineError("The server sent something that is not JSON. Send the message again.") from error
    return event if isinstance(event, dict) else {}
