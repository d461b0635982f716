"""Colour what a terminal shows: bold first words, yellow warnings, red errors; plain where it is no terminal.

NO_COLOR, set to anything but an empty text, means plain everywhere (https://no-color.org).
"""

from __future__ import annotations

import os
import re
from typing import TextIO

_BOLD, _YELLOW, _RED, _END = "\x1b[1m", "\x1b[33m", "\x1b[31m", "\x1b[0m"
_FIRST_WORD = re.compile(r"^[a-z][\w-]*(?=  )", re.MULTILINE)
_WARNING = re.compile(r"^warning  .*$", re.MULTILINE)


def coloured(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that may be coloured."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, stream: TextIO) -> str:
    """Return a summary as a stream shows it."""
    if not coloured(stream):
        return text
    warned = _WARNING.sub(lambda found: f"{_YELLOW}{found[0]}{_END}", text)
    return _FIRST_WORD.sub(lambda found: f"{_BOLD}{found[0]}{_END}", warned)


def style_error(text: str, stream: TextIO) -> str:
    """Return the line of an error as a stream shows it."""
    first, colon, rest = text.partition("error:")
    return f"{first}{_RED}{colon}{_END}{rest}" if coloured(stream) and colon else text
