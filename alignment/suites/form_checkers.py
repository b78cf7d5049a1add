"""Checkers of an answer's form, and a function of one's own: for suites whose owner knows what can be checked.

Like those of `checkers`, each gets the text after NFKC normalisation, without spaces around it.
"""

import importlib
import importlib.util
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_HAN}]|[^\W{_HAN}]+(?:['’-][^\W{_HAN}]+)*")


def exact(text: str, texts: Sequence[str]) -> bool:
    """The whole text is one of `texts`, case and punctuation included."""
    return text != "" and text in {unicodedata.normalize("NFKC", other).strip() for other in texts}


def length(
    text: str, most_words: int | None = None, fewest_words: int = 1, most_characters: int | None = None
) -> bool:
    """The text is not empty and has so many words and characters. Each Chinese character counts as a word."""
    words = len(_WORD.findall(text))
    return (
        words >= max(fewest_words, 1)
        and (most_words is None or words <= most_words)
        and (most_characters is None or len(text) <= most_characters)
    )


def is_json(text: str, keys: Sequence[str] = ()) -> bool:
    """The text is JSON, alone or in one fenced block; with `keys`, it is an object that has at least these."""
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", text, re.DOTALL | re.IGNORECASE)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return False
    return not keys or (isinstance(value, dict) and all(key in value for key in keys))


def python(text: str, function: str) -> bool:
    """What a function of one's own says of the text: "module:function", or "/path/to/file.py:function".

    Raises ValueError if it cannot be found, or gives anything but true or false.
    """
    verdict = _own_function(function)(text)
    if not isinstance(verdict, bool):
        raise ValueError(f"The function {function!r} gave {verdict!r}; a checker says True or False.")
    return verdict


@lru_cache(maxsize=64)
def _own_function(name: str) -> Callable[[str], object]:
    place, _, function = name.rpartition(":")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            if spec is None or spec.loader is None:
                raise ImportError(f"{place} is no file of Python")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        found: Callable[[str], object] = getattr(module, function)
    except (ImportError, AttributeError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"The function {name!r} cannot be imported: {error}.") from error
    return found
