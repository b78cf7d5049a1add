"""What a command writes to standard output: sentences for people, or the same events as JSON Lines for programs."""

from dataclasses import replace

from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.registry.versions import now

LOG_FORMATS = ("text", "json")
_json_lines = False


def set_log_format(name: str) -> None:
    """Write events as "text" or as "json" from now on, in the whole process."""
    global _json_lines
    _json_lines = name == "json"


def writes_json() -> bool:
    """Whether events are written as JSON Lines."""
    return _json_lines


def emit(*events: Event) -> None:
    """Write events: a line of JSON each with the present moment, or their English texts.

    A progress bar may have left its line open in the same file, so a line of JSON begins with a line break.
    """
    for event in events:
        line = f"\n{replace(event, time=now()).line()}" if _json_lines else describe(event)
        print(line, flush=True)
