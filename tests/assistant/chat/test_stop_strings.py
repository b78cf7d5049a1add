"""Stop texts: a reply ends before the first of them, and no part of one is ever shown."""

import pytest

from assistant.chat.stop_strings import until_stop


@pytest.mark.parametrize(
    ("text", "stops", "shown", "stopped"),
    [
        ("one two", ("two",), "one ", True),
        ("one two three", ("three", "two"), "one ", True),
        ("one tw", ("two",), "one ", False),
        ("one t", ("two", "tea"), "one ", False),
        ("one tx", ("two",), "one tx", False),
        ("aab", ("aabc",), "", False),
        ("", ("x",), "", False),
        ("text", (), "text", False),
    ],
)
def test_a_stop_text_is_held_back_as_it_arrives(
    text: str, stops: tuple[str, ...], shown: str, stopped: bool
) -> None:
    assert until_stop(text, stops, ended=False) == (shown, stopped)


def test_a_text_that_only_began_like_a_stop_text_is_shown_at_the_end() -> None:
    assert until_stop("one tw", ("two",), ended=True) == ("one tw", False)
