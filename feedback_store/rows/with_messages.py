"""What rows need of a store: replies together with the messages that led to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from feedback_store.store.store import FeedbackStore

PROMPTS_AT_ONCE = 500  # whose messages are asked for together
Item = TypeVar("Item")


def with_messages(
    store: FeedbackStore, items: Iterable[Item], asked: Callable[[Item], str]
) -> Iterator[tuple[Item, list[dict[str, str]]]]:
    """Each item with the `role` and `content` of the messages down to the id that `asked` names.

    Items whose message is gone, because it was forgotten since the item was read, are left out.
    """
    waiting = iter(items)
    while some := list(islice(waiting, PROMPTS_AT_ONCE)):
        found = store.transcripts([asked(item) for item in some])
        for item in some:
            if asked(item) in found:
                yield item, found[asked(item)]
