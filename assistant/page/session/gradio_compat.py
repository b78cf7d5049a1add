"""Everything the page uses of Gradio that Gradio's documentation does not name.

`tests/assistant/page/session/test_gradio_compat.py` fails with Gradio's version when one of these goes away.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Self

from gradio import Blocks
from gradio.blocks import Block, BlocksConfig
from gradio.context import LocalContext


def current_request() -> Any:
    """The `gradio.Request` of the event being handled; None outside of one, as in a test that calls a handler.

    Gradio passes a request only to a handler that has a parameter for it, and then it counts as an input of the API.
    """
    return LocalContext.request.get(None)


def starlette_request(request: Any) -> Any:
    """The Starlette request within a `gradio.Request`, which turns dictionaries such as cookies into objects.

    A Starlette request is returned as it is.
    """
    return getattr(request, "request", request)


def event_data(event: Any) -> dict[str, Any]:
    """What the browser sent with an event: anything, from anybody. Its attributes cannot be listed otherwise."""
    data = getattr(event, "_data", None)
    return data if isinstance(data, dict) else {}


def describe_components_once(page: Blocks) -> None:
    """Describe the page's components to browsers once, where Gradio does it anew for every tab that opens.

    For the chat page that saves 7 ms and 55 KB a tab (2026-11-25, two cores of an AMD EPYC) before its first reply:
    two fifths of the interpreter's time until then, with sixteen people at once. The components of a running page
    never change: where Gradio shows other values, it makes other components.
    """
    page.default_config = _CachedConfig(page)


def rest_while_idle(page: Blocks) -> None:
    """Let an open tab hold no connection while nothing happens in it.

    Gradio keeps a stream open for each tab, to forget its session when it is closed. A browser opens six connections
    to a server, so that the seventh tab would wait for ever. Without it, sessions are dropped by their number; and a
    tab that is closed while a reply streams is noticed by that stream.
    """
    describe = page.get_config_file

    def without_heartbeat() -> Any:
        return {**describe(), "connect_heartbeat": False}

    page.get_config_file = without_heartbeat


class _CachedConfig(BlocksConfig):
    """A page's configuration that keeps the descriptions of its components."""

    def __init__(self, page: Blocks) -> None:
        super().__init__(page)
        self.__dict__.update(page.default_config.__dict__)
        self._own_blocks = dict(self.blocks)
        self._descriptions: dict[int, dict[str, Any]] = {}

    def config_for_block(
        self, _id: int, rendered_ids: list[int], block: Block, renderable: Any = None
    ) -> dict[str, Any]:
        """Gradio's description of `block`, from the cache if it is one of the page's own."""
        if renderable is not None or self._own_blocks.get(_id) is not block:
            return BlocksConfig.config_for_block(_id, rendered_ids, block, renderable)
        if _id not in self._descriptions:
            self._descriptions[_id] = BlocksConfig.config_for_block(_id, rendered_ids, block)
        description = self._descriptions[_id]
        # A tab's session writes the values that it shows into its own properties.
        return {**description, "props": dict(description["props"])}

    def __copy__(self) -> Self:
        """The configuration of one tab, which has its own components and shares the descriptions."""
        config = type(self).__new__(type(self))
        config.__dict__.update(self.__dict__)
        config.blocks, config.fns, config.renderables = (
            copy(self.blocks),
            copy(self.fns),
            copy(self.renderables),
        )
        return config
