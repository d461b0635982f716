"""Render SVG as PNG, where resvg is installed (the extra ``figures``)."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from ray_subsel.experiments.figures import FONTS

PIXELS = 1470
"""Width of an image: one and a half times the drawing's."""
MISSING = "PNG figures need resvg-py (pip install resvg-py, or the extra figures); the SVG files are whole without it"
NO_FONT = "PNG figures need a font, and none is installed on this machine; the SVG files are whole without it"


def png_renderer() -> tuple[Callable[[str], bytes] | None, str]:
    """Return a function from SVG to PNG, or None and in one line what it lacks."""
    if find_spec("resvg_py") is None:
        return None, MISSING
    from resvg_py import svg_to_bytes

    def render(svg: str) -> bytes:
        return bytes(svg_to_bytes(svg_string=svg, width=PIXELS))

    # resvg leaves out text for which there is no font and says nothing
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20" font-family="{FONTS}">'
    letter, nothing = (f'{head}<text y="18">{text}</text></svg>' for text in ("M", ""))
    if render(letter) == render(nothing):
        return None, NO_FONT
    return render, ""
