"""Errors of the API in OpenAI's shape, and the HTTP status of each error of the project."""

import logging
import math
from typing import Any

from starlette.responses import JSONResponse

from assistant.errors import (
    AssistantError,
    EngineBusy,
    EngineError,
    FormatRefused,
    ModelError,
    TooLong,
    UnknownModel,
    VersionError,
)
from feedback_store import StoreError

log = logging.getLogger(__name__)

RETRY_SECONDS = 5
"""When a client should try again, in seconds."""


class ApiError(Exception):
    """An error for the client, in OpenAI's shape. `retry_after`: seconds until a new attempt makes sense."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.retry_after = status, param, code, retry_after

    @property
    def body(self) -> dict[str, Any]:
        """The response body."""
        kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
        kind = kinds.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


def error_response(error: ApiError) -> JSONResponse:
    """The HTTP response for an error."""
    retry = {"retry-after": str(error.retry_after)} if error.retry_after is not None else {}
    scheme = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    return JSONResponse(error.body, status_code=error.status, headers={**retry, **scheme})


def as_api_error(error: Exception) -> ApiError:
    """An error with the HTTP status that fits.

    The message of an unexpected one is logged, and not sent; nor is that of a version or model that cannot be opened.
    """
    match error:
        case ApiError():
            return error
        case UnknownModel():
            return ApiError(404, str(error), param="model", code="model_not_found")
        case EngineBusy():
            return ApiError(429, str(error), code="busy", retry_after=RETRY_SECONDS)
        case EngineError():
            return ApiError(503, str(error), code="engine_error", retry_after=math.ceil(RETRY_SECONDS / 5))
        case ModelError() | VersionError():
            # Its message names folders of this machine.
            log.warning("A request named a version that cannot be opened: %s", error)
            message = "This version cannot be opened; the server's log says why. Name another model."
            return ApiError(503, message, param="model", code="model_unavailable")
        case TooLong():
            # OpenAI's words, by which clients such as litellm know this error.
            message = f"This model's maximum context length is {error.most} tokens before its answer. {error}"
            return ApiError(400, message, param="messages", code="context_length_exceeded")
        case FormatRefused():
            return ApiError(400, str(error), param="response_format", code="invalid_value")
        case AssistantError():
            return ApiError(400, str(error), param="messages", code="invalid_value")
        case StoreError() if isinstance(error, ValueError):
            return ApiError(400, str(error), code="invalid_value")
    log.error("A request failed", exc_info=error)
    if isinstance(error, StoreError):
        return ApiError(503, str(error), code="store_error", retry_after=RETRY_SECONDS)
    return ApiError(500, "Something failed in this server; its log says what.", code="internal_error")
