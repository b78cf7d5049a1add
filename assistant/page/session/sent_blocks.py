"""Which blocks of HTML a tab has, so that an event of a long conversation moves only those that have changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class SentBlocks:
    """The blocks of one element of a tab: messages of a conversation, or conversations of a list."""

    def __init__(self) -> None:
        self.shown: frozenset[str] = frozenset()
        """Keys of the blocks of the newest update. A tab has them once it has drawn it."""
        self._is_forgotten = False

    def forget(self) -> None:
        """Send every block with the next update."""
        self._is_forgotten = True

    def update(
        self, blocks: Iterable[str], attributes: dict[str, str], known: frozenset[str]
    ) -> dict[str, Any]:
        """What `blocks.js` draws: all keys in order, and the HTML of the blocks that are not `known`.

        `known` is what `shown` was when the event began: of the updates of one event, a browser may skip all but the
        last. `attributes` are those of the element around the blocks.
        """
        html: dict[str, str] = {}
        order = []
        for place, block in enumerate(blocks):
            key = f"{hash(block) & 0xFFFFFFFFFF:010x}"
            if key in html:
                key = f"{key}-{place}"  # two blocks alike
            order.append(key)
            html[key] = block
        if self._is_forgotten:
            known, self._is_forgotten = frozenset(), False
        self.shown = frozenset(order)
        new = {key: block for key, block in html.items() if key not in known}
        return {"order": order, "html": new, "attributes": attributes}
