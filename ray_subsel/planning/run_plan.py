"""Plan a run from its files before they are read: rows, partitions, memory, time. ``subsel plan`` prints it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from ray_subsel.config import RunConfig, SelectConfig, settle_run
from ray_subsel.constraints.size import resolve_k
from ray_subsel.core.errors import DoesNotFitError
from ray_subsel.corpus.constraint_columns import check_corpus
from ray_subsel.corpus.id_lists import read_id_lists
from ray_subsel.corpus.ingest_plan import input_fingerprint, no_row, plan_ingest
from ray_subsel.corpus.other_sets import other_corpus, test_corpus
from ray_subsel.corpus.resolve import resolve
from ray_subsel.corpus.target_file import target_corpus, target_fingerprint
from ray_subsel.planning.counting import COUNTED_BYTES, count_corpus
from ray_subsel.planning.embedding_plan import plan_embedding
from ray_subsel.planning.kept_texts import ToEmbed, texts_to_embed
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.planning.selection_plan import SelectionPlan, plan_sizes, planned_k, with_queries, with_ranks
from ray_subsel.planning.speed import slowness
from ray_subsel.planning.stage_memory import check_stages, stage_bytes, stage_memory_line
from ray_subsel.planning.stage_seconds import stage_seconds
from ray_subsel.planning.work import OtherRows, Work, likely_items


@dataclass(frozen=True)
class RunPlan:
    """What is known of a run before its corpus is read.

    Attributes
    ----------
    rows : int
        Counted; of large files other than Parquet estimated.
    exact : bool
        Whether the rows were counted.
    sizes : SelectionPlan or None
        None where nothing is chosen, or in each group on its own.
    stages : dict of str to int
        Predicted bytes of the largest process of each stage.
    seconds : dict of str to float
        Predicted seconds of each stage, of Ray's start and of what is around them.
    assumed_k : int or None
        What was taken for k where a budget decides and costs are not read yet.
    recipe : tuple of str
        What the data and the recipe decided, a line each.
    embedding : ToEmbed or None
        What there is to embed, of a corpus of texts.
    slow : float
        How many times as long as on the machine of reference work takes here and now; in ``seconds`` already.
    """

    rows: int
    exact: bool
    sizes: SelectionPlan | None
    stages: dict[str, int]
    seconds: dict[str, float]
    assumed_k: int | None = None
    recipe: tuple[str, ...] = ()
    embedding: ToEmbed | None = None
    slow: float = 1.0

    def as_json(self) -> dict[str, Any]:
        """Return the plan, ready for JSON."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """Return the plan as it is printed, without what the recipe decided."""
        about = "" if self.exact else "some "
        lines = [f"rows      {about}{self.rows:,}; equal ones are one item, so that there may be fewer items"]
        lines += [] if self.embedding is None else [self.embedding.line()]
        lines += [] if self.sizes is None or "select" not in self.seconds else self.sizes.lines()
        lines += [stage_memory_line(self.stages)] if self.stages else []
        lines.append(time_line(self.seconds))
        if self.assumed_k is not None:
            lines.append(f"budget    how many it pays for is known when costs are read; {self.assumed_k:,} are assumed")
        return lines

    def text(self) -> str:
        """Return the plan as ``subsel plan`` prints it."""
        return "\n".join([*self.recipe, *self.lines()])


def time_line(seconds: dict[str, float]) -> str:
    """Return the line of the plan that tells the time, all together and of each stage."""
    shown = ", ".join(f"{name} {_show_seconds(one)}" for name, one in seconds.items())
    return f"time      some {_show_seconds(sum(seconds.values()))}: {shown}"


def _show_seconds(seconds: float) -> str:
    """Write a rough time: one digit below ten seconds, minutes from two on."""
    if seconds < 9.5:
        return f"{max(seconds, 0.1):.1g} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def plan_run(
    config: RunConfig,
    machine: Machine,
    *,
    policy: Policy = DEFAULT_POLICY,
    counted_bytes: int = COUNTED_BYTES,
    slow: float | None = None,
    done: Collection[str] = (),
) -> RunPlan:
    """Plan a run from files alone: nothing is embedded or written.

    Parameters
    ----------
    config : RunConfig
        Where it goes (``runtime.out``) does not matter.
    machine : Machine
    policy : Policy
    counted_bytes : int
        Text files up to this size are read to count their rows.
    slow : float, optional
        How many times as long work takes as on the reference machine; by default measured, in a few hundredths of a
        second.
    done : collection of str
        Stages that have nothing left to do.

    Raises
    ------
    InputError
        When the input cannot be read, k is above the rows, or it cannot fit into memory.
    """
    resolved, told = resolve(config.corpus)
    config, settled = settle_run(replace(config, corpus=resolved))
    corpus, embed, select = config.corpus, config.embed, config.select
    if select is not None:
        check_corpus(corpus, select)
        read_id_lists(select, corpus, input_fingerprint(corpus))
        if select.target is not None:
            target_fingerprint(corpus, select.target)
    found = plan_ingest(corpus)
    counted = count_corpus(found, counted_bytes)
    if counted.exact and not counted.rows:
        raise no_row([file.uri for file in found.files])
    if not counted.exact:  # an estimate refuses nothing
        counted = replace(counted, rows=max(counted.rows, 1 if select is None or select.k is None else select.k))
    rows = counted.rows
    d = embed.embedder_class.dimension_of(embed) if counted.dimension is None else counted.dimension
    others = _others(config, counted_bytes)
    k, planned = _k(select, rows)
    sizes = None
    if select is not None and select.per is None:
        copies = corpus.copies == "keep"

        def of(n: int) -> SelectionPlan:
            assert select is not None
            return plan_sizes(select, machine, n=n, d=d, k=min(planned, n), copies=copies, policy=policy)

        sizes = _with_fewer(of(rows), of, rows, likely_items(config, rows))
        sizes = sizes if corpus.quality is None else with_ranks(sizes)
        sizes = sizes if others.target is None else with_queries(sizes, others.target.rows)
    workers, gpus = config.runtime.workers, config.runtime.num_gpus
    to_embed = None
    if corpus.vectors is None and "embed" not in done:
        to_embed = texts_to_embed(found, embed, config.cache, rows=rows, exact=counted.exact, d=d)
    unknown = None if to_embed is None else to_embed.left
    embedding = plan_embedding(
        corpus, embed, machine, n=rows, d=d, unknown=unknown, workers=workers, num_gpus=gpus, policy=policy
    )
    work = Work(config, counted, d, planned, sizes, embedding, machine, policy, others, to_embed)
    stages = {name: amount for name, amount in stage_bytes(work).items() if name not in done}
    check_stages(stages, machine)
    slow = slowness() if slow is None else slow
    seconds = {name: one * slow for name, one in stage_seconds(work).items() if name not in done}
    assumed = planned if planned < k else None
    recipe = (*(f"corpus: {line}" for line in told), *settled.lines())
    return RunPlan(rows, counted.exact, sizes, stages, seconds, assumed, recipe, to_embed, slow)


def _with_fewer(sizes: SelectionPlan, of: Callable[[int], SelectionPlan], rows: int, likely: int) -> SelectionPlan:
    """Return sizes with the time of as many items as there are likely to be, and the memory of whichever take most.

    Fewer items may take more: up to some size all their similarities are kept.
    """
    if likely == rows:
        return sizes
    for items in (round(share * rows) for share in (0.5, 0.6, 0.7, 0.8, 0.9)):
        with contextlib.suppress(DoesNotFitError):  # told once the items are counted
            fewer = of(max(1, items))
            worker = max(sizes.worker_bytes, fewer.worker_bytes)
            sizes = replace(sizes, worker_bytes=worker, reducer_bytes=max(sizes.reducer_bytes, fewer.reducer_bytes))
    with contextlib.suppress(DoesNotFitError):
        sizes = replace(sizes, seconds=of(likely).seconds)
    return sizes


def _k(select: SelectConfig | None, rows: int) -> tuple[int, int]:
    """Return k, and the k to plan with."""
    if select is None:
        return 0, 0
    if select.per is not None:  # of each group
        k = rows if select.fraction is None else max(1, int(select.fraction * rows))
        return k, k
    k, _ = resolve_k(select.k, select.fraction, rows=rows, items=rows, no_limit=True)
    return k, planned_k(select, k)


def _others(config: RunConfig, counted_bytes: int) -> OtherRows:
    """Count the rows of the sets beside the corpus."""
    corpus, select, filters = config.corpus, config.select, config.filters
    against = (other_corpus(corpus, file, filters.against_text) for file in filters.against)
    target = None if select is None or select.target is None else target_corpus(corpus, select.target)
    test = None if config.train is None else test_corpus(corpus, config.train)
    return OtherRows(
        tuple(count_corpus(plan_ingest(one), counted_bytes) for one in against),
        None if target is None else count_corpus(plan_ingest(target), counted_bytes),
        None if test is None else count_corpus(plan_ingest(test), counted_bytes),
    )
