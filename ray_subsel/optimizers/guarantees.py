"""The warning that an optimizer gives when it is asked for something that its guarantee does not cover."""

from __future__ import annotations

import warnings

from ray_subsel.optimizers.base import Problem


class GuaranteeWarning(UserWarning):
    """The result is a feasible subset, but how close it is to the best one is not guaranteed."""


def warn_unless_submodular(problem: Problem, optimizer: str, consequence: str) -> None:
    """Warn where the objective's gains may grow."""
    f = problem.objective
    if not f.submodular:
        _warn(f"optimizer {optimizer!r} assumes gains that never grow, and those of {f.name!r} may: {consequence}.")


def warn_unless_monotone(problem: Problem, optimizer: str, guarantee: str) -> None:
    """Warn where gains may be negative."""
    f = problem.objective
    if not f.monotone:
        way = "Use optimizer='randomized' for a guarantee." if f.submodular else ""
        _warn(f"optimizer {optimizer!r} reaches {guarantee} for monotone functions only; {f.name!r} is not. {way}")


def warn_if_constrained(problem: Problem, optimizer: str, use: str) -> None:
    """Warn where quotas or costs, which are respected, void the guarantee."""
    if problem.groups is not None or problem.costs is not None:
        what = "quotas" if problem.costs is None else "costs"
        _warn(f"optimizer {optimizer!r} respects {what}, but has no guarantee under them. Use optimizer={use!r}.")


def _warn(text: str) -> None:
    warnings.warn(text.strip(), GuaranteeWarning, stacklevel=5)
