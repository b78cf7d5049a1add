"""Line icons drawn for this page, 24 by 24, in the colour of the text around them."""

from __future__ import annotations


def _icon(path: str) -> str:
    return (
        '<svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" '
        f'stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
        f'<path d="{path}"/></svg>'
    )


THUMB = _icon(
    "M7.5 11v9H5a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1h2.5Zm0 0 3.7-7.4a2.3 2.3 0 0 1 2.3 2.6L13 10h4.9a2 2 0 0 1 2 "
    "2.3l-.9 6a2 2 0 0 1-2 1.7H7.5"
)
COPY = _icon(
    "M9 9h9a1.5 1.5 0 0 1 1.5 1.5v8A1.5 1.5 0 0 1 18 20h-7.5A1.5 1.5 0 0 1 9 18.5V9Zm-3 6h-.5"
    "A1.5 1.5 0 0 1 4 13.5v-8A1.5 1.5 0 0 1 5.5 4h8A1.5 1.5 0 0 1 15 5.5V6"
)
RETRY = _icon("M19 12a7 7 0 1 1-2.1-5M19 4v4h-4")
UNDO = _icon("M8.5 13.5 4 9l4.5-4.5M4 9h10a5.5 5.5 0 0 1 0 11h-3.5")
PENCIL = _icon("M4.5 19.5 5.4 15.6 16 5a2 2 0 0 1 2.9 0l.1.1a2 2 0 0 1 0 2.9L8.4 18.6l-3.9.9ZM14 7l3 3")
PLUS = _icon("M12 5v14M5 12h14")
