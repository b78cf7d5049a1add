"""The page's components, described once: Gradio describes every one of them anew for each person who comes.

For this page that takes 7 ms and 55 KB a person (2026-11-25, two cores of an AMD EPYC), all of it before the first
word: with sixteen people at once it was two fifths of what the interpreter did until then. The components of a page
that runs never change; where Gradio shows other values, it makes others.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Self

from gradio import Blocks
from gradio.blocks import Block, BlocksConfig


class Described(BlocksConfig):
    """A page's configuration that remembers how its components are described."""

    def __init__(self, page: Blocks) -> None:
        """Takes over what `page` has; set it as `page.default_config`."""
        super().__init__(page)
        self.__dict__.update(page.default_config.__dict__)
        self._own = dict(self.blocks)
        self._descriptions: dict[int, dict[str, Any]] = {}

    def config_for_block(
        self, _id: int, rendered_ids: list[int], block: Block, renderable: Any = None
    ) -> dict[str, Any]:
        """As Gradio describes `block`; remembered where it is the page's own."""
        if renderable is not None or self._own.get(_id) is not block:
            return BlocksConfig.config_for_block(_id, rendered_ids, block, renderable)
        if _id not in self._descriptions:
            self._descriptions[_id] = BlocksConfig.config_for_block(_id, rendered_ids, block)
        known = self._descriptions[_id]
        # A session notes the values that it shows in its own.
        return {**known, "props": dict(known["props"])}

    def __copy__(self) -> Self:
        """One for a session, which has its own components and shares the descriptions."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.blocks, made.fns, made.renderables = copy(self.blocks), copy(self.fns), copy(self.renderables)
        return made
