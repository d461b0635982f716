"""Define what every set function offers: state, gains, value, and what the rest of the package asks about it.

An objective is a frozen set of parameters. Bound to vectors by :meth:`Objective.init` it yields a *state*, the value
of the empty set; :meth:`Objective.add` returns the state of a set with one more item and leaves the old one as it was.

Properties, tested for every objective in ``tests/objectives/``:

- ``value(init(X)) == 0``;
- ``gains(state)[i] == value(add(state, i)) - value(state)`` for every i outside the set;
- ``value(state) == evaluate(X, subset)``, the formula written down a second time, without any state;
- where ``submodular`` is true, no gain grows when the set grows; where ``monotone`` is true, no gain is negative.

What the rest of the package asks about an objective, it asks here: its options, its words, the sample that it needs,
what it does at the scale of a partition, its memory and time. So a new objective is a file and a line in the registry.

Letters: n ground set, d dimension, k number to choose, S chosen set, r size of the reference sample.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.objectives.dense_gains import DenseGains
from ray_subsel.objectives.scaled import ScaledObjective, Unscaled
from ray_subsel.objectives.target import Target

S = TypeVar("S")
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class ProblemSize:
    """Sizes from which an objective tells its memory and its time.

    Attributes
    ----------
    items : int
        To choose from, in one process.
    picks : int
        To choose of them.
    d : int
    reference : int
        Items of the reference sample; 0 for an objective that needs none.
    represented : int
        Items that are represented in this process: those of the sample, or the partition's own.
    constrained : bool
        Whether quotas, floors or a budget limit the answer.
    """

    items: int
    picks: int
    d: int
    reference: int = 0
    represented: int = 0
    constrained: bool = False


@dataclass(frozen=True, eq=False)
class GroundSummary:
    """What is known everywhere of a ground set that no process holds.

    Attributes
    ----------
    total : float64 array of shape (d,)
        t, the sum of its unit vectors.
    reference : float32 array of shape (r, d) or None
        Unit vectors of a random sample, where :attr:`Objective.needs_reference`.
    statistics : float64 array or None
        The sum of :meth:`Objective.reference_statistics` over the ground set, where that is defined.
    own : bool
        Whether a partition represents its own items in round 1 instead of the sample.
    target : Target or None
        What the chosen items shall resemble, as the sample (or the ground set) counts it.
    """

    total: Float64s
    reference: Vectors | None = None
    statistics: Float64s | None = None
    own: bool = False
    target: Target | None = None


class CandidatePool(abc.ABC):
    """Some candidates, held so that bounds of all their gains cost little at every pick."""

    exact: bool = False
    """Whether :meth:`bounds` is the gains."""

    @abc.abstractmethod
    def bounds(self, state: Any) -> Float64s:
        """Return numbers that no candidate's gain exceeds, shape (b,)."""

    @abc.abstractmethod
    def gains(self, state: Any, which: Indices) -> Float64s:
        """Return the gains of those at some places of the pool, bit by bit those of :meth:`Objective.gains`."""

    def some(self, which: Indices) -> CandidatePool | None:
        """Return those at some places of the pool as a pool whose bounds are gains; None where that saves nothing."""
        del which
        return None


@dataclass(frozen=True, eq=False)
class RowsInPlace(CandidatePool):
    """Candidates whose vectors stay where they are: bounds of all items are computed for theirs.

    Attributes
    ----------
    objective : Objective
    ids : int64 array of shape (b,)
    exact : bool
        Whether the objective's cheap bounds are its gains.
    """

    objective: Objective[Any]
    ids: Indices
    exact: bool = False

    def bounds(self, state: Any) -> Float64s:
        """Return the cheap bounds of the candidates."""
        bounds = self.objective.cheap_bounds(state)
        assert bounds is not None
        return np.asarray(bounds[self.ids])

    def gains(self, state: Any, which: Indices) -> Float64s:
        """Return the gains of some of the candidates."""
        return self.objective.gains(state, self.ids[which])


class Objective(abc.ABC, Generic[S]):
    """A set function f over the rows of X. Subclasses are final frozen dataclasses that hold parameters only."""

    name: ClassVar[str]
    """The name by which :func:`ray_subsel.select` and the command line know it."""
    label: ClassVar[str] = ""
    """The name in reports; by default :attr:`name`."""
    submodular: ClassVar[bool] = False
    monotone: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ()
    """Fields of the configuration that :meth:`of_options` reads, beside those about the reference sample."""
    needs_reference: ClassVar[bool] = False
    """Whether it wants items represented: over partitions, a random sample of the ground set."""
    clustered: ClassVar[bool] = False
    """Whether it may be maximized by clusters, each of which represents itself, instead of by a sample."""
    needs_statistics: ClassVar[bool] = False
    """Whether :meth:`reference_statistics` is to be summed over the ground set."""
    exact_over_partitions: ClassVar[bool] = False
    """Whether mode exact, the centralized greedy over partitions, can be had."""
    has_certificate: ClassVar[bool] = False
    """Whether an answer can be compared with an upper bound, which is made for graph cut."""

    takes_target: ClassVar[bool] = False
    """Whether :meth:`with_target` is defined."""
    takes_sparse: ClassVar[bool] = False
    """Whether :meth:`init` takes scipy sparse matrices and arrays."""
    rounding: ClassVar[float] = 0.0
    """Gains that differ by less than this times the larger of gain and :meth:`unit` are ties. Zero where gains do not
    depend on how they were grouped; above it where matrix products may round equal items differently."""
    loose_bounds: ClassVar[bool] = False
    """Whether :meth:`bounds` is something else than :meth:`gains`."""

    @abc.abstractmethod
    def init(self, X: Floats) -> S:
        """Return the state of the empty set over the rows of X, shape (n, d)."""

    @abc.abstractmethod
    def gains(self, state: S, candidates: Indices | None = None) -> Float64s:
        """Return f(S + i) - f(S) for each candidate i (all n by default), shape (len(candidates),).

        What is returned for an item already in S is not specified; optimizers never ask.
        """

    def bounds(self, state: S, candidates: Indices | None = None) -> Float64s:
        """Return numbers that no gain exceeds, shape (len(candidates),): the gains, unless there is a cheaper way.

        Lazy optimizers rank by bounds and ask for the gains of the few items at the top only.
        """
        return self.gains(state, candidates)

    def dense_gains(self, X: Floats, picks: int = 1) -> DenseGains | None:
        """Return gains that are kept up in memory, or None: there are none, or memory is not to be used for them.

        ``picks`` is about how many items will be chosen; it changes the time it takes and nothing else.
        """
        del X, picks
        return None

    def cheap_bounds(self, state: S) -> Float64s | None:
        """Return looser bounds of all n gains at a small fraction of their cost, or None: there are none."""
        return None

    def pool(self, state: S, ids: Indices) -> CandidatePool | None:
        """Return some candidates as a pool, or None: there is none. One that has it has :meth:`cheap_bounds` too."""
        del state, ids
        return None

    def unit(self, state: S) -> float:
        """Return the size of what gains are sums of: below :attr:`rounding` times it, rounding is all there is."""
        del state
        return 1.0

    @abc.abstractmethod
    def add(self, state: S, item: int) -> S:
        """Return the state of S + item."""

    @abc.abstractmethod
    def value(self, state: S) -> float:
        """Return f(S)."""

    @abc.abstractmethod
    def evaluate(self, X: Floats, subset: Indices) -> float:
        """Return f(subset) straight from the formula: the oracle of the tests and of reports."""

    @classmethod
    def of_options(cls, options: Mapping[str, Any], *, n: int, k: int) -> Objective[Any]:
        """Return the objective that a configuration asks for.

        Parameters
        ----------
        options : mapping
            The values of :attr:`options`.
        n, k : int
            Ground set and number to choose.
        """
        del options, n, k
        return cls()

    @classmethod
    def check_input(cls, *, embedded: bool) -> None:
        """Raise InputError for vectors that the objective cannot take.

        Parameters
        ----------
        embedded : bool
            Whether the vectors are an embedder's; else the user brings them.
        """

    def weighted(self, X: Any, weights: Indices) -> Objective[S] | None:
        """Return the objective in which each row of X counts as many items; None where it cannot count rows."""
        del X, weights
        return None

    def with_target(self, X: Any, target: Target) -> Objective[Any]:
        """Return the objective drawn to a target; defined where ``takes_target``."""
        raise NotImplementedError(f"{type(self).__name__} has takes_target without with_target")

    def represented_items(self, n: int) -> int:
        """Return how many items it represents of a ground set of n, by which a target is scaled."""
        return n

    @property
    def relevance_weight(self) -> float:
        """What an item's greatest similarity to the target's queries is multiplied with and added when it is chosen."""
        return 0.0

    def of_items(self, ids: Indices) -> Objective[Any]:
        """Return the function of some items alone, by whose ids a target's queries are found; itself without one."""
        del ids
        return self

    def cluster_items(self, n: int) -> int | None:
        """Return the items of a usual cluster, where n are too many for one block and f is maximized by clusters.

        None: it is not. Only a function of items that represent each other may be
        (:mod:`ray_subsel.partitioned.by_clusters`).
        """
        del n
        return None

    def reference_statistics(self, reference: Vectors, rows: Vectors) -> Float64s:
        """Return what the objective must know of some rows of the ground set; it is summed over all of them."""
        raise NotImplementedError(f"{type(self).__name__} has needs_statistics without reference_statistics")

    def scaled(self, ground: GroundSummary) -> ScaledObjective:
        """Return what is maximized where no process holds the ground set.

        The default fits a function of the chosen items alone. One whose value depends on the other rows too must say
        here what a partition and a reducer see of them.
        """
        del ground
        return Unscaled(self)

    def memory_bytes(self, size: ProblemSize) -> int:
        """Return about what it takes beside the vectors, in a process that makes some picks from some items."""
        del size
        return 0

    def rounds(self, size: ProblemSize) -> float:
        """Return about how many rounds mode exact takes: by default one a pick."""
        return float(size.picks)

    def multiplications(self, size: ProblemSize) -> float:
        """Return about how many the greedy takes: by default a pass over the vectors a pick."""
        return float(size.items) * size.picks * size.d

    def seconds(self, size: ProblemSize) -> float:
        """Return about how long the greedy takes on one CPU, the vectors being in memory.

        By default a pass over the vectors a pick, at 4 GFlop/s.
        """
        return 2.0 * float(size.items) * size.picks * size.d / 4e9

    def exact_seconds(self, size: ProblemSize, processes: int) -> float:
        """Return about how long mode exact takes over some processes, the vectors being in memory.

        By default the greedy's work is divided among them.
        """
        return self.seconds(size) / processes
