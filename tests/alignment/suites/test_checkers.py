"""General checkers of answers; what the starter's kinds need of them is tested with the starter."""

from pathlib import Path
from typing import Any

import pytest

from alignment.suites.checkers import CHECKERS, passes


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        ({"checker": "contains", "keywords": [["cat"], ["dog", "fox"]]}, "A CAT and a fox.", "A cat."),
        ({"checker": "contains", "keywords": [], "forbidden": ["Paris"]}, "A comparison", "paris!"),
        ({"checker": "unit", "names": ["apple", "apples"]}, "12 Apples", "12 pineapples"),
        ({"checker": "matches", "pattern": r"^\s*\d+ or \d+$"}, "3 OR 4", "3 and 4"),
        ({"checker": "one_of", "texts": ["Bern", "Berne"]}, "bern.", "Bern or Basel"),
        ({"checker": "ends", "texts": ["Bern"]}, "The capital is Bern.", "Bern is the capital."),
        ({"checker": "language", "name": "zh"}, "等于3。", "It is 3."),
        ({"checker": "language", "name": "en"}, "It is 3.", "等于 three"),
        ({"checker": "number", "value": 1232}, "It is １,２３２", "1232 or 1233"),
        ({"checker": "numbers", "values": [3, 1]}, "10÷3=3 remainder 1", "3"),
        ({"checker": "comparison", "operands": [7, 5], "holds": True}, "Yes, 7>5.", "Yes, 7<5."),
        ({"checker": "comparison", "operands": [7, 7], "equal": True}, "一样大", "7>7"),
        ({"checker": "comparison", "operands": [7, 5], "value": 7}, "7 is larger", "7 is smaller"),
        ({"checker": "day", "value": 6}, "星期天", "Saturday"),
        ({"checker": "time", "minutes": 925}, "3:25 pm", "15:52"),
        ({"checker": "exact", "texts": ["Bern."]}, " Bern. ", "bern."),
        ({"checker": "regex", "pattern": r"^\d+$"}, "42", "about 42"),
        ({"checker": "json", "keys": ["name"]}, '```json\n{"name": 1}\n```', '{"nom": 1}'),
        ({"checker": "json"}, "[1, 2]", "[1, 2"),
        ({"checker": "length", "most_words": 3}, "don't say more", "one two three four"),
        ({"checker": "length", "fewest_words": 2, "most_characters": 3}, "你好。", "好"),
        ({"checker": "python", "function": "keyword:iskeyword"}, "while", "whale"),
    ],
)
def test_each_checker_tells_right_from_wrong(check: dict[str, Any], right: str, wrong: str) -> None:
    assert passes(check, right)
    assert not passes(check, wrong)
    assert not passes(check, "")


def test_a_function_of_ones_own_is_read_from_a_file_and_must_say_true_or_false(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def polite(text):\n    return 'please' in text\n\ndef odd(text):\n    return len(text)\n"
    )
    assert passes({"checker": "python", "function": f"{file}:polite"}, "please")
    assert not passes({"checker": "python", "function": f"{file}:polite"}, "now")
    with pytest.raises(ValueError, match="True or False"):
        passes({"checker": "python", "function": f"{file}:odd"}, "now")
    for name in (f"{file}:gone", f"{tmp_path}/gone.py:polite", "no.such.module:f", "nothing"):
        with pytest.raises(ValueError, match="cannot be imported"):
            passes({"checker": "python", "function": name}, "now")


def test_an_unknown_checker_or_parameter_is_named() -> None:
    with pytest.raises(ValueError, match=r"no checker 'riddle'.*number"):
        passes({"checker": "riddle"}, "3")
    with pytest.raises(TypeError, match="figure"):
        passes({"checker": "number", "figure": 3}, "3")
    with pytest.raises(TypeError, match="needs one of"):
        passes({"checker": "comparison", "operands": [1, 2]}, "1")
    assert set(CHECKERS) >= {"contains", "unit", "matches", "one_of", "ends", "language", "number"}
