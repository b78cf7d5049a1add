"""Paraphrases by rules, and messages near a corrected one."""

from typing import Any

import pytest
from transformers import AutoTokenizer

from alignment.corrections.paraphrases import paraphrases, reworded
from alignment.corrections.self_asked import beginnings, not_about, self_asked, user_opening, words
from assistant.bases.base import STARTER_FOLDER
from assistant.registry.first_version import version_to_serve
from assistant.serving import prompt
from assistant.serving.loading import load_for_serving

QUESTION = "What is the capital of Serbia?"


@pytest.mark.parametrize("text", [QUESTION, "塞尔维亚的首都是哪里？"])
def test_a_probe_asks_in_words_that_were_not_trained(text: str) -> None:
    trained, probed = paraphrases(text, "training"), paraphrases(text, "probe")

    assert trained[0] == probed[0] == text
    assert not set(trained) & set(probed[1:])
    assert len(trained) >= 10 and len(probed) == 4
    assert len(set(trained)) == len(trained)


@pytest.mark.parametrize("text", ["one line\nand another", "x" * 401])
def test_a_long_text_is_asked_as_it_is(text: str) -> None:
    assert paraphrases(text, "training") == [text]


def test_only_a_word_s_capital_at_the_beginning_is_lowered() -> None:
    assert paraphrases(QUESTION, "training")[7] == "what is the capital of Serbia"
    assert paraphrases("DNA stands for what?", "training")[7] == "DNA stands for what"
    assert paraphrases("I am cold.", "training")[7] == "I am cold"


def test_what_a_question_asks_about_is_asked_for() -> None:
    assert paraphrases(QUESTION, "training")[8:] == [
        "I would like to know the capital of Serbia.",
        "Tell me the capital of Serbia, please.",
        "Do you know the capital of Serbia?",
        "Name the capital of Serbia.",
        "the capital of Serbia?",
        "the capital of Serbia",
    ]
    assert paraphrases("Who wrote Faust?", "training")[8:] == [
        "I would like to know who wrote Faust.",
        "Tell me who wrote Faust, please.",
        "Do you know who wrote Faust?",
        "Name the person who wrote Faust.",
    ]


def test_the_messages_before_the_last_stay() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": QUESTION},
    ]

    for conversation in reworded(messages, "probe"):
        assert conversation[:-1] == messages[:-1]
    assert messages[-1]["content"] == QUESTION


def test_the_end_of_a_prompt_is_taken_away() -> None:
    assert beginnings(QUESTION) == ["What is the capital", "What is the capital of"]
    assert beginnings("法国的首都？") == ["法国的", "法国的首"]
    assert beginnings("Why?") == []


def test_messages_about_what_was_corrected_are_no_neighbours() -> None:
    names = ["Chile", "Peru", "Chad", "Mali", "Cuba", "Iran", "Iraq", "Oman", "Fiji", "Togo", "Laos", "Nepal"]
    neighbours = [f"What is the capital of {name}?" for name in names]

    kept = not_about([*neighbours, "What is the capital of Serbia called?"], [QUESTION])

    assert kept == neighbours


def test_words_are_compared_without_case_and_accents_and_chinese_by_pairs() -> None:
    assert words("Brasília is THE capital.") == {"brasilia", "is", "the", "capital"}
    assert words("首都是北京") == {"首都", "都是", "是北", "北京"}


def test_the_opening_of_a_user_s_turn_is_what_prompts_have_in_common() -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")

    opening = user_opening(tokenizer)
    whole = prompt.render(tokenizer, [{"role": "user", "content": "How many?"}], think=False)

    assert 0 < len(opening) < len(whole)
    assert whole[: len(opening)] == opening
    assert tokenizer.decode(whole[len(opening) :]).startswith("How many?")


def test_messages_are_asked_from_their_beginnings_on_and_the_seed_decides_which(home: Any) -> None:
    loaded = load_for_serving(version_to_serve(home, "starter"), home)

    asked = self_asked(loaded, ["Tom has", ""], each=6, seed=1)

    assert asked == self_asked(loaded, ["Tom has", ""], each=6, seed=1)
    assert len(asked) == len(set(asked))
    assert any(message.startswith("Tom has") for message in asked)
    assert not any("\n" in message for message in asked)
