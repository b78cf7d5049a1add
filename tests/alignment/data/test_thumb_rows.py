"""Thumbs as token ids: which rated replies KTO learns from."""

import pytest

from alignment.data.thumb_rows import sort_thumbs
from alignment.errors import DataError
from feedback_store.rows import UnpairedRow


def test_rows_that_are_empty_failed_or_too_long_are_left_out() -> None:

    messages = [{"role": "user", "content": "What is 0 + 2?"}]

    def thumb(completion: list[int], reason: str, label: bool) -> UnpairedRow:
        return UnpairedRow("id", messages, False, None, "", [1, 2], completion, label, 1, "v1", reason)

    data = sort_thumbs(
        [
            thumb([3], "end", True),
            thumb([3], "length", False),
            thumb([], "stopped", True),
            thumb([3] * 50, "end", True),
        ],
        20,
    )
    assert [row.finish_reason for row in data.training] == ["end", "length"]
    assert (data.too_long, data.incomplete) == (1, 1)
    with pytest.raises(
        DataError, match=r"None of the 1 rated replies.* 1 are empty or failed, 0 are longer than 20"
    ):
        sort_thumbs([thumb([], "error", True)], 20)
