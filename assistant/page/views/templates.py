"""HTML from Jinja2 templates. Every value is escaped unless it is `Markup` already."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: Any) -> Markup:
    """The HTML of a file of `assistant/page/templates`. Raises jinja2.UndefinedError for a value that is not given."""
    return Markup(_environment.get_template(template).render(**values))
