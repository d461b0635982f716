"""Take items in an order that does not depend on gains."""

from __future__ import annotations

from collections.abc import Iterable

from ray_subsel.core.types import Indices
from ray_subsel.optimizers.base import Picks, Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.lazy import Run


def started(problem: Problem) -> Run:
    """Return a run that holds the included items."""
    return Run.start(problem, FeasibleSet.of(problem))


def take_one(run: Run, item: int) -> bool:
    """Take an item that is open, unless its gain stops the run, and tell whether it was taken."""
    gain = run.problem.gain(run.state, item)
    stop = run.problem.stop_when_gain
    if stop is not None and gain <= stop:
        return False
    run.take(item, gain)
    return True


def take_in_turn(run: Run, order: Iterable[int] | Indices) -> Picks:
    """Take items in the order given, passing over those that quotas, costs or exclusion forbid."""
    for item in order:
        if run.feasible.exhausted or (run.feasible.open[item] and not take_one(run, int(item))):
            break
    return run.picks({})
