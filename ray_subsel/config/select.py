"""Say what to choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray_subsel.config.options import check_choices, check_share, option
from ray_subsel.constraints.spec import APPORTIONED, ConstraintSpec
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import finite_number, whole_number
from ray_subsel.objectives import OBJECTIVES, Objective, find_objective
from ray_subsel.objectives.registry import representing, takers


@dataclass(frozen=True)
class SelectConfig:
    """What to choose."""

    k: int | None = option(None, "number of items to choose")
    fraction: float | None = option(None, "share of the rows to choose, in (0, 1]")
    objective: str = option("graph_cut", "what is maximized", known=tuple(OBJECTIVES))
    mode: str = option(
        "greedi",
        "greedi: partitions select, a reducer decides; exact: the centralized greedy's own picks, across partitions",
        choices=("greedi", "exact"),
    )
    partitions: int | None = option(
        None, "number of random partitions; 1 is exact centralized greedy; default: as few as memory allows"
    )
    fan_in: int | None = option(
        None, "partitions that one reducer takes in, more are reduced in a tree; default: as many as memory allows"
    )
    candidates: float = option(2.0, "c: each of m partitions hands ceil(c k / m) candidates to the reducer")
    lam: float | str = option(10.0, "lambda, the redundancy penalty: a number >= 0, or auto (= n/k - 2)")
    represented: int | None = option(
        None,
        f"{representing()}: represent a sample of so many items, the same for all partitions; default: "
        "facility_location represents all items, cluster by cluster, others 4 k and at least 10000",
    )
    represent: str = option(
        "sample",
        "what a partition represents while it chooses candidates for a sample: the sample, or its own items",
        choices=("sample", "own"),
    )
    near: float | None = option(
        None,
        "collapse near copies first: items whose cosine to an earlier one reaches this; 0.9 suits sentence encoders",
    )
    near_within: str | None = option(
        None,
        "with --near: join near copies of one label only; the column that --label or --group names",
        metavar="COLUMN",
        identity=False,  # part of the identity of the stage that collapses them, on which selection depends
    )
    quotas: tuple[str, ...] = option(
        (),
        "at most so many items of a group (--group, else --label): proportional, equal, or LABEL=N, repeated",
        flag="quota",
        metavar="QUOTA",
    )
    floors: tuple[str, ...] = option(
        (), "at least so many items: N of every group, or LABEL=N, repeated", flag="floor", metavar="FLOOR"
    )
    budget: float | None = option(
        None, "what the chosen items may cost together: in --cost COLUMN, else in words of their text"
    )
    include: str | None = option(
        None,
        "rows that must be chosen, ranked first: a text file with an id a line, or a Parquet file with a column id",
        metavar="FILE",
        identity=False,
    )
    exclude: str | None = option(
        None,
        "rows that must not be chosen, nor a copy of them; a file like that of --include",
        metavar="FILE",
        identity=False,
    )
    seed: int = option(0, "seed of the random partitions and of the sample")

    def __post_init__(self) -> None:
        check_choices(self)
        check_share(self, "near")
        if self.near_within is not None and self.near is None:
            raise invalid("near_within", "go with near", Verbatim("no --near"), "Give a cosine, say --near 0.9.")
        if self.k is not None and self.fraction is not None:
            raise invalid("k, fraction", "be given, exactly one of them", "both", "Use --k N or --fraction F.")
        if self.k is None and self.fraction is None and self.budget is None:
            raise invalid(
                "k, fraction", "be given, exactly one of them", "neither", "Use --k N, --fraction F or --budget X."
            )
        self._check_objective()
        self._check_limits()
        if self.k is not None:
            whole_number(self.k, "k", "be at least 1", least=1)
        if self.fraction is not None:
            way = "Use --k for a number of items."
            finite_number(self.fraction, "fraction", "lie in (0, 1]", way, above=0.0, most=1.0)
        if isinstance(self.lam, str):
            if self.lam != "auto":
                raise invalid("lam", "be a number >= 0 or auto", self.lam)
        else:
            finite_number(self.lam, "lam", "be a number >= 0 or auto", least=0.0)
        if self.partitions is not None and self.partitions < 1:
            raise invalid("partitions", "be at least 1", self.partitions)
        if self.fan_in is not None and self.fan_in < 2:
            raise invalid("fan_in", "be at least 2", self.fan_in)
        finite_number(self.candidates, "candidates", "be at least 1", least=1.0)

    @property
    def grouped(self) -> bool:
        """Whether groups matter."""
        return bool(self.quotas or self.floors)

    @property
    def limited(self) -> bool:
        """Whether anything but k limits what may be chosen."""
        return self.grouped or self.budget is not None or self.include is not None or self.exclude is not None

    @property
    def objective_class(self) -> type[Objective[Any]]:
        """The class that ``objective`` names."""
        return find_objective(self.objective)

    @property
    def by_clusters(self) -> bool:
        """Whether all items are represented, cluster by cluster, and not a sample of them."""
        return self.objective_class.clustered and self.represented is None and self.represent == "sample"

    def objective_of(self, n: int, k: int) -> Objective[Any]:
        """Return the objective with its options, for k of n items."""
        found = self.objective_class
        return found.of_options({name: getattr(self, name) for name in found.options}, n=n, k=k)

    def _check_objective(self) -> None:
        found = self.objective_class
        if self.lam != 10.0 and "lam" not in found.options:
            raise invalid(
                "lam", f"be left out unless objective is {takers('lam')}", self.lam, "Others have no penalty."
            )
        if self.lam == "auto" and self.k is None and self.fraction is None:
            raise invalid("lam", "be a number where a budget decides how many are chosen", self.lam, "Give --k too.")
        if self.represented is not None and not found.needs_reference:
            raise invalid("represented", f"go with {representing()}", self.objective, "Others represent nothing.")
        if self.represent != "sample" and not found.needs_reference:
            raise invalid("represent", f"go with {representing()}", self.objective)
        if self.represented is not None and self.represented < 1:
            raise invalid("represented", "be at least 1", self.represented)
        if self.mode == "exact" and not found.exact_over_partitions:
            exact = " or ".join(name for name, known in OBJECTIVES.items() if known.exact_over_partitions)
            raise invalid("mode", f"be greedi unless objective is {exact}", self.mode, "Leave --mode out.")

    def _check_limits(self) -> None:
        ConstraintSpec.parse(self.quotas, self.floors, self.budget)
        if self.budget is not None:
            finite_number(self.budget, "budget", "be a finite number above 0", above=0.0)
        if self.floors and self.budget is not None:
            raise invalid("floor", "not be combined with a budget", "both", "Use --quota, or leave one out.")
        if set(self.quotas) & set(APPORTIONED) and self.k is None and self.fraction is None:
            raise invalid(
                "quota", "be LABEL=N where a budget decides how many are chosen", self.quotas[0], "Or give --k."
            )
        if self.mode == "exact" and self.limited:
            way = "Use --mode greedi, with --partitions 1 for one exact greedy."
            raise invalid("mode", "be greedi with quotas, floors, a budget, include or exclude", self.mode, way)
