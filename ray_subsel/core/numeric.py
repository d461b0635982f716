"""Read numbers and arrays as callers give them: one rule for every argument, ``x`` is a number or it is refused.

A number is an int, a float, a numpy scalar or an array of no dimensions that holds one. A bool is none, nor is a text,
and an array with masked entries is no array of numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import Verbatim, invalid


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
