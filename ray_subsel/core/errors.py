"""Define InputError, the one error that users see, and its kinds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from ray_subsel.core.suggest import did_you_mean


class InputError(ValueError):
    """Input that cannot be used: a parameter, a file, a row, a configuration.

    The message is one line that names the parameter, what it must be, what arrived and the way out.
    The command line prints it and exits with status 2, without a traceback.

    Attributes
    ----------
    parameter : str
        The parameter, or several after commas, with which the message begins; empty where it begins otherwise.
    """

    parameter: str = ""


class DoesNotFitError(InputError):
    """A selection that does not fit into memory."""


class ResourceError(InputError):
    """Something that is missing for now: room on a disk, memory, files that may be open, a network, Ray.

    The command line prints it and exits with status 3: the same command goes on once it is there.
    """


def as_value(error: InputError) -> str:
    """Return an error as a text that :func:`of_value` reads, for where exceptions cannot travel."""
    return f"{int(isinstance(error, ResourceError))}{error}"


def of_value(text: str) -> InputError:
    """Return the error that :func:`as_value` wrote."""
    return (ResourceError if text[0] == "1" else InputError)(text[1:])


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
    error = kind(" ".join(text.split()))
    error.parameter = " ".join(parameter.split())
    return error


def with_hint(error: InputError, hint: str) -> InputError:
    """Return an error with a further way out."""
    more = type(error)(" ".join(f"{error} {hint}".split()))
    more.parameter = error.parameter
    return more


@contextlib.contextmanager
def told_of(what: str) -> Iterator[None]:
    """Say of an error in the block what it is about: another file than the corpus, which is read as the corpus is.

    Examples
    --------
    >>> with told_of("target queries.csv"):
    ...     raise InputError("text must be a column")
    Traceback (most recent call last):
    ray_subsel.core.errors.InputError: target queries.csv: text must be a column
    """
    try:
        yield
    except InputError as error:
        raise type(error)(f"{what}: {error}") from error


def unknown(parameter: str, got: object, known: Iterable[str], *, also: str = "", hint: str = "") -> InputError:
    """Build the error for a word that is none of the known ones; it suggests the closest.

    Parameters
    ----------
    also : str
        What the parameter may be beside them, with the words before it: ``" or an Objective"``.

    Examples
    --------
    >>> str(unknown("task", "clasification", ("text", "classification")))
    "task must be one of text, classification; got 'clasification'. Did you mean 'classification'?"
    """
    words = list(known)
    near = did_you_mean(got, words) if isinstance(got, str) else ""
    return invalid(parameter, f"be one of {', '.join(words)}{also}", got, near or hint)
