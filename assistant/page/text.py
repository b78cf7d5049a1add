"""Text from people and models → HTML that is safe to put on the page."""

from __future__ import annotations

from functools import lru_cache
from html import escape

from markdown_it import MarkdownIt

# html=False shows tags as text. Images are off: a reply must not make the browser fetch an address.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").disable("image")


def plain(text: str) -> str:
    """`text` exactly as written, escaped; the style sheet keeps its line breaks."""
    return escape(text)


@lru_cache(maxsize=1024)
def markdown(text: str) -> str:
    """`text` read as Markdown. HTML in it is shown as text; links with a script scheme stay text."""
    return str(_MARKDOWN.render(text))
