"""Watching long work: whoever goes through many things lets a `Watch` see them go by."""

from collections.abc import Callable, Iterable
from typing import Any

from tqdm import tqdm

Watch = Callable[[Iterable[Any], str], Iterable[Any]]
"""Gives back the things that it is given, and is told what they are."""


def unwatched(things: Iterable[Any], what: str) -> Iterable[Any]:
    """Nobody looks."""
    return things


def bars(quiet: bool) -> Watch:
    """A progress bar on a terminal for each kind of things, gone when they are; `quiet`: none."""

    def watch(things: Iterable[Any], what: str) -> Iterable[Any]:
        bar: Iterable[Any] = tqdm(
            things, what, unit=" rows", unit_scale=True, leave=False, disable=quiet or None
        )
        return bar

    return watch
