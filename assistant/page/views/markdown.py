"""Text from people and models as HTML that is safe on the page."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markupsafe import Markup
from mdit_py_plugins.tasklists import tasklists_plugin

from assistant.page.views.code_blocks import code_blocks
from assistant.page.views.formulas import formulas
from assistant.page.views.markdown_additions import additions
from assistant.page.views.templates import render

if TYPE_CHECKING:
    from assistant.page.i18n.languages import ChatTexts

# html=False shows tags as text. Images are off: a reply must not make the browser fetch an address.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True})
_MARKDOWN.enable(["table", "strikethrough"]).disable("image")
_MARKDOWN.use(tasklists_plugin, label=True)
for _extend in (formulas, code_blocks, additions):
    _extend(_MARKDOWN)

# Words of letters and digits, runs of space, and any other character by itself: Chinese is compared by the character.
_WORD = re.compile(r"[^\W\u3400-\u9fff]+|\s+|.", re.DOTALL)

LEAST_COMMON = 0.5
"""The share of the shorter text from which changes are marked within the text. `difference.js` has the same."""


@lru_cache(maxsize=1024)
def markdown(text: str, copy_label: str = "", is_growing: bool = False) -> Markup:
    """Markdown with formulas as HTML. Tags in `text` stay text, as do links with a script scheme.

    `copy_label`: name of the button that copies a block of code, "" for none. `is_growing`: more text is to come.
    """
    return Markup(_MARKDOWN.render(text, {"copy_label": copy_label, "is_growing": is_growing}))


def difference(texts: ChatTexts, before: str, after: str) -> Markup:
    """`after` as HTML, with the words it adds to `before` marked as inserted and those it leaves out as deleted.

    Where they have little in common, both stand whole, one below the other: word by word nobody could read them.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    parts = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            parts.append(("same", "".join(old[a:b])))
            continue
        if b > a:
            parts.append(("deleted", "".join(old[a:b])))
        if d > c:
            parts.append(("inserted", "".join(new[c:d])))
    same = sum(_letters(text) for kind, text in parts if kind == "same")
    is_rewritten = same < LEAST_COMMON * min(_letters(before), _letters(after))
    if is_rewritten:
        parts = [("deleted", before), ("inserted", after)]
    return render("chat/difference.html", texts=texts, parts=parts, is_rewritten=is_rewritten)


def _letters(text: str) -> int:
    """How many characters of a text are no space."""
    return len("".join(text.split()))
