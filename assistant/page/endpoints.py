"""The page's named endpoints: `/chat` and `/rate`, for `gradio_client` and plain HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.errors import AssistantError
from assistant.page.stream import closing
from feedback_store import StoreError

if TYPE_CHECKING:
    from assistant.conversation import Chat

# Whoever knows a conversation's id may continue it here. Pages have raters of their own: theirs stay theirs.
API_RATER = "api"


class Endpoints:
    """The endpoints over one `Chat`."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def chat(
        self, message: str, think: bool = False, conversation: str | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Send a message and stream the reply; without a conversation, one is begun.

        Streams dictionaries with reply_id, conversation, thought, answer, version. The texts are cumulative.
        """
        try:
            updates = self._chat.reply(
                message, think=think, rater=API_RATER, conversation=conversation or None
            )
            async with closing(updates) as shown:
                async for update in shown:
                    yield {
                        "reply_id": update.reply_id,
                        "conversation": update.conversation,
                        "thought": update.thought,
                        "answer": update.answer,
                        "version": update.version,
                    }
        except (AssistantError, StoreError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    def rate(
        self,
        reply_id: str,
        value: int,
        reasons: list[str] | None = None,
        comment: str = "",
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Rate a reply: value 1 is a thumb up, -1 a thumb down, 0 withdraws. A client's last vote counts."""
        rater = f"{API_RATER}-{request.session_hash}" if request is not None else API_RATER
        if value not in (1, 0, -1) or isinstance(value, bool):
            raise gr.Error(f"value is {value!r}; it must be 1, -1 or 0 (withdraw).", print_exception=False)
        try:
            self._chat.rate(reply_id, value, reasons or [], comment, rater)
        except (AssistantError, StoreError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        return {"reply_id": reply_id, "value": value, "reasons": reasons or [], "comment": comment}
