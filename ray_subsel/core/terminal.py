"""Write to standard output and standard error such that neither an encoding nor a stream that fails ends the work."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable
from typing import TextIO

from ray_subsel.core.uris import without_secrets

_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal may obey: control characters but tabs and line ends, changes of direction, halves of surrogates."""


Decorate = Callable[[str, TextIO], str]
"""Returns a text as a stream shows it: coloured."""


def tell(line: str, decorate: Decorate | None = None) -> None:
    """Write a line to standard error. A stream that is closed or full takes nothing, and the work goes on."""
    _write(sys.stderr, line, decorate)


def answer(text: str, decorate: Decorate | None = None) -> OSError | ValueError | None:
    """Write a command's result to standard output; return why it could not be written, or None.

    A reader that has ended, as ``head`` does, has what it wants: that is no failure.
    """
    failed = _write(sys.stdout, text, decorate)
    return None if isinstance(failed, BrokenPipeError) else failed


def is_terminal() -> bool:
    """Tell whether somebody looks at standard error."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False


def open_standard_streams() -> None:
    """Give a process that was started with closed streams the null device in their place.

    Otherwise the next files that it opens, or its children open, are its standard output and error.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # the lowest free number: this one


def printable(text: str, encoding: str = "utf-8") -> str:
    r"""Return a text that a terminal of some encoding can show, and that sends it no commands: others as ``\u001b``.

    JSON stays JSON.

    Examples
    --------
    >>> printable("caf\u00e9", "ascii"), printable("a\x1b[2J")
    ('caf\\u00e9', 'a\\u001b[2J')
    """
    plain = _COMMANDS.sub(lambda found: _escaped(found[0]), text)
    try:
        plain.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_escaped(one) if _is_lost(one, encoding) else one for one in plain)
    return plain


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(one):04x}" if ord(one) < 128 else json.dumps(one)[1:-1] for one in text)


def _is_lost(one: str, encoding: str) -> bool:
    try:
        one.encode(encoding)
    except UnicodeEncodeError:
        return True
    return False


def _write(stream: TextIO | None, text: str, decorate: Decorate | None) -> OSError | ValueError | None:
    if stream is None:  # closed before the process began: nobody asks for it
        return None
    try:
        shown = printable(without_secrets(text), getattr(stream, "encoding", None) or "utf-8")
        stream.write((shown if decorate is None else decorate(shown, stream)) + "\n")
        stream.flush()
    except (OSError, ValueError) as error:
        _mute(stream)
        return error
    return None


def _mute(stream: TextIO) -> None:
    """Let what a stream still holds go to the null device: at its end the interpreter would try again, and complain."""
    with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
        number = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
