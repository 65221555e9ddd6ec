"""Templates of the pages, with the style of the report."""

from __future__ import annotations

import json

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

__all__ = ["as_script", "render"]


def render(name: str, **content: object) -> str:
    """Fill a template; text is escaped."""
    loaders = [PackageLoader("spinemri.batch", "templates"), PackageLoader("spinemri.report", "templates")]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(**content)


def as_script(content: object) -> str:
    """Return JSON that may stand inside a script element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
