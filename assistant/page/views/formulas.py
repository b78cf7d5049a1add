"""Formulas in replies: TeX between `$…$`, `$$…$$`, `\\(…\\)` or `\\[…\\]` → MathML, which browsers can draw.

The page loads no script for it, and a screen reader reads a formula as a formula. Text that is not a formula after
all is shown as it was written.
"""

from __future__ import annotations

from functools import lru_cache
from html import escape, unescape
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, tostring

from latex2mathml.converter import convert_to_element
from mdit_py_plugins.dollarmath import dollarmath_plugin

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline

MAX_FORMULA = 2_000
"""Characters. A longer text between two signs is more likely a mistake than a formula."""

# Attributes that a formula needs. TeX can also set links, styles and classes, which are removed.
_ATTRIBUTES = {
    "accent", "columnalign", "columnlines", "columnspacing", "depth", "display", "displaystyle", "fence", "form",
    "height", "linebreak", "linethickness", "lspace", "mathsize", "mathvariant", "maxsize", "minsize", "movablelimits",
    "rowlines", "rowspacing", "rspace", "scriptlevel", "separator", "stretchy", "symmetric", "voffset", "width",
}  # fmt: skip
_CLOSED_BY = {"\\(": "\\)", "\\[": "\\]"}


def formulas(reader: MarkdownIt) -> None:
    """Add all four ways to write a formula to a Markdown reader. "$5 and $6" stays text."""
    dollarmath_plugin(
        reader,
        allow_labels=False,
        allow_space=False,
        allow_digits=False,
        allow_blank_lines=False,
        double_inline=True,
    )
    # Before "escape", which would take the backslash.
    reader.inline.ruler.before("escape", "math_brackets", _brackets)
    for kind, block in (("math_inline", False), ("math_inline_double", True), ("math_block", True)):
        reader.add_render_rule(kind, _drawn(block))


@lru_cache(maxsize=2048)
def formula(tex: str, block: bool) -> str:
    """MathML for `tex`, on a line of its own if `block`; the TeX itself as code if it cannot be parsed."""
    source = f"<code>{escape(tex)}</code>"
    if len(tex) > MAX_FORMULA:
        return source
    try:
        # The library knows this environment by its other name only.
        source_tex = tex.strip().replace("{aligned}", "{align*}")
        tree = convert_to_element(source_tex, display="block" if block else "inline")
        _clean(tree)
        tree.set("data-tex", tex.strip())  # `page.js` copies it in place of the drawn formula
        # Not the library's own serializer: it turns "<" in a formula's text back into a tag.
        return tostring(tree, encoding="unicode")
    except Exception:
        # The library's errors share no class, and a reply that is being written often ends in half a formula.
        return source


def _clean(element: Element) -> None:
    """Remove other attributes, and decode references such as "&#x0003C;", which would be escaped once more."""
    element.attrib = {name: value for name, value in element.attrib.items() if name in _ATTRIBUTES}
    element.text = unescape(element.text) if element.text else element.text
    for child in element:
        _clean(child)


def _brackets(state: StateInline, silent: bool) -> bool:
    opening = state.src[state.pos : state.pos + 2]
    closing = _CLOSED_BY.get(opening)
    end = state.src.find(closing, state.pos + 2, state.posMax) if closing else -1
    if end < 0 or not state.src[state.pos + 2 : end].strip():
        return False
    if not silent:
        token = state.push("math_inline" if opening == "\\(" else "math_inline_double", "math", 0)
        token.content = state.src[state.pos + 2 : end]
    state.pos = end + 2
    return True


def _drawn(block: bool) -> Any:
    def render(self: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
        return formula(tokens[index].content, block)

    return render
