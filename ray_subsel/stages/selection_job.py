"""Describe a selection before it runs and its outcome after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ray_subsel.config import SelectConfig
from ray_subsel.constraints.base import UNLIMITED, Constraints
from ray_subsel.core.items import ItemBatch
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives.scaled import ScaledObjective
from ray_subsel.objectives.target import TargetOf
from ray_subsel.optimizers.speculative.upper_bound import Certificate
from ray_subsel.partitioned.greedi import GreediResult
from ray_subsel.partitioned.reduction_tree import Tree, grow_tree, two_rounds
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.stages.resolve_constraints import PartitionedConstraints
from ray_subsel.stages.sampling import scale_objective
from ray_subsel.storage.embedding_store import EmbeddingStore

FOLDER = "candidates"
HINT = "Give it more memory or more --partitions"
"""Where a worker of this stage is lost again and again."""


@dataclass(frozen=True)
class SelectionJob:
    """What selection is about to do, once the ground set is known.

    Attributes
    ----------
    n, d, k, m : int
        Ground set, dimension, number to choose, partitions. Where costs limit the answer, k is a bound.
    objective : ScaledObjective
        What is maximized.
    n_candidates : int
        The most candidates that a partition hands over.
    total : float64 array of shape (d,)
        t, the sum of all unit vectors.
    seed : int
        Of the random partition.
    tree : Tree
        Who reduces what.
    constraints : PartitionedConstraints or None
        Whatever else than k limits the answer.
    policy : Policy
    """

    n: int
    d: int
    k: int
    m: int
    objective: ScaledObjective
    n_candidates: int
    total: Float64s
    seed: int
    tree: Tree
    constraints: PartitionedConstraints | None = None
    policy: Policy = DEFAULT_POLICY

    @property
    def given(self) -> ItemBatch | None:
        """Items that must be chosen."""
        return None if self.constraints is None else self.constraints.given

    def with_given(self, function: Callable[[ItemBatch], ItemBatch]) -> SelectionJob:
        """Return the job with more known of the items that must be chosen."""
        if self.constraints is None:
            return self
        return replace(self, constraints=replace(self.constraints, given=function(self.constraints.given)))

    @property
    def whole(self) -> Constraints:
        """The constraints of the whole problem."""
        return UNLIMITED if self.constraints is None else self.constraints.constraints

    @property
    def in_process(self) -> bool:
        """Whether this process does it all: it is done before a worker has started."""
        return self.policy.is_small(self.n, self.d)


@dataclass(frozen=True)
class SelectionOutcome:
    """The outcome of selection and what it is worth.

    Attributes
    ----------
    job : SelectionJob
    result : GreediResult
    random_value : float
        f of as many random items: expected, or where there is no formula for it of one draw.
    centralized_value : float or None
        f of the exact greedy on the whole ground set, where that was computed.
    rounds : int
        Of GreeDi, one after the other; in mode exact those of the exact greedy.
    peak_bytes : int or None
        The largest resident memory of any process that selected.
    certificate : Certificate or None
        How far the answer can be from the best subset, where :class:`Policy` says so.
    """

    job: SelectionJob
    result: GreediResult
    random_value: float
    centralized_value: float | None
    rounds: int = 1
    peak_bytes: int | None = None
    certificate: Certificate | None = None

    @property
    def published(self) -> Indices:
        """The chosen row ids: an item that had to be chosen is published as the row that was named."""
        constraints = self.job.constraints
        if constraints is None:
            return self.result.ids
        return np.concatenate((constraints.asked, self.result.ids[len(constraints.asked) :]))

    @property
    def lift_over_random(self) -> float | None:
        """Return (f - E f(random)) / |E f(random)|: above 0 is better than random; None where that is 0."""
        if self.random_value == 0:
            return None
        return (self.result.value - self.random_value) / abs(self.random_value)

    @property
    def share_of_centralized(self) -> float | None:
        """Return f over centralized greedy's f; None where that was not computed or is not above 0."""
        if self.centralized_value is None or self.centralized_value <= 0:
            return None
        return self.result.value / self.centralized_value

    @property
    def share_of_centralized_lift(self) -> float | None:
        """Return how far f has come from random's expectation toward centralized greedy's f; 1 is all the way.

        The figure to read where f is negative, which it is for large k, and a plain ratio says nothing.
        """
        if self.centralized_value is None or self.centralized_value == self.random_value:
            return None
        return (self.result.value - self.random_value) / (self.centralized_value - self.random_value)


def plan_selection(
    store: EmbeddingStore,
    config: SelectConfig,
    k: int,
    constraints: PartitionedConstraints | None = None,
    policy: Policy = DEFAULT_POLICY,
    target_of: TargetOf | None = None,
) -> SelectionJob:
    """Reduce what the shards know of themselves to t, what is maximized and the sizes of the partitions."""
    m, n, total = store.partitions, store.n, store.total()
    here = policy.is_small(n, store.d)
    objective = scale_objective(store, config, k=k, total=total, in_process=here, target_of=target_of)
    fan_in = max(2, m) if config.fan_in is None else config.fan_in
    k = k if constraints is None else constraints.k
    if constraints is None or m == 1:
        tree = grow_tree(store.partition_sizes, k=k, c=config.candidates, fan_in=fan_in)
    elif constraints.shares is None:
        tree = grow_tree(constraints.available, k=constraints.k_beside_given, c=config.candidates, fan_in=fan_in)
    else:
        tree = two_rounds(constraints.available, [share.k for share in constraints.shares], k=k)
    n_candidates = max(node.n_candidates for node in tree.levels[0])
    return SelectionJob(n, len(total), k, m, objective, n_candidates, total, config.seed, tree, constraints, policy)
