"""The page's named endpoints: `/chat` and `/rate`, for `gradio_client` and plain HTTP."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.auth.pseudonyms import SHARED_RATER
from assistant.errors import AssistantError, ModelError, VersionError
from assistant.page.i18n.languages import ENGLISH, explained
from assistant.page.session.gradio_compat import current_request
from assistant.page.session.visitor import account_of
from feedback_store import StoreError

if TYPE_CHECKING:
    from assistant.auth.accounts import Accounts
    from assistant.chat.chat import Chat

log = logging.getLogger(__name__)


class Endpoints:
    """The endpoints over one `Chat`. Callers who have signed in are the same raters as on the page.

    All others share one rater, so that whoever knows the id of a conversation may continue it.
    """

    def __init__(self, chat: Chat, accounts: Accounts | None = None) -> None:
        self._chat, self._accounts = chat, accounts

    async def chat(
        self, message: str, think: bool = False, conversation: str | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Send a message and stream the reply; without a conversation, a new one begins.

        Streams dictionaries with reply_id, conversation, thought, answer, version. The texts are cumulative.
        """
        account = account_of(current_request(), self._accounts)
        rater = account.rater if account else SHARED_RATER
        try:
            updates = self._chat.reply(message, think=think, rater=rater, conversation=conversation or None)
            async with aclosing(updates):
                async for update in updates:
                    yield {
                        "reply_id": update.reply_id,
                        "conversation": update.conversation,
                        "thought": update.thought,
                        "answer": update.answer,
                        "version": update.version,
                    }
        except (AssistantError, StoreError) as error:
            raise gr.Error(_message(error), print_exception=False) from error

    def rate(
        self,
        reply_id: str,
        value: int,
        reasons: list[str] | None = None,
        comment: str = "",
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Rate a reply: value 1 is a thumb up, -1 a thumb down, 0 withdraws. A client's last rating counts."""
        account = account_of(request, self._accounts)
        rater = account.rater if account else SHARED_RATER
        if account is None and request is not None:
            rater = f"{SHARED_RATER}-{request.session_hash}"
        if value not in (1, 0, -1) or isinstance(value, bool):
            raise gr.Error(f"value is {value!r}; it must be 1, -1 or 0 (withdraw).", print_exception=False)
        try:
            self._chat.library.rate(reply_id, value, reasons or [], comment, rater)
        except (AssistantError, StoreError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        return {"reply_id": reply_id, "value": value, "reasons": reasons or [], "comment": comment}


def _message(error: Exception) -> str:
    """What a client is told; where the error's own message names folders of this machine, that is for the log."""
    if isinstance(error, ModelError | VersionError):
        log.warning("/chat could not open a version: %s", error)
        return explained(ENGLISH, error)
    return str(error)
