"""Apportion k to groups in proportion to their sizes, or equally, above floors or without; the shares sum to k."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ray_subsel.core.types import Indices


def proportional(sizes: Indices, k: int) -> Indices:
    """Apportion k in proportion to sizes by largest remainders; the sum is k, no group gets more than its size.

    Examples
    --------
    >>> proportional(np.array([50, 30, 20]), 5).tolist()
    [3, 1, 1]
    """
    sizes = np.asarray(sizes, dtype=np.int64)
    total = max(1, int(sizes.sum()))
    pairs = [divmod(int(size) * k, total) for size in sizes]  # no product overflows
    shares, remainders = np.array(pairs, dtype=np.int64).reshape(-1, 2).T.copy()
    short = k - int(shares.sum())
    largest = np.argsort(-remainders, kind="stable")[:short]
    shares[largest] += 1
    return np.asarray(shares, dtype=np.int64)


def equal(sizes: Indices, k: int) -> Indices:
    """Apportion k equally; what small groups cannot use goes to the others, odd items to the earlier groups.

    Examples
    --------
    >>> equal(np.array([50, 1, 20]), 6).tolist()
    [3, 1, 2]
    """
    sizes = np.asarray(sizes, dtype=np.int64)
    shares = np.zeros_like(sizes)
    left = min(k, int(sizes.sum()))
    while left:
        hungry = np.flatnonzero(shares < sizes)
        each = left // hungry.size
        if each == 0:
            shares[hungry[:left]] += 1
            break
        gift = np.minimum(sizes[hungry] - shares[hungry], each)
        shares[hungry] += gift
        left -= int(gift.sum())
    return shares


def balanced(sizes: Indices, k: int, least: Indices) -> Indices:
    """Return the most that each group may have so that groups share k about equally; they sum to k or a few more.

    Shares are equal, as far as groups reach, yet no group gets less than half of its share of the items,
    floor(k n_g / 2 n), nor less than ``least`` (where both cannot be, the latter). Then all that got as much as any
    may have one more than the odd items allow, so that whoever chooses decides which groups get those: with fewer
    places than groups each group may have one item.

    Parameters
    ----------
    sizes, least : int64 arrays of shape (G,)
        Items of each group, and those that it must be let have; the latter sum to k at most.
    k : int
        At most the sum of the sizes.

    Examples
    --------
    >>> balanced(np.array([80, 10, 10]), 10, np.zeros(3, dtype=np.int64)).tolist()
    [4, 3, 3]
    >>> balanced(np.array([5, 5, 5]), 2, np.zeros(3, dtype=np.int64)).tolist()
    [1, 1, 1]
    """
    floors = _half_floors(sizes, k, least)
    shares = above_floors(equal, sizes, k, floors)
    level = int(np.max(shares[shares > floors], initial=0))
    return np.maximum(shares, np.minimum(sizes, level))


def half_equal(sizes: Indices, k: int, least: Indices) -> Indices:
    """Apportion k as :func:`balanced` does, without room for odd items: the shares sum to k."""
    return above_floors(equal, sizes, k, _half_floors(sizes, k, least))


def _half_floors(sizes: Indices, k: int, least: Indices) -> Indices:
    total = max(1, int(sizes.sum()))
    half = np.array([k * int(size) // (2 * total) for size in sizes], dtype=np.int64)  # no product overflows
    floors = np.maximum(least, half)
    return np.asarray(least, dtype=np.int64) if int(floors.sum()) > k else floors


def above_floors(rule: Callable[[Indices, int], Indices], sizes: Indices, k: int, floors: Indices) -> Indices:
    """Apportion k by a rule, yet no group less than its floor: floors first, the rest by the rule; the sum is k.

    A group whose share would be below its floor gets the floor, and the rule apportions what is left to the others,
    until no share is below a floor. So floors at or below the shares change nothing.

    Parameters
    ----------
    rule : callable
        :func:`proportional` or :func:`equal`.
    sizes, floors : int64 arrays of shape (G,)
        Floors are at most sizes.
    k : int
        At least the sum of the floors, at most that of the sizes.

    Examples
    --------
    >>> above_floors(proportional, np.array([60, 30, 10]), 10, np.array([0, 0, 4])).tolist()
    [4, 2, 4]

    Source: Balinski & Young 1982, "Fair Representation", on apportionment with minimum requirements.
    """
    shares = np.array(floors, dtype=np.int64)
    others = np.arange(shares.size)
    while True:
        # a floor above a share takes from the others less than they have, and all floors fit: neither runs out
        given = rule(sizes[others], k - int(shares.sum() - shares[others].sum()))
        enough = given >= shares[others]
        if enough.all():
            shares[others] = given
            return shares
        others = others[enough]
