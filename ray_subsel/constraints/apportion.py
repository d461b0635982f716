"""Apportion k to groups in proportion to their sizes, or equally; the shares sum to k."""

from __future__ import annotations

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
    total = int(sizes.sum())
    shares, remainders = np.divmod(sizes * k, total)
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
