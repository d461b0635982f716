"""Hold the constraints of one problem: quotas, floors, a budget."""

from __future__ import annotations

from dataclasses import dataclass

from ray_subsel.core.types import Indices


@dataclass(frozen=True, eq=False)
class Constraints:
    """Limits of one problem.

    Attributes
    ----------
    quotas, floors : int64 arrays of shape (G,) or None
        At most, and at least, so many items of each group.
    budget : float or None
        The chosen items' costs may not exceed it.
    """

    quotas: Indices | None = None
    floors: Indices | None = None
    budget: float | None = None

    @property
    def grouped(self) -> bool:
        """Whether groups matter."""
        return self.quotas is not None or self.floors is not None


FREE = Constraints()
