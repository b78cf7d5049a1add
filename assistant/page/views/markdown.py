"""Text from people and models → HTML that is safe to put on the page."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache
from html import escape

from markdown_it import MarkdownIt

from assistant.page.views.formulas import formulas

# html=False shows tags as text. Images are off: a reply must not make the browser fetch an address.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").disable("image")
formulas(_MARKDOWN)

# Words of letters and digits, runs of space, and anything else one by one: Chinese is compared by the character.
_WORD = re.compile(r"[^\W\u3400-\u9fff]+|\s+|.", re.DOTALL)


def plain(text: str) -> str:
    """`text` exactly as written, escaped; the style sheet keeps its line breaks."""
    return escape(text)


@lru_cache(maxsize=1024)
def markdown(text: str) -> str:
    """`text` read as Markdown with formulas. HTML is shown as text; links with a script scheme stay text."""
    return str(_MARKDOWN.render(text))


def difference(before: str, after: str) -> str:
    """What was taken out of `before` and put in to make `after`, word by word, as deleted and inserted."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    parts = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            parts.append(escape("".join(old[a:b])))
            continue
        if b > a:
            parts.append(f"<del>{escape(''.join(old[a:b]))}</del>")
        if d > c:
            parts.append(f"<ins>{escape(''.join(new[c:d]))}</ins>")
    return "".join(parts)
