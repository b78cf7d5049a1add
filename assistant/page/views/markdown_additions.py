"""What the Markdown reader does beyond CommonMark: bare links, wide tables, and the direction of each paragraph."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from markdown_it.token import Token

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore

_ADDRESS = re.compile(
    r"""(?<![\w@/.:-]) (?:https?://|www\.) [^\s<>"'`，。；：！？、（）《》「」『』【】“”‘’…]+
    | (?<![\w@/.:+-]) [\w.+-]+ @ [\w-]+ (?:\.[\w-]+)+""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_TRAILING = re.compile(r"[.,:;!?*_~]+$")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_DIRECTIONS = {"L": "ltr", "R": "rtl", "AL": "rtl"}
SHORT_CELL = 18
"""Widths of a Latin letter. The words of a shorter table cell stay on one line."""


def additions(reader: MarkdownIt) -> None:
    """Add all of them to a Markdown reader."""
    reader.core.ruler.push("links", _link)
    reader.core.ruler.push("short_cells", _mark_short_cells)
    reader.core.ruler.push("directions", _direct)
    reader.add_render_rule("table_open", _open_table)
    reader.add_render_rule("table_close", lambda *_: "</table></div>\n")


# Links


def _link(state: StateCore) -> None:
    """Make links of bare addresses, and let every link open a tab of its own: a reply must not replace the page."""
    for block in state.tokens:
        children, depth = [], 0
        for token in block.children or []:
            depth += token.nesting if token.type in ("link_open", "link_close") else 0
            if token.type == "text" and not depth:
                children += _with_links(token.content, state.md)
            else:
                children.append(token)
        for token in children:
            if token.type == "link_open" and not str(token.attrs.get("href", "")).startswith("#"):
                token.attrs |= {"target": "_blank", "rel": "noopener noreferrer"}
        if block.children is not None:
            block.children = children


def _with_links(text: str, reader: MarkdownIt) -> list[Token]:
    tokens, position = [], 0
    for match in _ADDRESS.finditer(text):
        address = _without_trailing_marks(match[0])
        target = (
            address if "://" in address else f"mailto:{address}" if "@" in address else f"https://{address}"
        )
        url = reader.normalizeLink(target)
        if not reader.validateLink(url):
            continue
        tokens += [
            Token("text", "", 0, content=text[position : match.start()]),
            Token("link_open", "a", 1, attrs={"href": url}),
            Token("text", "", 0, content=address),
            Token("link_close", "a", -1),
        ]
        position = match.start() + len(address)
    return [*tokens, Token("text", "", 0, content=text[position:])]


def _without_trailing_marks(address: str) -> str:
    """An address without the marks after it, such as the full stop of its sentence or the bracket around it."""
    while True:
        shorter = _TRAILING.sub("", address)
        for opening, closing in ("()", "[]"):
            if shorter.endswith(closing) and shorter.count(closing) > shorter.count(opening):
                shorter = shorter[:-1]
        if shorter == address:
            return address
        address = shorter


# Tables


def _open_table(self: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    """A table in an element that scrolls sideways, also by the keyboard; its direction says at which side it stands."""
    attributes = self.renderAttrs(tokens[index])
    return f'<div class="table" tabindex="0"{attributes}><table{attributes}>\n'


def _mark_short_cells(state: StateCore) -> None:
    """Mark the cells whose words fit on one line."""
    for cell, content in zip(state.tokens, state.tokens[1:], strict=False):
        if cell.type in ("td_open", "th_open") and content.type == "inline":
            width = sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in content.content)
            if width <= SHORT_CELL:
                cell.attrs["class"] = "short"


# Direction


def _direct(state: StateCore) -> None:
    """Give each block the direction of its first letter, where the text has any letter that runs from right to left.

    The attribute dir="auto" would not do: a list's own direction, which decides where its marks stand, is not read
    from its items.
    """
    if not _RIGHT_TO_LEFT.search(state.src):
        return
    opened: list[Token] = []
    for token in state.tokens:
        if token.nesting == 1:
            opened.append(token)
        elif token.nesting == -1:
            opened.pop()
        direction = _direction(token) if token.type == "inline" else None
        if direction is not None:
            for block in opened:
                block.attrs.setdefault("dir", direction)


def _direction(token: Token) -> str | None:
    """The direction of the first letter outside of code; None without letters."""
    for child in token.children or []:
        for letter in child.content if child.type == "text" else "":
            if (direction := _DIRECTIONS.get(unicodedata.bidirectional(letter))) is not None:
                return direction
    return None
