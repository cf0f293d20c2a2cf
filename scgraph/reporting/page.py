"""An HTML page from a template and values."""

from __future__ import annotations

from importlib import resources
from typing import Any

__all__ = [
    "fill_template",
]


def fill_template(template: str, **values: Any) -> str:
    """Return a page made from a template: `style` is the style sheet of all reports, everything else is escaped."""
    import jinja2
    import markupsafe

    style = resources.files("scgraph.bench").joinpath("templates/style.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(template).render(style=markupsafe.Markup(style), **values)
