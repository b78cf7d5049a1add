"""Splits of rows by their prompt."""

from helpers.pair_rows import row

from alignment.data.splits import half_of


def test_halves_share_no_prompt_and_are_about_even() -> None:
    letters = [half_of(row(number)["messages"]) for number in range(400)]
    assert letters == [half_of(row(number)["messages"]) for number in range(400)]
    assert 150 < letters.count("a") < 250
    shouted = [{"role": "user", "content": row(7)["messages"][0]["content"].upper().replace("?", " ?!")}]
    assert half_of(shouted) == letters[7]
