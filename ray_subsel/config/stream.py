"""Say how rows are selected while they arrive."""

from __future__ import annotations

from dataclasses import dataclass

from ray_subsel.config.options import check_choices, check_positive, option
from ray_subsel.constraints.spec import parse_counts
from ray_subsel.core.errors import invalid
from ray_subsel.objectives import GraphCut, LogDeterminant
from ray_subsel.objectives.graph_cut import check_lam

STREAMED = ("facility_location", "graph_cut", "log_determinant")
RULES = ("swap", "three_sieves")


@dataclass(frozen=True)
class StreamConfig:
    """How rows are selected while they arrive, and what of it is written when."""

    k: int | None = option(None, "number of rows to keep")
    objective: str = option("facility_location", "what is maximized", choices=STREAMED)
    lam: float = option(GraphCut.lam, "lambda, graph cut's redundancy penalty", metavar="L")
    ridge: float = option(LogDeterminant.ridge, "ridge of the log-determinant")
    rule: str = option(
        "swap",
        "swap: a newcomer takes the place of a kept row where that raises f; three_sieves: accept by a falling level",
        choices=RULES,
    )
    least_rise: float = option(
        0.0, "swap: exchange only where f rises by more than this share of what a kept row is worth; 1 has a guarantee"
    )
    epsilon: float = option(0.1, "three_sieves: a level is divided by 1 + epsilon when it is given up")
    refusals: int = option(1000, "three_sieves: rows refused in a row after which a level is given up")
    near: float | None = option(None, "accept no row whose cosine to a kept one reaches this")
    quotas: tuple[str, ...] = option(
        (), "at most so many rows of every group, or of one; repeat", flag="quota", metavar="N|LABEL=N"
    )
    utility: str | None = option(
        None, "column of what a row is worth beside f; 1 is the worth of a kept row on average", metavar="COLUMN"
    )
    sample: int | None = option(None, "facility_location: rows to represent, drawn from all seen; default: 4 k")
    batch_rows: int = option(64, "rows that are embedded and decided on together")
    seed: int = option(0, "seed of everything that is drawn")
    checkpoint_every: int = option(10_000, "rows after which the state is written", identity=False)
    follow: str | None = option(
        None, "read the files of this folder; and those that arrive in it, in place of standard input", metavar="FOLDER"
    )
    idle: float | None = option(
        None, "with --follow: end when no file has arrived for so many seconds; default: never", identity=False
    )

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "k", "batch_rows", "checkpoint_every", "sample", "refusals")
        check_lam(self.lam)
        if self.k is None:
            raise invalid("k", "be given", None, "Use --k N.")
        if self.idle is not None and (self.follow is None or not self.idle >= 0):
            raise invalid("idle", "be at least 0, and go with follow", self.idle, "Use --follow FOLDER.")
        parse_counts(self.quotas, "quota")
