"""Resolve how many items to choose: k itself, or a fraction p of N rows, k = max(1, floor(p N))."""

from __future__ import annotations

import math

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import finite_number, whole_number


def resolve_k(
    k: int | None, fraction: float | None, *, rows: int, items: int, excluded: int = 0, no_limit: bool = False
) -> tuple[int, str | None]:
    """Return k and, where a fraction asks for more than there is, a sentence that says so.

    Parameters
    ----------
    k, fraction : int or None, float or None
        What the user gave: one of them, or neither where something else limits the answer.
    rows : int
        N, of which a fraction is a share: so a subset with copies collapsed and one with copies kept, or a random one,
        have the same size.
    items : int
        The ground set: what is left of the rows when copies are collapsed and rows left out beforehand.
    excluded : int
        Items that must not be chosen.
    no_limit : bool
        Whether neither needs to be given, because a budget limits the answer; k is then all that may be chosen.

    Raises
    ------
    InputError
        For a k that is no number between 1 and the items that may be chosen.
    """
    available = items - excluded
    if k is not None and fraction is not None:
        raise invalid("k", "be given without fraction", Verbatim(f"k={k} and fraction={fraction}"), "Give one of them.")
    if k is not None:
        k = whole_number(k, "k", "be a whole number of items", "Use fraction for a share.")
        if not 1 <= k <= available:
            raise invalid("k", f"lie between 1 and {_choice(rows, items, excluded)}", k)
        return k, None
    if fraction is None:
        if not no_limit:
            raise invalid("k", "be given, or fraction, or costs and budget", Verbatim("none of them"))
        return available, None
    fraction = finite_number(fraction, "fraction", "lie in (0, 1]", "Use k for a number of items.", above=0.0, most=1.0)
    wanted = max(1, math.floor(fraction * rows + 1e-9))  # 0.29 * 100 is 28.999...
    if wanted <= available:
        return wanted, None
    return available, (
        f"{wanted} of {rows} rows were asked for, but there are only {_choice(rows, items, excluded)}: "
        f"all {available} are chosen."
    )


def _choice(rows: int, items: int, excluded: int) -> str:
    """Return how many items there are to choose from, and why they are not all rows."""
    collapsed = f", {items} of {rows} are left after copies are collapsed and rows left out" if items < rows else ""
    barred = f", {excluded} are excluded" if excluded else ""
    return f"{items - excluded}, the items to choose from{collapsed}{barred}"
