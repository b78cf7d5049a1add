"""The settings of the panel: what was changed last counts, in whatever order events arrive."""

from typing import Any

import pytest
from helpers.handler_steps import event

from assistant.page.chat_events import ChatHandlers
from assistant.page.session.chat_session import ChatSession


def form(**changed: str) -> dict[str, str]:
    values = {"temperature": "0.3", "top_p": "1", "top_k": "0", "max_tokens": "512", "seed": "", "system": ""}
    return {**values, **changed}


@pytest.mark.parametrize("late", ["change", "preset"])
def test_an_event_that_a_closing_form_overtook_changes_nothing(
    handlers: ChatHandlers, session: ChatSession, late: str
) -> None:
    panels: Any = handlers.panels
    panels.close(session, event(order=3, values=form(top_k="5")))
    if late == "change":
        panels.set_preferences(session, event(order=2, values=form()))
    else:
        panels.preset(session, event(order=2, value="reset"))
    assert session.preferences.top_k == 5
    panels.set_preferences(session, event(order=4, values=form(top_k="7")))
    assert session.preferences.top_k == 7
