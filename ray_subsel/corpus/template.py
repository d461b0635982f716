r"""Make a text of several columns by a template: ``{instruction}\n{output}``."""

from __future__ import annotations

import string
from dataclasses import dataclass

from ray_subsel.core.errors import invalid

_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}


@dataclass(frozen=True)
class Template:
    """A text with places for values.

    Attributes
    ----------
    parts : tuple of (str, str or None)
        Literal text, and the column or path whose value follows it, if any.
    """

    parts: tuple[tuple[str, str | None], ...]

    @staticmethod
    def parse(text: str) -> Template:
        r"""Read ``{column}`` and ``{path.to.value}``; ``{{`` and ``}}`` are braces, ``\n`` and ``\t`` what they say.

        Raises
        ------
        InputError
            For a template that names no column, or whose braces do not close.
        """
        way = r"Such as '{instruction}\n{output}'."
        try:
            found = list(string.Formatter().parse(text))
        except ValueError as error:
            raise invalid("template", f"have braces in pairs ({error})", text, way) from None
        parts = []
        for literal, name, form, conversion in found:
            if form or conversion or name == "":
                raise invalid("template", "have the name of a column, and nothing else, between braces", text, way)
            parts.append((_unescaped(literal), name))
        if not any(name for _, name in parts):
            raise invalid("template", "name a column between braces", text, way)
        return Template(tuple(parts))

    @property
    def paths(self) -> tuple[str, ...]:
        """The columns and paths, each once."""
        return tuple(dict.fromkeys(name for _, name in self.parts if name))

    def fill(self, values: dict[str, str]) -> str:
        """Return the text of one row; nothing where all its values are missing."""
        if not any(values.values()):
            return ""
        return "".join(literal + (values[name] if name else "") for literal, name in self.parts).strip()


def _unescaped(text: str) -> str:
    for written, meant in _ESCAPES.items():
        text = text.replace(written, meant)
    return text
