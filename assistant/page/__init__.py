"""The page in the browser: chat, feedback, dashboard, and the named endpoints."""

from assistant.page.chat_page import build_page, launch_options

__all__ = ["build_page", "launch_options"]
