"""Load the templates of pages, and what they share."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined, Template

_FOLDER = files("ray_subsel.report")


def text_of(name: str) -> str:
    """Return a file of this folder."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def template(name: str, *parts: str, styles: tuple[str, ...] = ("page.css",), **shared: Any) -> Template:
    """Return a page's template. All text that it is given is escaped, and a name that it is not given is an error.

    Parameters
    ----------
    name : str
        The page.
    parts : sequence of str
        Other templates that it includes.
    styles : tuple of str
        Style sheets, one after the other, as ``style``.
    shared : dict
        What else every rendering has.
    """
    pages = {one: text_of(one) for one in (name, *parts)}
    environment = Environment(
        loader=DictLoader(pages), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"style": "".join(text_of(one) for one in styles), **shared}
    return environment.get_template(name)
