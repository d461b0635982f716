"""Hold what :func:`ray_subsel.select` is asked, as it was given."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import ArrayLike

from ray_subsel.constraints.mix import Mix
from ray_subsel.objectives import Objective
from ray_subsel.optimizers import Optimizer
from ray_subsel.optimizers.base import Progress


@dataclass(frozen=True, eq=False)
class Arguments:
    """The arguments of :func:`ray_subsel.select`, which describes them. Nothing is checked yet."""

    X: Any
    k: int | None
    fraction: float | None
    recipe: Literal["auto", "paper", "none"]
    labels: ArrayLike | None
    objective: str | Objective[Any] | None
    lam: float | Literal["auto"] | None
    optimizer: str | Optimizer
    include: ArrayLike
    exclude: ArrayLike
    stop_when_gain: float | None
    utility: ArrayLike | None
    multiplicity: ArrayLike | None
    groups: ArrayLike | None
    quotas: str | Mapping[Hashable, Any] | ArrayLike | None
    floors: int | str | Mapping[Hashable, Any] | ArrayLike | None
    mix: Mix | None
    costs: ArrayLike | None
    budget: float | None
    near: float | Literal["none"] | None
    near_within: ArrayLike | None
    near_weights: bool
    against: Any
    against_near: float | None
    target: Any
    target_weight: float | None
    quality: ArrayLike | None
    quality_weight: float | None
    per: ArrayLike | None
    keep_best: ArrayLike | None
    drop_label_noise: float | None
    drop_outliers: float | None
    seed: int
    certificate: bool
    progress: Progress | bool

    def by_name(self) -> dict[str, Any]:
        """Return all but X, by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "X"}
