"""Word what an optimizer's guarantee does not cover; :meth:`Optimizer.caveats` returns it and ``select()`` warns of it.

An optimizer itself never warns: one that runs on a partition reports to no user.
"""

from __future__ import annotations

from ray_subsel.optimizers.base import Problem


class GuaranteeWarning(UserWarning):
    """The result is a feasible subset, but how close it is to the best one is not guaranteed."""


def unless_submodular(problem: Problem, optimizer: str, consequence: str) -> tuple[str, ...]:
    """Return a sentence where the objective's gains may grow."""
    f = problem.objective
    if f.submodular:
        return ()
    return (f"optimizer {optimizer!r} assumes gains that never grow, and those of {f.name!r} may: {consequence}.",)


def unless_monotone(problem: Problem, optimizer: str, guarantee: str) -> tuple[str, ...]:
    """Return a sentence where gains may be negative."""
    f = problem.objective
    if f.monotone:
        return ()
    way = " Use optimizer='randomized' for a guarantee." if f.submodular else ""
    return (f"optimizer {optimizer!r} reaches {guarantee} for monotone functions only; {f.name!r} is not.{way}",)


def if_constrained(problem: Problem, optimizer: str) -> tuple[str, ...]:
    """Return a sentence where quotas or costs, which are respected, void the guarantee."""
    if not problem.constraints.limited:
        return ()
    what, use = ("quotas", "quotas") if problem.constraints.budget is None else ("costs", "budgeted")
    return (f"optimizer {optimizer!r} respects {what}, but has no guarantee under them. Use optimizer={use!r}.",)
