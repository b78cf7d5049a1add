"""Further wordings of corrected prompts, by hand or from elsewhere, in which a correction is probed too.

JSON Lines: {"prompt": "What is the capital of Brazil?", "wordings": ["Brazil's capital?", "Which city rules Brazil?"]}
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from alignment.corrections.correction_rows import CorrectedPrompt
from alignment.data.json_lines import read_json_lines
from alignment.errors import DataError
from assistant.events.event import Event

Wordings = Mapping[str, Sequence[str]]
"""By the prompt as the file has it first."""


def read_wordings(path: Path) -> Wordings:
    """Read a file. Raises DataError that names a bad line, or says that there are no wordings."""
    found: dict[str, list[str]] = {}
    prompts: dict[str, str] = {}
    for number, row in read_json_lines(path, "wordings"):
        prompt, wordings = row.get("prompt"), row.get("wordings")
        if (
            not isinstance(prompt, str)
            or not prompt.strip()
            or not isinstance(wordings, list)
            or not wordings
            or not all(isinstance(text, str) and text.strip() for text in wordings)
        ):
            raise DataError(
                f'{path}, line {number}: expected {{"prompt": "…", "wordings": ["…", "…"]}}, with texts that are not '
                "empty."
            )
        of = found.setdefault(prompts.setdefault(wording_key(prompt), prompt), [])
        of += [text for text in wordings if text not in of]
    if not found:
        raise DataError(f"{path} holds no wordings.")
    return found


def wording_key(prompt: str) -> str:
    """What prompts have in common that differ in spaces and capitals alone."""
    return " ".join(prompt.split()).casefold()


def unused(wordings: Wordings, corrections: Iterable[CorrectedPrompt]) -> Event | None:
    """How many prompts of a file are no correction's, if any is: a typing error would else go unnoticed."""
    asked = {wording_key(correction.asked) for correction in corrections}
    others = [prompt for prompt in wordings if wording_key(prompt) not in asked]
    if not others:
        return None
    return Event.of("wordings_unused", count=len(others), of=len(wordings), prompt=others[0])
