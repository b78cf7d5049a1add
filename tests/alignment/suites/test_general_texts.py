"""General questions and answers, in the languages of a model."""

import pytest

from alignment.suites.general_texts import general_languages, general_texts


@pytest.mark.parametrize("language", general_languages())
def test_each_language_has_distinct_questions_with_answers(language: str) -> None:
    texts = general_texts([language], 1000)
    assert len({text.question for text in texts}) == len(texts) >= 15
    assert all(text.answer.strip() and text.language == language for text in texts)


def test_a_model_is_asked_in_its_languages_in_turn_and_in_english_where_none_is_known() -> None:
    both = general_texts(["zh", "en", "tlh"], 100)
    assert [text.language for text in both[:4]] == ["zh", "en", "zh", "en"] and len(both) == 100
    assert {text.language for text in general_texts([], 50)} == {"en"}
    assert {text.language for text in general_texts(["tlh"], 50)} == {"en"}
