"""Errors that carry an event, so that they can be shown in either language and passed between processes."""

from assistant.events.describe import describe
from assistant.events.event import Event


class EventError(Exception):
    """An error whose message is a text, or an event: then its text is the event's in English."""

    def __init__(self, message: str | Event) -> None:
        super().__init__(describe(message) if isinstance(message, Event) else message)
        self.event = message if isinstance(message, Event) else None


def event_of(error: BaseException) -> Event:
    """The event that an error carries; else one with the name of its class and its text."""
    event = getattr(error, "event", None)
    if isinstance(event, Event):
        return event
    return Event.of("error", kind=type(error).__name__, text=str(error))
