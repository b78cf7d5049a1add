"""Which event of the chat page calls which handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from assistant.page.handlers.branching import BranchingHandlers
from assistant.page.handlers.conversation_list import ConversationListHandlers
from assistant.page.handlers.failures import report_unexpected
from assistant.page.handlers.opening import OpeningHandlers
from assistant.page.handlers.panels import PanelHandlers
from assistant.page.handlers.patches import in_patches
from assistant.page.handlers.rating import RatingHandlers
from assistant.page.handlers.sending import SendingHandlers

if TYPE_CHECKING:
    from assistant.page.chat_layout import ChatLayout
    from assistant.page.handlers.session_manager import SessionManager

Event = Callable[..., Any]
"""A listener of Gradio's, such as `button.click`: it takes the handler and returns what `.then` chains on."""


class ChatHandlers:
    """All handlers of the chat page, by subject."""

    def __init__(self, sessions: SessionManager) -> None:
        self.sessions = sessions
        self.opening = OpeningHandlers(sessions)
        self.sending = SendingHandlers(sessions)
        self.branching = BranchingHandlers(sessions)
        self.rating = RatingHandlers(sessions)
        self.conversation_list = ConversationListHandlers(sessions)
        self.panels = PanelHandlers(sessions)


class ChatEvents:
    """Connects the events of one layout with the handlers."""

    def __init__(self, layout: ChatLayout, handlers: ChatHandlers) -> None:
        self._layout, self._handlers = layout, handlers

    def connect(self, load: Event) -> None:
        """Connect every event; `load` is the page's own."""
        self._connect_page(load)
        self._connect_replies()
        self._connect_feedback()
        self._connect_conversation_list()
        self._connect_panels()

    def _call(self, event: Event, handler: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        """Let an event call a handler: from these inputs, session and memory to the whole page.

        No handler may have the name of a public endpoint: Gradio would give the endpoint another name.
        """
        layout = self._layout
        memory = len(inputs) + 1  # its position, after the inputs and the session
        options.setdefault("js", f"(...values) => {{ {_with_address(memory)} return values; }}")
        return event(
            in_patches(report_unexpected(self._handlers.sessions.chat, handler)),
            [*inputs, layout.session, layout.memory, *options.pop("switches", ())],
            layout.outputs,
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=options.pop("concurrency_limit", None),
            **options,
        )

    def _call_in_order(self, event: Event, handler: Callable[..., Any], queue: str) -> Any:
        """As `_call`, one event of the queue after another, and every one of them.

        With `trigger_mode="once"` the last of several changes could be lost; with "always_last", Gradio 6.31 repeats
        the data of the first event instead of sending that of the last.
        """
        return self._call(event, handler, trigger_mode="multiple", concurrency_limit=1, concurrency_id=queue)

    def _call_for_reply(self, event: Event, handler: Callable[..., Any], *inputs: Any) -> None:
        """As `_call`, for an event that requests a reply: the switches beside the message box go with it.

        The script reads the answer mode from the page, because changing a switch is an event of its own, and Gradio
        starts events of one moment in any order. It also notes the message that it sends in the message box, and waits
        until the server has the settings of a panel that was closed just before, for at most five seconds.
        """
        layout = self._layout
        switches = (layout.think, layout.answer_mode)
        position = len(inputs) + 3  # of the answer mode, after session, memory and `think`
        shown_mode = 'document.querySelector("#answer-mode select").value'
        note = ""
        if layout.message in inputs:
            note = 'document.querySelector("#message textarea").dataset.sent = values[0]; '
        address = _with_address(len(inputs) + 1)
        settings = (
            'for (let n = 0; n < 100 && document.querySelector("#panel [data-closed]"); n++) '
            "await new Promise((go) => setTimeout(go, 50)); "
        )
        values = f"[...values.slice(0, {position}), {shown_mode}]"
        script = f"async (...values) => {{ {note}{address} {settings}return {values}; }}"
        stream = self._call(event, handler, *inputs, switches=switches, js=script)
        self._call(stream.failure, self._handlers.sending.recover)

    def _connect_page(self, load: Event) -> None:
        layout, opening = self._layout, self._handlers.opening
        # Without a conversation in its address, a tab begins a new one. Inside another page, as on Spaces, a reload
        # loses the address: there, what the browser showed last is opened.
        otherwise = '(window === window.top ? "" : undefined)'
        self._call(
            load, opening.open, js=f"(...values) => {{ {_with_address(1, otherwise)} return values; }}"
        )
        self._call(layout.header.language, opening.language)
        self._call(layout.header.new_conversation, self._handlers.branching.new_conversation)
        self._call(layout.think.input, opening.set_think, layout.think)
        self._call(layout.answer_mode.set_mode, opening.set_mode)
        self._call_in_order(layout.conversation.check_for_changes, opening.check_for_changes, "changes")
        self._call(layout.conversation.send_all, opening.send_all)
        self._call(layout.conversation_list.send_all, opening.send_all)

    def _connect_replies(self) -> None:
        layout, sending, branching = self._layout, self._handlers.sending, self._handlers.branching
        conversation = layout.conversation
        self._call_for_reply(layout.message.submit, sending.send, layout.message)
        self._call_for_reply(layout.send.click, sending.send, layout.message)
        self._call_for_reply(conversation.example, sending.example)
        self._call_for_reply(conversation.resend, sending.resend)
        self._call_for_reply(conversation.retry, sending.retry)
        stream = self._call(layout.panel.continue_with, sending.continue_with)
        self._call(stream.failure, sending.recover)
        stream = self._call(conversation.follow, sending.follow)
        self._call(stream.failure, sending.recover)
        self._call(layout.stop.click, sending.stop)
        self._call(conversation.undo, branching.undo)
        self._call(conversation.edit, branching.edit)
        self._call(conversation.cancel, branching.cancel)
        self._call(conversation.show_sibling, branching.show_sibling)

    def _connect_feedback(self) -> None:
        conversation, rating = self._layout.conversation, self._handlers.rating
        # Pressing "Withdraw" in the comment field sends two events at once.
        self._call_in_order(conversation.rate_reply, rating.rate_reply, "ratings")
        self._call_in_order(conversation.feedback, rating.feedback, "ratings")
        self._call_in_order(conversation.finish, rating.finish, "ratings")
        self._call_in_order(conversation.withdraw, rating.withdraw, "ratings")
        self._call_in_order(conversation.choose, rating.choose, "ratings")
        self._call(conversation.correct, rating.correct)
        self._call(conversation.keep_correction, rating.keep_correction)
        self._call(conversation.remove_correction, rating.remove_correction)

    def _connect_conversation_list(self) -> None:
        layout, handlers = self._layout, self._handlers.conversation_list
        events = layout.conversation_list
        self._call_in_order(layout.sidebar_top.search, handlers.search, "search")
        self._call(events.open_conversation, handlers.open_conversation)
        self._call(layout.conversation.open_conversation, handlers.open_conversation)  # the browser's "back"
        self._call(events.cancel, self._handlers.branching.cancel)
        self._call(events.ask_rename, handlers.ask_rename)
        self._call(events.rename, handlers.rename)
        self._call(events.ask_delete, handlers.ask_delete)
        self._call(events.delete, handlers.delete)
        self._call(layout.sidebar_bottom.export_markdown, handlers.export_markdown)
        self._call(layout.sidebar_bottom.export_json, handlers.export_json)
        self._call(layout.sidebar_bottom.import_file, handlers.import_file)

    def _connect_panels(self) -> None:
        layout, panels = self._layout, self._handlers.panels
        self._call(layout.header.settings, panels.settings)
        self._call(layout.header.version_card, panels.version_card)
        self._call(layout.footnote.my_feedback, panels.my_feedback)
        self._call_in_order(layout.panel.take_back, panels.take_back, "ratings")
        self._call_in_order(layout.panel.set_consent, panels.set_consent, "ratings")
        self._call(layout.conversation.tokens, panels.tokens)
        self._call(layout.panel.token, panels.token)
        # In order: closing the panel sends the whole form after the last change in it.
        self._call_in_order(layout.panel.set_preferences, panels.set_preferences, "settings")
        self._call_in_order(layout.panel.preset, panels.preset, "settings")
        self._call_in_order(layout.panel.close, panels.close, "settings")


def _with_address(position: int, otherwise: str = '""') -> str:
    """A statement of JavaScript: put the conversation that the page's address names into the memory at `position`.

    All tabs of a browser share its memory, and each shows a conversation of its own.
    """
    shown = f'new URLSearchParams(location.search).get("c") ?? {otherwise}'
    return f"values[{position}] = {{ ...values[{position}], shown: {shown} }};"
