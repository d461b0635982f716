"""Say what a run has to do, as far as it is known before its corpus is read: what plans of memory and time go by."""

from __future__ import annotations

from dataclasses import dataclass, field

from ray_subsel.config import RunConfig
from ray_subsel.planning.counting import Counted
from ray_subsel.planning.embedding_plan import EmbeddingPlan
from ray_subsel.planning.kept_texts import ToEmbed
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.planning.selection_plan import SelectionPlan

COLLAPSED, NEAR_COLLAPSED = 0.85, 0.75
"""Items that a row is taken for where equal ones are collapsed, and where near copies are too."""


def likely_items(config: RunConfig, rows: int) -> int:
    """Return how many items some rows are taken for, as long as nobody has counted the copies."""
    near = config.select is not None and config.select.near_threshold is not None
    share = NEAR_COLLAPSED if near else COLLAPSED if config.corpus.copies == "collapse" else 1.0
    return max(1, round(share * rows))


@dataclass(frozen=True)
class OtherRows:
    """Rows beside the corpus: what each set has."""

    against: tuple[Counted, ...] = ()
    target: Counted | None = None
    test: Counted | None = None


@dataclass(frozen=True)
class Work:
    """What a run has to do.

    Attributes
    ----------
    config : RunConfig
        Settled.
    corpus : Counted
    d, k : int
    sizes : SelectionPlan or None
        None where nothing is chosen, or in each group on its own.
    embedding : EmbeddingPlan
    machine : Machine
    policy : Policy
    others : OtherRows
    to_embed : ToEmbed or None
        What there is to embed where texts were looked up among those that are kept; else all are.
    """

    config: RunConfig
    corpus: Counted
    d: int
    k: int
    sizes: SelectionPlan | None
    embedding: EmbeddingPlan
    machine: Machine
    policy: Policy = DEFAULT_POLICY
    others: OtherRows = field(default_factory=OtherRows)
    to_embed: ToEmbed | None = None

    @property
    def n(self) -> int:
        """Rows."""
        return self.corpus.rows

    @property
    def items(self) -> int:
        """Items that there are likely to be."""
        return likely_items(self.config, self.n)

    @property
    def reads_here(self) -> bool:
        """Whether this process reads the input."""
        return self.corpus.bytes <= self.policy.in_process_bytes

    @property
    def small(self) -> bool:
        """Whether this process works on the vectors."""
        return self.policy.is_small(self.n, self.d)
