"""Format the numbers of the report, and tell how far an accuracy can be trusted."""

from __future__ import annotations

import math

NONE = "–"
Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def count(value: float | None) -> str:
    """Write a whole number: ``12,345``."""
    return NONE if value is None else f"{value:,.0f}"


def amount(value: float | None) -> str:
    """Write a real number with four significant digits, thousands grouped, never in exponents below 1e9."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e9 or size < 1e-4:
        return f"{value:.3e}".replace("-", "−")
    digits = max(0, 3 - math.floor(math.log10(size)))
    return f"{value:,.{digits}f}".replace("-", "−")


def percent(value: float | None, *, digits: int = 1, signed: bool = False) -> str:
    """Write a share as a percentage: ``84.1 %``, with a space that does not break."""
    if value is None:
        return NONE
    return f"{100 * value:{'+' if signed else ''},.{digits}f}\u00a0%".replace("-", "−")


def duration(seconds: float | None) -> str:
    """Write a time: ``420 ms``, ``4.2 s``, ``3 min 12 s``, ``2 h 05 min``."""
    if seconds is None:
        return NONE
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def wilson(share: float, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share that was seen in ``trials`` independent trials.

    The score interval of E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    J. Am. Stat. Assoc. 22 (1927). It holds near 0 and 1 and for few trials, where the normal one does not.
    """
    if trials <= 0:
        return 0.0, 1.0
    square = Z95 * Z95 / trials
    center = (share + square / 2) / (1 + square)
    half = Z95 / (1 + square) * math.sqrt(share * (1 - share) / trials + square / (4 * trials))
    return max(0.0, center - half), min(1.0, center + half)


def is_clear(first: float, second: float, trials: int) -> bool:
    """Return whether two accuracies on ``trials`` test rows differ by more than chance explains (95 %, two-sided).

    Treats the two as independent, so it errs towards "not clear" where the same rows were answered by both.
    """
    if trials <= 0:
        return False
    error = math.sqrt((first * (1 - first) + second * (1 - second)) / trials)
    return abs(first - second) > Z95 * error
