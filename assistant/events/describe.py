"""The text of an event for people, in English or Chinese.

A template is a text with places such as {version}. The type of the parameter in `CODES` decides how it is shown, and
what follows a colon says more:

    {votes:#vote|votes}   count with its noun in the singular or plural: 1 vote, 2 votes
    {votes:~was|were}     a word that goes with the count, which stands elsewhere
    {why:?: }             text with what stands before it, or nothing where it is empty
    {rows:, |none}        list: what stands between its items, and what stands for an empty one
    {share:percent}       share of 1 in percent; {share:percent.1} with one decimal
    {difference:signed}   signed difference: in points where the event's unit is points, else with three digits
    {p:.2g}               any format of Python's for numbers
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from assistant.events import event_chinese, event_english
from assistant.events.event import CODES, TERM_TYPES, Event, event_from

TEMPLATES = {"en": event_english.TEMPLATES, "zh": event_chinese.TEMPLATES}
TERMS = {"en": event_english.TERMS, "zh": event_chinese.TERMS}
PLACE = re.compile(r"{(\w+)(?::([^}]*))?}")
_DEEPEST = 8
"""Events within events that are described; a damaged file could hold more."""


def describe(event: Event, language: str = "en") -> str:
    """The text of an event. `language`: "en" or "zh".

    An event with an unknown code, or with parameters that are missing or of another type, is shown as well as possible.
    """
    return _describe(event, language, 0)


def describe_stored(
    record: Mapping[str, Any], text_key: str, language: str = "en", event_key: str = "event"
) -> str:
    """The text of a stored record: from its event, or as it stands in `text_key` where an older home has no event."""
    event = event_from(record.get(event_key))
    return str(record.get(text_key, "")) if event is None else describe(event, language)


def term(kind: str, name: str, language: str = "en") -> str:
    """The text of an identifier, such as the measure "ends"; one that has no text of its own is shown as it is."""
    return TERMS[language].get(kind, {}).get(name, name)


def _describe(event: Event, language: str, depth: int) -> str:
    template = TEMPLATES[language].get(event.code)
    types = CODES.get(event.code)
    if template is None or types is None or depth > _DEEPEST:
        values = ", ".join(f"{name}: {value}" for name, value in event.params.items())
        return f"{event.code} ({values})" if values else event.code

    def fill(place: re.Match[str]) -> str:
        name, form = place[1], place[2] or ""
        if name not in event.params:
            return "?"
        try:
            return _shown(event, name, types[name], form, language, depth)
        except (TypeError, ValueError):
            return str(event.params[name])

    return PLACE.sub(fill, template)


def _shown(event: Event, name: str, kind: str, form: str, language: str, depth: int) -> str:
    value = event.params[name]
    if kind == "event":
        inner = event_from(value)
        return str(value) if inner is None else _describe(inner, language, depth + 1)
    if kind in ("events", "texts"):
        if isinstance(value, str) or not isinstance(value, Sequence):
            return str(value)
        between, _, empty = form.partition("|")
        items = [(event_from(item), item) for item in value]
        return (
            between.join(
                str(item) if inner is None else _describe(inner, language, depth + 1) for inner, item in items
            )
            or empty
        )
    if kind in TERM_TYPES:
        return term(kind, str(value), language)
    if kind == "count":
        one, _, many = form[1:].partition("|")
        word = one if value == 1 else many
        return word if form.startswith("~") else f"{value} {word}" if form else str(value)
    if kind == "number":
        return _number(value, form, str(event.params.get("unit", "")))
    if form.startswith("?"):
        return form[1:] + str(value) if value else ""
    return str(value)


def _number(value: float, form: str, unit: str) -> str:
    if form.startswith("percent"):
        decimals = form.removeprefix("percent")
        return format(100 * value, f"{decimals}f" if decimals else "g")
    if form == "points":
        return f"{100 * value:+.1f}"
    if form == "signed":
        return f"{100 * value:+.1f}" if unit == "points" else f"{value:+.3g}"
    return format(value, form or "g")
