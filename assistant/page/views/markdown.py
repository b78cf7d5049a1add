"""Text from people and models as HTML that is safe on the page."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache

from markdown_it import MarkdownIt
from markupsafe import Markup

from assistant.page.views.formulas import formulas
from assistant.page.views.templates import render

# html=False shows tags as text. Images are off: a reply must not make the browser fetch an address.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").disable("image")
formulas(_MARKDOWN)

# Words of letters and digits, runs of space, and any other character by itself: Chinese is compared by the character.
_WORD = re.compile(r"[^\W\u3400-\u9fff]+|\s+|.", re.DOTALL)


@lru_cache(maxsize=1024)
def markdown(text: str) -> Markup:
    """Markdown with formulas as HTML. Tags in `text` stay text, as do links with a script scheme."""
    return Markup(_MARKDOWN.render(text))


def difference(before: str, after: str) -> Markup:
    """`after` as HTML, with the words it adds to `before` marked as inserted and those it leaves out as deleted."""
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
    return render("chat/difference.html", parts=parts)
