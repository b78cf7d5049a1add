"""HTML from the Jinja2 templates in `assistant/page/templates`.

Every value is escaped unless it is `Markup`. `Markup` is made in three places only: here, from a template that has been
rendered; in `markdown.py`, from the Markdown renderer's output, which contains no HTML of the text's own; and in
`code_blocks.py`, from escaped code.
"""

import re
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup

from assistant.page.views.icons import PATHS

_LINE_BREAK = re.compile(
    r"""(?P<jinja> \{%.*?%\} | \{\{.*?\}\} | \{\#.*?\#\} )  # left as it is
    | (?P<edge> (?<=[>}])\s*\n\s* | \s*\n\s*(?=[<{]|$) )  # becomes nothing
    | \s*\n\s*  # becomes a space""",
    re.DOTALL | re.VERBOSE,
)


class _SourceLayout(Extension):
    """Leaves the line breaks and the indentation of a template's source out of its HTML.

    A line break beside `<`, `>`, `{` or `}` disappears, because a space between two elements can be seen on the page.
    Any other line break, as between two attributes, becomes one space. A line break that the HTML needs is written as
    `{{ "\\n" }}`.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return _LINE_BREAK.sub(_replacement, source)


def _replacement(line_break: re.Match[str]) -> str:
    if line_break["jinja"]:
        return line_break[0]
    # A comment keeps the line breaks, so that Jinja's error messages name the right line.
    comment = "{#" + "\n" * line_break[0].count("\n") + "#}"
    return comment if line_break["edge"] else f" {comment}"


_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    extensions=[_SourceLayout],
    auto_reload=False,
)


def render(template: str, **values: Any) -> Markup:
    """Render a template, named by its path below `assistant/page/templates`.

    Raises jinja2.UndefinedError for a value that the template uses and the caller does not give.
    """
    return Markup(_environment.get_template(template).render(values))


@lru_cache(maxsize=1024, typed=True)
def render_cached(template: str, **values: Any) -> Markup:
    """As `render`, for HTML that is drawn again with every update of a reply; the values must be hashable.

    The cache is typed because `Markup` equals a text of the same characters, which has to be escaped.
    """
    return render(template, **values)


# A namespace: in a dictionary, `icons.copy` would be its method.
_environment.globals["icons"] = SimpleNamespace(
    **{name: render("shared/icon.html", path=path) for name, path in PATHS.items()}
)
