"""Pairs as token ids: the forms of a file, the store's rows, and which pairs are left out."""

from pathlib import Path
from typing import Any

import pytest
from helpers.pair_rows import numbers, row, write
from transformers import AutoTokenizer

from alignment.data.token_pairs import TokenPair, pairs_of_store, read_pairs, sort_pairs
from alignment.errors import DataError
from assistant.bases.base import STARTER_FOLDER
from assistant.serving import prompt


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")


def test_both_forms_of_a_file_give_the_same_pair(tmp_path: Path, tokenizer: Any) -> None:
    ours = row(3)
    conversational = {
        "prompt": ours["messages"],
        "chosen": [{"role": "assistant", "content": "5 apples"}],
        "rejected": [{"role": "assistant", "content": "5"}],
    }
    implicit = {
        "chosen": [*ours["messages"], *conversational["chosen"]],
        "rejected": [*ours["messages"], *conversational["rejected"]],
    }
    plain, with_prompt, without_prompt = read_pairs(
        write(tmp_path / "p.jsonl", [ours, conversational, implicit]), tokenizer
    )
    assert plain == with_prompt == without_prompt
    assert tokenizer.decode(plain.chosen_ids) == "5 apples<|im_end|>"


def test_a_thought_in_trls_form_sets_the_thinking_mode(tmp_path: Path, tokenizer: Any) -> None:
    chosen = {"role": "assistant", "content": "<think>\n1+1=2\n</think>\n\n2"}
    line = {
        "prompt": [{"role": "user", "content": "1+1?"}],
        "chosen": [chosen],
        "rejected": [{**chosen, "content": "<think>\n1+1=3\n</think>\n\n3"}],
    }
    (pair,) = read_pairs(write(tmp_path / "p.jsonl", [line]), tokenizer)
    assert pair.prompt_ids == prompt.render(tokenizer, line["prompt"], think=True)
    assert tokenizer.decode(pair.chosen_ids) == "<think>\n1+1=2\n</think>\n\n2<|im_end|>"


def test_served_token_ids_are_kept_and_other_texts_rendered(tokenizer: Any) -> None:
    class Side:
        reply_id, thought, answer = "r1", None, "5 apples"

        def __init__(self, completion_ids: list[int] | None) -> None:
            self.completion_ids = completion_ids

    class Preference:
        messages, think, prompt_ids = row(3)["messages"], False, [1, 2, 3]
        chosen, rejected = Side([7, 8]), Side(None)

    (pair,) = pairs_of_store([Preference()], tokenizer)
    assert (pair.prompt_ids, pair.chosen_ids) == ([1, 2, 3], [7, 8])
    assert pair.rejected_ids == prompt.completion(tokenizer, "", "5 apples", think=False)


def pair_of(number: int, chosen: list[int], rejected: list[int]) -> TokenPair:
    return TokenPair(row(number)["messages"], [1, 2], chosen, rejected)


def test_ties_repetitions_and_rows_longer_than_the_window_are_counted_and_never_cut() -> None:
    first, second = numbers(False, 2)
    data = sort_pairs(
        [
            pair_of(first, [3], [4]),
            pair_of(first, [3], [4]),
            pair_of(first, [3], [3]),
            pair_of(first, [3], []),
            pair_of(second, [3] * 9, [4]),
            pair_of(numbers(True, 1)[0], [3], [5]),
        ],
        window=10,
    )
    assert [pair.chosen_ids for pair in data.training] == [[3]]
    assert (len(data.held_out), data.too_long, data.tied, data.repeated) == (1, 1, 2, 1)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "There are no preferences yet"),
        ([pair_of(0, [3], [3])] * 3, "None of the 3 preferences.*3 are tied"),
        ([pair_of(0, [3] * 20, [4])], "1 are longer than the context window of 10"),
        ([pair_of(numbers(True, 1)[0], [3], [4])], "1 are held out"),
    ],
)
def test_pairs_that_cannot_be_learned_from_are_refused_with_advice(
    pairs: list[TokenPair], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        sort_pairs(pairs, window=10)
