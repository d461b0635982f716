r"""Cut a ranking into disjoint stages of given sizes, as a curriculum takes one after the other.

Stage s of sizes n_1, n_2, ... has the ranks r with

.. math:: n_1 + \dots + n_{s-1} \le r < n_1 + \dots + n_s

Of a budget, sizes are costs: an item is of the first stage s by which n_1 + ... + n_s pays for all items up to it.
So stages share no item, and the first s of them are a prefix of the ranking: what greedy chooses for that many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from ray_subsel.constraints.spending import Number, Spending, read
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import FORMS, finite_number, number_of_text, whole_number
from ray_subsel.core.types import Indices

SIZES = "be sizes above 0 with commas between them, such as 20k,40k,100k"


def sizes_of_text(text: str) -> tuple[Number, ...]:
    """Return the sizes that a flag's text means; raises ValueError.

    Examples
    --------
    >>> sizes_of_text("20k,40,0.5")
    (20000, 40, 0.5)
    """
    found = []
    for part in text.split(","):
        number = number_of_text(part, whole=True)
        number = number_of_text(part) if number is None else number
        if number is None:
            raise ValueError(f"must {SIZES}, each {FORMS}; got {text!r}")
        found.append(number)
    return tuple(found)


def check_sizes(sizes: Sequence[Number], k: int | None, fraction: float | None, budget: float | None) -> int | None:
    """Return k where stages are numbers of items: their sum; None where they are shares of a budget.

    Parameters
    ----------
    sizes : sequence of numbers
    k, fraction, budget : numbers, optional
        What else was said of how much is chosen.

    Raises
    ------
    InputError
        For sizes that are no numbers above 0, and where k or the budget is not their sum.
    """
    if fraction is not None:
        raise invalid("fraction", "be left out with stages", fraction, "The sizes of the stages say how many.")
    if k is None and budget is not None:
        for size in sizes:
            finite_number(size, "stages", SIZES, above=0.0)
        total = float(sum(map(read, sizes)))
        if total != float(budget):
            must = f"sum to the budget, {budget:,.10g}, where it alone decides"
            raise invalid("stages", must, Verbatim(f"{total:,.10g}"), "Give --k too where stages are numbers of rows.")
        return None
    total_items = sum(whole_number(size, "stages", "be whole numbers of items", least=1) for size in sizes)
    if k not in (None, total_items):
        raise invalid("k", f"be left out with stages, or be their sum, {total_items:,}", k)
    return total_items


def stages_of_ranks(ranks: Indices, sizes: Sequence[Number]) -> Indices:
    """Return the stage of each rank, counted from 1; those behind the last size are of the last stage.

    Examples
    --------
    >>> stages_of_ranks(np.arange(6), (1, 3, 2)).tolist()
    [1, 2, 2, 2, 3, 3]
    """
    ends = np.cumsum(np.array(sizes, dtype=np.int64))[:-1]
    return (1 + np.searchsorted(ends, ranks, side="right")).astype(np.int64)


def stages_of_costs(costs: Sequence[Number], sizes: Sequence[Number]) -> Indices:
    """Return the stage of each item of a ranking by its cost, counted from 1; sums are those of budgets.

    Examples
    --------
    >>> stages_of_costs([3, 3, 5, 1], (5, 7)).tolist(), stages_of_costs([0.1] * 6, (0.3, 0.3)).tolist()
    ([1, 2, 2, 2], [1, 1, 1, 2, 2, 2])
    """
    bounds = [float(total) for total in accumulate(map(read, sizes))]
    stage, spent, found = 0, Spending(bounds[0]), []
    for cost in costs:
        spent = spent.plus([cost])
        while stage < len(bounds) - 1 and not spent.fits:
            stage += 1
            spent = replace(spent, budget=bounds[stage])
        found.append(stage + 1)
    return np.array(found, dtype=np.int64)


def short_stages(counts: Sequence[int], sizes: Sequence[Number]) -> list[str]:
    """Return a sentence for each stage that has fewer items than were asked for."""
    return [
        f"stage {number} has {count:,} items of {size:,}: no more were chosen"
        for number, (count, size) in enumerate(zip(counts, sizes, strict=True), start=1)
        if count < size
    ]
