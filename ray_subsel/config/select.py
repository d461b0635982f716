"""Say what to choose."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ray_subsel.config.options import check_choices, check_share, number_or, option
from ray_subsel.config.recipe import NOTHING, PAPER_LAM, RECIPES, Asked, objective_of
from ray_subsel.constraints.spec import ConstraintSpec
from ray_subsel.constraints.spending import Number
from ray_subsel.constraints.staging import check_sizes, sizes_of_text
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import finite_number, whole_number
from ray_subsel.objectives import OBJECTIVES, Objective, find_objective
from ray_subsel.objectives.quality import WEIGHT as QUALITY_WEIGHT
from ray_subsel.objectives.quality import weight_of
from ray_subsel.objectives.registry import representing, takers
from ray_subsel.objectives.target import WEIGHT as TARGET_WEIGHT
from ray_subsel.objectives.target import share_of


@dataclass(frozen=True)
class SelectConfig:
    """What to choose. What is None is decided by ``recipe`` (:mod:`ray_subsel.config.settle`)."""

    k: int | None = option(None, "number of items to choose")
    fraction: float | None = option(None, "share of the rows to choose, in (0, 1]")
    recipe: str = option(
        "auto",
        "decides what flags leave open; auto by what the data has, paper as the report (graph cut, lambda = 10, all "
        "copies kept), none nothing (graph cut, near copies kept)",
        choices=RECIPES,
        identity=False,  # what it decides is
    )
    objective: str | None = option(
        None, "what is maximized; default: as --recipe decides, facility_location", known=tuple(OBJECTIVES)
    )
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
    lam: float | str | None = option(
        None,
        "lambda, graph cut's redundancy penalty: a number >= 0, or auto (= n/k - 2); default: 10; given, it makes "
        "graph cut the objective",
        parse=number_or("auto", "a number >= 0"),
        metavar="L",
    )
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
    near: float | str | None = option(
        None,
        "collapse near copies first; items whose cosine to an earlier one reaches this; 0.9 suits sentence encoders; "
        "none keeps them; default: as --recipe decides, by the encoder",
        parse=number_or(NOTHING, "a cosine in (0, 1]"),
        metavar="X",
    )
    near_within: str | None = option(
        None,
        "with --near: join near copies of one label only; the column that --label or --group names",
        metavar="COLUMN",
        identity=False,  # part of the identity of the stage that collapses them, on which selection depends
    )
    quotas: tuple[str, ...] = option(
        (),
        "at most so many items of a group; of --group, else --label: balanced, proportional, equal, none, or LABEL=N "
        "or LABEL=N%%, repeated; default: as --recipe decides, balanced where --label names classes",
        flag="quota",
        metavar="QUOTA",
    )
    floors: tuple[str, ...] = option(
        (),
        "at least so many items of a group; N of every one, or LABEL=N, repeated; N%% is a share of k, or of a budget "
        "alone",
        flag="floor",
        metavar="FLOOR",
    )
    mix: tuple[str, ...] = option(
        (),
        "the share of each group (--group, else --label) in what is chosen: LABEL=N%%, repeated, others dividing the "
        "rest as the input does; uniform; input; or like:FILE, as the rows of another file; of k, or of a budget alone",
        metavar="MIX",
        later=True,
    )
    budget: float | None = option(
        None,
        "what the chosen items may cost together, such as 200k; in --cost COLUMN, else in words of their text",
    )
    include: str | None = option(
        None,
        "rows that must be chosen, ranked first; a text file with an id a line, or a Parquet file with a column id",
        metavar="FILE",
        identity=False,
    )
    exclude: str | None = option(
        None,
        "rows that must not be chosen, nor a copy of them; a file like that of --include",
        metavar="FILE",
        identity=False,
    )
    per: str | None = option(
        None,
        "select in each group of this column on its own; --k N or --fraction F of each, all else within a group",
        metavar="COLUMN",
        later=True,
    )
    stages: tuple[Number, ...] = option(
        (),
        "cut what is chosen into stages of these sizes, by rank; disjoint: the first 20k rows, the next 40k, the next "
        "100k; in the place of --k, which is their sum; of --budget alone sizes are costs",
        parse=sizes_of_text,
        metavar="N,N,...",
        later=True,
    )
    target: str | None = option(
        None,
        "facility_location and graph_cut: choose for these queries, a file of texts (or vectors) like the data's",
        metavar="FILE",
        identity=False,  # what it holds is the stage's that embeds it, on which selection depends
    )
    target_weight: float | None = option(
        None,
        "with --target: how much it counts beside the coverage of the data, in (0, 1]; 1: alone; default: "
        f"{TARGET_WEIGHT:g}",
        later=True,
    )
    quality_weight: float | None = option(
        None,
        "with --quality: how much the best score adds more than the worst, in average picks; default: "
        f"{QUALITY_WEIGHT:g}",
        later=True,
    )
    to: tuple[str, ...] = option(
        (),
        "form of the subset beside subset.parquet: jsonl (subset.jsonl: JSON as it was written), hf (subset/, a folder "
        "that datasets.load_from_disk opens); repeat for several",
        choices=("parquet", "jsonl", "hf"),
        identity=False,
    )
    seed: int = option(0, "seed of the random partitions and of the sample")

    def __post_init__(self) -> None:
        check_choices(self)
        self._check_near()
        if self.stages:
            object.__setattr__(self, "k", check_sizes(self.stages, self.k, self.fraction, self.budget))
        if self.k is not None and self.fraction is not None:
            raise invalid("k, fraction", "be given, exactly one of them", "both", "Use --k N or --fraction F.")
        if self.k is None and self.fraction is None and self.budget is None:
            raise invalid(
                "k, fraction", "be given, exactly one of them", "neither", "Use --k N, --fraction F or --budget X."
            )
        self._check_objective()
        self._check_limits()
        self._check_aims()
        self._check_per()
        if self.k is not None:
            whole_number(self.k, "k", "be at least 1", least=1)
        if self.fraction is not None:
            way = "Use --k for a number of items."
            finite_number(self.fraction, "fraction", "lie in (0, 1]", way, above=0.0, most=1.0)
        if self.partitions is not None and self.partitions < 1:
            raise invalid("partitions", "be at least 1", self.partitions)
        if self.fan_in is not None and self.fan_in < 2:
            raise invalid("fan_in", "be at least 2", self.fan_in)
        finite_number(self.candidates, "candidates", "be at least 1", least=1.0)

    def _state(self) -> None:
        """State what no recipe decides."""
        stated = {
            "objective": self.objective_name,
            "lam": PAPER_LAM if self.lam is None else self.lam,
            "near": self.near_threshold,
            "quotas": () if self.quotas == (NOTHING,) else self.quotas,
        }
        for name, value in stated.items():
            object.__setattr__(self, name, value)

    @property
    def asked(self) -> Asked:
        """What was said of what a recipe decides."""
        mine = "lam" if self.lam is not None else "mode exact" if self.mode == "exact" else ""
        return Asked(
            objective=self.objective,
            near=self.near,
            graph_cut=mine,
            limits=self.grouped or self.quotas == (NOTHING,),
            counted=self.counted,
            exact=self.mode == "exact",
            target=self.target is not None,
        )

    @property
    def objective_name(self) -> str:
        """The objective: the one asked for, or what the recipe decides."""
        return objective_of(self.recipe, self.asked)

    @property
    def near_threshold(self) -> float | None:
        """The cosine from which near copies are collapsed, where one is stated."""
        return None if self.near is None or self.near == NOTHING else float(self.near)

    @property
    def grouped(self) -> bool:
        """Whether groups matter."""
        return bool((self.quotas and self.quotas != (NOTHING,)) or self.floors or self.mix)

    @property
    def counted(self) -> bool:
        """Whether the number of items is asked for, and not a budget alone."""
        return self.k is not None or self.fraction is not None

    @property
    def limited(self) -> bool:
        """Whether anything but k limits what may be chosen."""
        return self.grouped or self.budget is not None or self.include is not None or self.exclude is not None

    @property
    def objective_class(self) -> type[Objective[Any]]:
        """The class of the objective."""
        return find_objective(self.objective_name)

    @property
    def by_clusters(self) -> bool:
        """Whether all items are represented, cluster by cluster, and not a sample of them."""
        return self.objective_class.clustered and self.represented is None and self.represent == "sample"

    def objective_of(self, n: int, k: int) -> Objective[Any]:
        """Return the objective with its options, for k of n items."""
        found = self.objective_class
        options = {name: getattr(self, name) for name in found.options}
        if options.get("lam", 0.0) is None:
            options["lam"] = PAPER_LAM
        return found.of_options(options, n=n, k=k)

    def _check_near(self) -> None:
        if self.near != NOTHING:
            if isinstance(self.near, str):
                raise invalid("near", f"be a cosine in (0, 1] or {NOTHING}", self.near)
            check_share(self, "near")
        if self.recipe == "none":
            self._state()
        open_yet = self.near is None and self.recipe == "auto"
        if self.near_within is not None and self.near_threshold is None and not open_yet:
            raise invalid("near_within", "go with near", Verbatim("no --near"), "Give a cosine, say --near 0.9.")

    def _check_lam(self) -> None:
        if isinstance(self.lam, str):
            if self.lam != "auto":
                raise invalid("lam", "be a number >= 0 or auto", self.lam)
        elif self.lam is not None:
            finite_number(self.lam, "lam", "be a number >= 0 or auto", least=0.0)

    def _check_objective(self) -> None:
        self._check_lam()
        found = self.objective_class
        stated = self.lam is not None and (self.recipe != "none" or self.lam != PAPER_LAM)
        if stated and "lam" not in found.options:
            raise invalid(
                "lam", f"be left out unless objective is {takers('lam')}", self.lam, "Others have no penalty."
            )
        if self.lam == "auto" and self.k is None and self.fraction is None:
            raise invalid("lam", "be a number where a budget decides how many are chosen", self.lam, "Give --k too.")
        if self.represented is not None and not found.needs_reference:
            raise invalid("represented", f"go with {representing()}", found.name, "Others represent nothing.")
        if self.represent != "sample" and not found.needs_reference:
            raise invalid("represent", f"go with {representing()}", found.name)
        if self.represented is not None and self.represented < 1:
            raise invalid("represented", "be at least 1", self.represented)
        if self.mode == "exact" and not found.exact_over_partitions:
            exact = " or ".join(name for name, known in OBJECTIVES.items() if known.exact_over_partitions)
            raise invalid("mode", f"be greedi unless objective is {exact}", self.mode, "Leave --mode out.")

    def _check_per(self) -> None:
        if self.per is None:
            return
        idle = ("mode", "partitions", "fan_in", "candidates", "represented", "represent", "target")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name in idle:
            if getattr(self, name) != defaults[name]:
                raise invalid(name, "be left out with per", getattr(self, name), "A group is chosen from as a whole.")
        if self.stages and not self.counted:
            way = "Give --k too, their sum: stages are then numbers of rows of each group."
            raise invalid("stages", "be numbers of rows with per", Verbatim("those of a budget"), way)

    def _check_aims(self) -> None:
        if self.quality_weight is not None:
            weight_of(self.quality_weight)
        if self.target_weight is not None:
            share_of(self.target_weight)
            if self.target is None:
                raise invalid("target_weight", "go with target", Verbatim("no --target"), "Use --target FILE.")
        if self.target is None:
            return
        if not self.objective_class.takes_target:
            able = " or ".join(name for name, known in OBJECTIVES.items() if known.takes_target)
            raise invalid("target", f"go with objective {able}", self.objective_name)
        if self.represent == "own":
            raise invalid("represent", "be sample with a target", self.represent, "Leave --represent out.")

    def _check_limits(self) -> None:
        ConstraintSpec.parse(() if self.quotas == (NOTHING,) else self.quotas, self.floors, self.budget, self.mix)
        if self.budget is not None:
            finite_number(self.budget, "budget", "be a finite number above 0", above=0.0)
        if self.mode == "exact" and self.limited:
            way = "Use --mode greedi, with --partitions 1 for one exact greedy."
            raise invalid("mode", "be greedi with quotas, floors, a mix, a budget, include or exclude", self.mode, way)
