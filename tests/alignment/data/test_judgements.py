"""Judgements as token ids: which pairs and thumbs a reward model learns from."""

import pytest
from helpers.pair_rows import numbers, row

from alignment.data.judgements import JudgedCompletion, sort_judgements
from alignment.errors import DataError


def judgement(
    number: int, first: list[int], second: list[int] | None = None, sign: int = 1
) -> JudgedCompletion:
    return JudgedCompletion(row(number)["messages"], 1, first, second, sign)


@pytest.mark.parametrize(
    ("judgements", "message"),
    [
        ([], "There are no judgements yet"),
        (
            [judgement(n, [1, n]) for n in numbers(False, 2)],
            "All 2 judgements are thumbs up.*give thumbs down",
        ),
        (
            [judgement(numbers(False, 1)[0], [1, 2], sign=-1)],
            "All 1 judgements are thumbs down.*give thumbs up",
        ),
        ([judgement(0, [1, 2], [1, 2])], "1 are tied"),
        ([judgement(0, [1] * 30, [1, 2])], "1 are longer than the context window of 10"),
    ],
)
def test_judgements_that_nothing_can_be_learned_from_are_refused_with_advice(
    judgements: list[JudgedCompletion], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        sort_judgements(judgements, window=10)


def test_a_single_pair_can_be_learned_from() -> None:
    data = sort_judgements([judgement(numbers(False, 1)[0], [1, 2], [1, 3])], window=10)
    assert (len(data.training), data.too_long) == (1, 0)


def messages_of(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_equally_many_thumbs_up_and_down_on_a_reply_are_a_tie() -> None:
    def thumb(sign: int) -> JudgedCompletion:
        return JudgedCompletion(messages_of("What is 3 + 2?"), 1, [1, 2], None, sign)

    other = JudgedCompletion(messages_of("What is 4 + 2?"), 1, [1, 3], None, -1)
    data = sort_judgements([thumb(1), thumb(-1), thumb(1), other], 10)
    assert [row.sign for row in data.training] == [1, -1]
    assert (data.tied, data.repeated) == (0, 2)
