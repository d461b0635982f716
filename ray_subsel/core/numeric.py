"""Read numbers and arrays as callers give them: one rule for every argument, ``x`` is a number or it is refused.

A number is an int, a float, a numpy scalar or an array of no dimensions that holds one. A bool is none, nor is a text,
and an array with masked entries is no array of numbers.

Where text is all there is (flags, ``LABEL=N``, sizes), one grammar holds, in ASCII: digits with or without a decimal
point and an exponent, then k, M or G for a thousand, a million or a thousand million. ``10k``, ``2.5M`` and ``1e3`` are
whole.
"""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import Verbatim, invalid

FORMS = "such as 300, 10k, 2.5M or 1e3"
"""What texts may look like, for errors."""

DIGITS = r"[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40}"
_NUMBER = re.compile(rf"(-?(?:{DIGITS})(?:[eE][+-]?[0-9]{{1,3}})?)([kKMG]?)")
_SUFFIXES = {"": Decimal(1), "k": Decimal(10**3), "K": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9)}
_EXACT = Context(prec=100)
_WHOLE = 1 << 63


def counted(value: int, noun: str) -> str:
    """Return so many of something, in words.

    Examples
    --------
    >>> counted(1, "epoch"), counted(12_000, "row")
    ('1 epoch', '12,000 rows')
    """
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def number_of_text(text: str, *, whole: bool = False) -> int | float | None:
    """Return the number that a text means; None where it means none, or no whole one of 64 bits where that is asked.

    Examples
    --------
    >>> number_of_text("10k", whole=True), number_of_text("2.5M", whole=True), number_of_text("1e-3", whole=True)
    (10000, 2500000, None)
    >>> number_of_text("0.9"), number_of_text("1_000"), number_of_text("+5"), number_of_text(" 5")
    (0.9, None, None, None)
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    exact = _EXACT.multiply(Decimal(found[1]), _SUFFIXES[found[2]])
    if whole:
        return int(exact) if abs(exact) < _WHOLE and exact == exact.to_integral_value() else None
    number = float(exact)
    return number if math.isfinite(number) else None


def as_number(value: object, *, whole: bool = False) -> int | float | None:
    """Return a number as an int or a float of Python; None for whatever is none, or no whole one where that is asked.

    Examples
    --------
    >>> as_number(np.int8(3)), as_number(np.array(0.5)), as_number("3"), as_number(True), as_number(2.0, whole=True)
    (3, 0.5, None, None, None)
    """
    if np.ma.isMaskedArray(value):
        return None
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0 and value.dtype.kind in "iuf":
        value = float(value) if value.dtype.kind == "f" else int(value)
    elif type(value).__module__.partition(".")[0] == "torch" and getattr(value, "ndim", None) == 0:
        value = value.item()  # type: ignore[attr-defined]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if whole and not isinstance(value, int) else value


def whole_number(value: object, parameter: str, must: str, hint: str = "", *, least: int | None = None) -> int:
    """Return a whole number that is at least ``least``; raises InputError for anything else."""
    number = as_number(value, whole=True)
    if number is None or (least is not None and number < least):
        raise invalid(parameter, must, value, hint)
    return int(number)


def finite_number(
    value: object, parameter: str, must: str, hint: str = "", *, above: float = -math.inf, least: float = -math.inf,
    most: float = math.inf,
) -> int | float:  # fmt: skip
    """Return a finite number x, above < x, least <= x <= most; raises InputError for anything else."""
    number = as_number(value)
    if number is None or not math.isfinite(number) or not (above < number and least <= number <= most):
        raise invalid(parameter, must, value, hint)
    return number


def array_of(values: Any, parameter: str, must: str) -> NDArray[Any]:
    """Return an array of what a caller gave; raises InputError where its rows are uneven or entries are masked."""
    check_unmasked(values, parameter)
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError):
        raise invalid(parameter, must, Verbatim(f"{type(values).__name__} that is no array")) from None


def check_unmasked(values: Any, parameter: str) -> None:
    """Raise InputError for an array with masked entries."""
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        count = int(np.ma.getmaskarray(values).sum())
        raise invalid(parameter, "have no masked entries", Verbatim(f"{count} masked"), "Drop or fill them.")
