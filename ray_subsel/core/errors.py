"""Define InputError, the one error that users see."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be used: a parameter, a file, a row, a configuration.

    The message is one line that names the parameter, what it must be, what arrived and the way out.
    The command line prints it and exits with status 2, without a traceback.
    """


class DoesNotFitError(InputError):
    """A selection that does not fit into memory."""


class Verbatim(str):
    """Words that describe what arrived, for :func:`invalid` to show without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the words."""
        return str(self)


def invalid(parameter: str, must: str, got: object, hint: str = "", kind: type[InputError] = InputError) -> InputError:
    """Build the error ``<parameter> must <must>; got <got>. <hint>`` on one line.

    Examples
    --------
    >>> str(invalid("fraction", "lie in (0, 1]", 1.5, "Use k for a number of items."))
    'fraction must lie in (0, 1]; got 1.5. Use k for a number of items.'
    """
    shown = repr(got) if isinstance(got, str) else str(got)
    text = f"{parameter} must {must}; got {shown}."
    if hint:
        text = f"{text} {hint}"
    return kind(" ".join(text.split()))
