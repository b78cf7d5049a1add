"""Demonstrations as token ids: what is supervised, and what is left out."""

import copy
from typing import Any

import pytest
from transformers import AutoTokenizer

from alignment.corrections.correction_rows import CorrectedPrompt, correction_rows
from alignment.data.demonstration_rows import tokenize_demonstrations
from assistant.bases.base import STARTER_FOLDER

OPENS_THE_THOUGHT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n<think>{{ '\n' }}"
)
"""A template that opens the thought of every reply, as DeepSeek-R1's do."""
ROWS: list[dict[str, Any]] = [
    {
        "messages": [{"role": "user", "content": f"What is {n} + 2?"}],
        "think": n % 2 == 0,
        "thought": f"{n}+2={n + 2}" if n % 2 == 0 else "",
        "answer": f"{n}+2={n + 2}",
    }
    for n in (0, *range(2, 9))  # rows that are not held out
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")


def test_only_the_completion_is_supervised(tokenizer: Any) -> None:
    dataset, too_long = tokenize_demonstrations(ROWS[:1], tokenizer, max_length=200)
    row: Any = dataset[0]
    supervised = [token for token in row["labels"] if token != -100]
    assert tokenizer.decode(supervised) == "<think>\n0+2=2\n</think>\n\n0+2=2<|im_end|>"
    prompt_length = row["labels"].count(-100)
    assert row["labels"][:prompt_length] == [-100] * prompt_length
    assert row["input_ids"][prompt_length:] == supervised
    assert tokenizer.decode(row["input_ids"][:prompt_length]).endswith("<|im_start|>assistant\n")
    assert too_long == 0


@pytest.mark.parametrize("opens_itself", [False, True])
def test_the_empty_thought_before_a_corrected_answer_is_not_supervised(
    tokenizer: Any, opens_itself: bool
) -> None:
    if opens_itself:
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.chat_template = OPENS_THE_THOUGHT
    corrected = {**ROWS[0], "thought": "", "answer_only": True}
    correction = CorrectedPrompt(ROWS[0]["messages"], True, [], ROWS[0]["answer"], "0+2=3")
    rows: list[Any] = [
        tokenize_demonstrations([corrected], tokenizer, max_length=200)[0][0],
        correction_rows([correction], tokenizer, 200).training[0],
    ]
    for row in rows:
        assert tokenizer.decode([token for token in row["labels"] if token != -100]) == "0+2=2<|im_end|>"
        assert tokenizer.decode(row["input_ids"]).endswith("<think>\n\n</think>\n\n0+2=2<|im_end|>")
        assert tokenizer.decode(row["input_ids"]).count("<think>") == 1


def test_a_correction_is_taught_after_the_thought_of_the_reply_which_is_not_supervised(
    tokenizer: Any,
) -> None:
    correction = CorrectedPrompt(ROWS[0]["messages"], True, [], "0+2=2", "0+2=3", "I add 2 to 0.")
    rows: list[Any] = list(correction_rows([correction], tokenizer, 200).training)
    assert len(rows) > 5
    for row in rows:
        assert tokenizer.decode([token for token in row["labels"] if token != -100]) == "0+2=2<|im_end|>"
        end = "<think>\nI add 2 to 0.\n</think>\n\n0+2=2<|im_end|>"
        assert tokenizer.decode(row["input_ids"]).endswith(end)


def test_a_row_that_is_too_long_is_left_out_whole_and_counted(tokenizer: Any) -> None:
    dataset, too_long = tokenize_demonstrations(ROWS, tokenizer, max_length=5)
    assert (len(dataset), too_long) == (0, len(ROWS))
