"""Progress bars for work that goes through many rows."""

from collections.abc import Callable, Iterable
from typing import Any

from tqdm import tqdm

ShowProgress = Callable[[Iterable[Any], str], Iterable[Any]]
"""Takes items and a label for them; returns the same items, and shows progress while they are iterated."""


def no_progress(items: Iterable[Any], label: str) -> Iterable[Any]:
    """Iterate without showing progress."""
    return items


def progress_bars(quiet: bool) -> ShowProgress:
    """Show a bar on standard error if it is a terminal, and remove it at the end; with `quiet`, show nothing."""

    def show(items: Iterable[Any], label: str) -> Iterable[Any]:
        bar: Iterable[Any] = tqdm(
            items, label, unit=" rows", unit_scale=True, leave=False, disable=quiet or None
        )
        return bar

    return show
