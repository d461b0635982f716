"""State shares of groups: of k by rows, or of a budget by cost.

A share is a number in [0, 1] or a text such as ``30%``. A mix gives a share to each group: ``uniform``, ``input`` (as
the rows of the input have it), or by label, where labels that are not named divide the rest as the input does.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ray_subsel.constraints.labels import numbers_of
from ray_subsel.core.errors import invalid
from ray_subsel.core.numeric import as_number
from ray_subsel.core.types import Float64s, Indices

MIXES = ("uniform", "input")
LIKE = "like:"
"""On the command line: the shares of another file's rows."""

UNITS = 1 << 30
Mix = str | Mapping[Hashable, Any]


def is_percent(value: Any) -> bool:
    """Tell a text that ends in %."""
    return isinstance(value, str) and value.endswith("%")


def share(value: Any, parameter: str) -> float:
    """Return a share as a number in [0, 1]."""
    number = as_number(value) if not isinstance(value, str) else None
    if is_percent(value):
        try:
            number = float(value[:-1]) / 100.0
        except ValueError:
            number = None
    if number is None or not 0.0 <= number <= 1.0:
        raise invalid(parameter, "be a share such as 30%, or a number in [0, 1]", value)
    return float(number)


def parse_mix(texts: Sequence[str]) -> Mix | None:
    """Return what the texts of the command line say: a word, a mapping from label to share, or None.

    Raises
    ------
    InputError
        For what is neither, and for a label that is named twice.
    """
    if not texts:
        return None
    if len(texts) == 1 and (texts[0] in MIXES or texts[0].startswith(LIKE)):
        return texts[0]
    found: dict[Hashable, Any] = {}
    for text in texts:
        label, equals, number = text.rpartition("=")
        if not equals or not is_percent(number):
            raise invalid("mix", "be uniform, input, like:FILE, or LABEL=N%, repeated", text)
        if label in found:
            raise invalid("mix", "name a label once", f"{label} twice")
        found[label] = share(number, f"mix of {label}")
    if math.fsum(found.values()) > 1.0 + 1e-9:
        raise invalid("mix", "sum to 100 % at most", f"{100 * math.fsum(found.values()):g} %")
    return found


def shares_of(mix: Mix, names: Sequence[Hashable], rows: Indices | Float64s) -> Float64s:
    """Return the share of each group, shape (G,); they sum to 1.

    Parameters
    ----------
    mix : str or mapping
    names : sequence
        The labels of the groups.
    rows : float64 array of shape (G,)
        How much of the input each group is, in rows or in cost.
    """
    if isinstance(mix, str):
        if mix not in MIXES:
            raise invalid("mix", "be 'uniform', 'input' or a mapping from label to share", mix)
        parts = np.ones(len(names)) if mix == "uniform" else rows.astype(np.float64)
        return np.asarray(parts / parts.sum())
    if not isinstance(mix, Mapping):
        raise invalid("mix", "be 'uniform', 'input' or a mapping from label to share", mix)
    named = numbers_of(mix, names, "mix")
    found = np.zeros(len(names))
    found[named] = [share(value, f"mix of {label!r}") for label, value in mix.items()]
    rest = 1.0 - math.fsum(found.tolist())
    if rest < -1e-9:
        raise invalid("mix", "sum to 1 at most", float(found.sum()))
    others = np.ones(len(names), dtype=np.bool_)
    others[named] = False
    if rest > 1e-9 and rows[others].sum() > 0:
        found[others] = rest * rows[others] / rows[others].sum()
    return found / found.sum() if found.sum() > 0 else found


def by_shares(shares: Float64s, sizes: Indices, k: int) -> Indices:
    """Apportion k by shares (largest remainders, ties to the earlier group); no group gets more than its size.

    What a group cannot give goes to the others by their shares; where those with a share run out, to those without. The
    sum is k, at most that of the sizes.

    Examples
    --------
    >>> by_shares(np.array([0.5, 0.3, 0.2]), np.array([9, 9, 1]), 10).tolist()
    [6, 3, 1]
    """
    found = np.zeros(sizes.size, dtype=np.int64)
    left = min(k, int(sizes.sum()))
    weights = np.rint(np.asarray(shares) * UNITS).astype(object)
    while left:
        open_ = np.flatnonzero((found < sizes) & (weights > 0))
        if not open_.size:
            weights = (sizes - found).astype(object)
            continue
        gift = _largest_remainders(weights[open_], left)
        room = sizes[open_] - found[open_]
        if (gift <= room).all():
            found[open_] += gift
            break
        full = gift >= room
        found[open_[full]] = sizes[open_[full]]
        left -= int(room[full].sum())
    return found


def above_least(shares: Float64s, sizes: Indices, k: int, least: Indices) -> Indices:
    """Apportion k by shares, yet no group less than ``least``, which sums to k at most."""
    found = np.array(least, dtype=np.int64)
    others = np.arange(found.size)
    while others.size:
        given = by_shares(shares[others], sizes[others], k - int(found.sum() - found[others].sum()))
        enough = given >= found[others]
        if enough.all():
            found[others] = given
            break
        others = others[enough]
    return found


def _largest_remainders(weights: Any, k: int) -> Indices:
    """Apportion k in proportion to whole numbers of any size."""
    total = int(weights.sum())
    shares = np.array([int(weight) * k // total for weight in weights], dtype=np.int64)
    remainders = np.array([int(weight) * k % total for weight in weights], dtype=object)
    order = sorted(range(len(weights)), key=lambda at: (-remainders[at], at))
    shares[order[: k - int(shares.sum())]] += 1
    return shares


def money_by(rule: Any, costs: Float64s, budget: float) -> Float64s:
    """Return the budget divided by a rule for whole numbers, no group more than its items cost together.

    Parameters
    ----------
    rule : callable
        Apportions a whole number to sizes, such as :func:`ray_subsel.constraints.apportion.equal`.
    costs : float64 array of shape (G,)
        What the items of each group cost together.
    budget : float
    """
    unit = budget / UNITS
    sizes = np.minimum(np.floor(costs / unit), 2.0 * UNITS).astype(np.int64)
    return np.asarray(np.minimum(rule(sizes, min(UNITS, int(sizes.sum()))) * unit, costs))
